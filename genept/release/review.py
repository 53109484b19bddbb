"""A candidate against the current release: held, or let pass, and under which approvals.

Reads and records; publishes nothing. What is too much is decided by `genept.release.drift`, what an
approval is by `genept.release.approvals`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from genept.common.errors import ConflictError, StoreError
from genept.release.approvals import (
    COMMAND,
    Approval,
    Hold,
    approvals,
    new_hold,
    not_approved,
    record_hold,
    same_tenure,
)
from genept.release.drift import Change, changes
from genept.release.manifest import Manifest, Pointer, ReleasedSource
from genept.release.publish import Releases
from genept.release.staging import ReleaseRefusedError
from genept.schema.tables import TABLES
from genept.storage.provenance import StoredTable

SETTING: Final = "GENEPT_APPROVE"
SHOWN: Final = 6


class HeldError(ReleaseRefusedError):
    """The release differs too much from the current one, and nobody approved that.

    Parameters
    ----------
    hold
        What is held, as it is recorded.
    waiting
        The changes that are still to be approved.
    """

    def __init__(self, hold: Hold, waiting: tuple[Change, ...]) -> None:
        self.hold, self.waiting = hold, waiting
        shown = hold.model_copy(update={"changes": waiting})
        more = len(hold.inputs) - SHOWN
        also = [*hold.inputs[:SHOWN], *([f"{more} more"] if more > 0 else [])]
        lines = [
            f"held for approval, against release {hold.against}:",
            *(f"  - {line}" for line in shown.lines()),
            *([f"Since that release also: {'; '.join(also)}."] if also else []),
            "Nothing was published, and what is built is kept.",
            f"If this is meant, approve it and run again: {COMMAND} --reason …",
        ]
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[type[HeldError], tuple[Hold, tuple[Change, ...]]]:
        return HeldError, (self.hold, self.waiting)


@dataclass(frozen=True)
class Reviewed:
    """A candidate that may be published.

    Parameters
    ----------
    against
        The pointer when it was reviewed; none before the first release.
    approved
        The approvals that it passes under.
    """

    against: Pointer | None
    approved: tuple[Approval, ...] = ()

    def confirm(self, releases: Releases) -> None:
        """Raise `ConflictError` if another release became current since."""
        pointer = releases.pointer()
        if not same_tenure(self.against, pointer):
            raise ConflictError(
                f"release {pointer.release_id if pointer else 'none'} became current after this "
                "one was compared with the one before: run again; what is built is kept"
            )


def review(
    releases: Releases,
    tables: Mapping[str, StoredTable],
    *,
    limits: Mapping[str, Any] | None = None,
    trusted: Collection[str] = (),
    built: Mapping[str, Collection[str]] | None = None,
    sources: Mapping[str, ReleasedSource] | None = None,
    platform_version: str = "",
    run: str = "",
    now: datetime | None = None,
) -> Reviewed:
    """Compare a candidate with the current release; hold it where it differs too much.

    Parameters
    ----------
    tables
        Everything that was built, before anything is left out of the release for its licence:
        what is left out that way is declared in the manifest and holds nothing.
    limits
        How settings limit the candidate. One that is limited in another way than the current
        release is not compared with it.
    trusted
        Tables that a setting lets pass, whatever they hold.
    built
        What the run was to build, by subject, such as ``{"collection": ["prostate"]}``; says
        of what is gone whether it was to go.
    sources, platform_version
        Of the candidate: what changed of them is said when it is held.
    run
        Name of the run, for the record.

    Raises
    ------
    HeldError
        What is held; it is recorded.
    StoreError
        A setting lets a table pass that is none.
    """
    if unknown := sorted(set(trusted) - set(TABLES)):
        raise StoreError(
            f"{SETTING} names {', '.join(unknown)}, and there are no such tables; there are "
            f"{', '.join(TABLES)}"
        )
    pointer = releases.pointer()
    if pointer is None:
        return Reviewed(None)
    last = releases.manifest(pointer.release_id, sha256=pointer.manifest_sha256)
    found: list[Change] = []
    if dict(last.limits) == dict(limits or {}):
        found = changes(releases.lake, releases.files, last, tables)
    hold = new_hold(
        last.release_id,
        found,
        run=run,
        inputs=tuple(_inputs(last, sources or {}, platform_version)),
        removed=tuple(_removed(found, built or {})),
        now=now,
    )
    by_setting = _by_setting(found, trusted, last.release_id, run, now)
    given = approvals(releases) if found else []
    waiting = not_approved(found, [*by_setting, *given])
    if waiting or not found:
        hold = record_hold(releases, pointer, hold)
    if waiting:
        raise HeldError(hold, tuple(waiting))
    used = [one for one in given if any(one.covers(change) for change in found)]
    return Reviewed(pointer, (*used, *by_setting))


def _by_setting(
    found: list[Change], trusted: Collection[str], against: str, run: str, now: datetime | None
) -> list[Approval]:
    return [
        Approval(
            table=table,
            against=against,
            changes=tuple(change for change in found if change.table == table),
            by="settings",
            at=(now or datetime.now(UTC)).replace(microsecond=0),
            reason=f"{SETTING} of run {run}" if run else SETTING,
        )
        for table in dict.fromkeys(change.table for change in found)
        if table in trusted
    ]


def _inputs(last: Manifest, sources: Mapping[str, ReleasedSource], version: str) -> Iterator[str]:
    """What else changed since a release, in words."""
    if version and version != last.platform_version:
        yield f"the platform's version went from {last.platform_version} to {version}"
    for name in sorted({*last.sources, *sources} if sources else ()):
        before, after = last.sources.get(name), sources.get(name)
        if before is None:
            yield f"source {name} is new"
        elif after is None:
            yield f"source {name} is gone"
        elif before.sha256 != after.sha256:
            yield f"source {name} changed"


def _removed(found: list[Change], built: Mapping[str, Collection[str]]) -> Iterator[str]:
    """The subjects that are gone because the run was not to build them."""
    gone = dict.fromkeys((one.subject, one.value) for one in found if one.column and not one.after)
    for subject, value in gone:
        if subject in built and value not in built[subject]:
            yield f"{subject} {value}"
