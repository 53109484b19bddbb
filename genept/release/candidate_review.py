"""Review of a candidate against the current release: it is held, or passes with approvals.

Publishes nothing. Which changes are too large is decided in `genept.release.drift`; approvals are
recorded in `genept.release.approval_records`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from genept.common import ConflictError, StoreError
from genept.release.approval_records import (
    COMMAND,
    Approval,
    approvals,
    not_approved,
    record_hold,
    same_tenure,
)
from genept.release.drift import Change, Hold, changes
from genept.release.gate import SETTING
from genept.release.manifest import Manifest, Pointer, ReleasedSource
from genept.release.publish import Releases
from genept.release.staging import ReleaseRefusedError
from genept.schema.tables import TABLES
from genept.storage import StoredTable, input_changes

SHOWN: Final = 6


class HeldError(ReleaseRefusedError):
    """The candidate differs too much from the current release, without an approval.

    Parameters
    ----------
    hold
        The recorded hold.
    waiting
        Changes without an approval.
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

    @property
    def rows(self) -> list[dict[str, str | int]]:
        """Changes without an approval: table, part of it, rows before and after."""
        return [
            {
                "table": change.table,
                "part": f"{change.subject} {change.value}".strip() or "the whole table",
                "before": change.before,
                "after": change.after,
            }
            for change in self.waiting
        ]

    def __reduce__(self) -> tuple[type[HeldError], tuple[Hold, tuple[Change, ...]]]:
        return HeldError, (self.hold, self.waiting)


@dataclass(frozen=True)
class Reviewed:
    """A candidate that may be published.

    Parameters
    ----------
    against
        The pointer at the time of the review; None before the first release.
    approved
        The approvals that cover its changes.
    """

    against: Pointer | None
    approved: tuple[Approval, ...] = ()

    def confirm(self, releases: Releases) -> None:
        """Raise `ConflictError` if another release became current since the review."""
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
    """Compare a candidate with the current release, and hold it if it differs too much.

    Parameters
    ----------
    releases
        Opened with the publisher's keys, which may record a hold.
    tables
        All tables that were built, before parts are left out for their licence: these are
        declared in the manifest and are no reason to hold.
    limits
        Settings that limit the candidate. It is compared only if the current release was limited
        in the same way.
    trusted
        Names of tables that a setting approves, of this version or of the current release.
    built
        Names that the run was configured to build, by subject, such as
        ``{"collection": ["prostate"]}``; they explain why others are gone.
    sources, platform_version
        Of the candidate; changes of them are reported with a hold.
    run
        Id of the run, for the record.
    now
        Time of the review; the present time by default.

    Returns
    -------
    Reviewed
        The pointer it was compared with, and the approvals.

    Raises
    ------
    HeldError
        Changes need an approval; they are recorded.
    StoreError
        `trusted` names an unknown table.
    """
    pointer = releases.pointer()
    last = releases.named_by(pointer) if pointer else None
    if unknown := sorted(set(trusted) - set(TABLES) - set(last.tables if last else ())):
        raise StoreError(
            f"{SETTING} names {', '.join(unknown)}, and there are no such tables; there are "
            f"{', '.join(TABLES)}"
        )
    if pointer is None or last is None:
        return Reviewed(None)
    changed: list[Change] = []
    if dict(last.limits) == dict(limits or {}):
        changed = changes(releases.lake, releases.files, last, tables)
    hold = Hold(
        against=last.release_id,
        at=(now or datetime.now(UTC)).replace(microsecond=0),
        run=run,
        changes=tuple(changed),
        inputs=tuple(_inputs(last, sources or {}, platform_version)),
        removed=tuple(_removed(changed, built or {})),
    )
    by_setting = Approval.of(
        [change for change in changed if change.table in trusted],
        last.release_id,
        by="settings",
        reason=f"{SETTING} of run {run}" if run else SETTING,
        now=now,
    )
    given = approvals(releases) if changed else []
    waiting = not_approved(changed, [*by_setting, *given])
    if waiting or not changed:
        hold = record_hold(releases, pointer, hold)
    if waiting:
        raise HeldError(hold, tuple(waiting))
    used = [approval for approval in given if any(approval.covers(change) for change in changed)]
    return Reviewed(pointer, (*used, *by_setting))


def _inputs(last: Manifest, sources: Mapping[str, ReleasedSource], version: str) -> Iterator[str]:
    """Sentences on the sources and the version that changed since a release."""
    if version and version != last.platform_version:
        yield f"the platform's version went from {last.platform_version} to {version}"
    if sources:
        before, after = (
            {f"source {name}": source.sha256 for name, source in known.items()}
            for known in (last.sources, sources)
        )
        yield from input_changes(before, after)


def _removed(changed: list[Change], built: Mapping[str, Collection[str]]) -> Iterator[str]:
    """The subjects that are gone because the run was configured not to build them."""
    gone = dict.fromkeys(
        (change.subject, change.value) for change in changed if change.column and not change.after
    )
    for subject, value in gone:
        if subject in built and value not in built[subject]:
            yield f"{subject} {value}"
