"""Held runs and their approvals as the bucket records them: what was held, who let it pass, why.

What is too much of a change is decided in `genept.release.drift`; whether a run passes, in
`genept.release.review`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, Literal

from pydantic import ConfigDict

from genept.common.display import markdown_text
from genept.common.errors import ConflictError, StoreError
from genept.release.drift import Change
from genept.release.manifest import Pointer
from genept.release.publish import Releases
from genept.storage.documents import Document, SwappedDocument, declare
from genept.storage.provenance import sha256_of

COMMAND: Final = "genept release approve"

SHOWN: Final = 20


class Hold(Document):
    """What a run was held for; without changes, a run after it was not held.

    Parameters
    ----------
    against
        The release that was current.
    run
        The run that was held, as the orchestrator names it; empty if it has no name.
    inputs
        What else changed since that release, in words: sources, the platform's version.
    removed
        Collections and spaces of that release that the run was not to build.
    nonce
        Set anew each time the record is written.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    format: Literal[1] = 1
    against: str
    at: datetime
    run: str = ""
    changes: tuple[Change, ...]
    inputs: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    nonce: str = ""

    @property
    def tables(self) -> list[str]:
        """The tables that are held."""
        return list(dict.fromkeys(change.table for change in self.changes))

    def lines(self) -> list[str]:
        """What is held, a line for each subject that is gone and for each other change."""
        gone: dict[tuple[str, str], list[Change]] = defaultdict(list)
        others: list[str] = []
        for change in self.changes:
            if change.column and not change.after:
                gone[change.subject, change.value].append(change)
            else:
                others.append(str(change))
        lines = [self._gone(*key, tables) for key, tables in gone.items()] + others
        more = len(lines) - SHOWN
        return [*lines[:SHOWN], *([f"and {more} more changes"] if more > 0 else [])]

    def _gone(self, subject: str, value: str, changes: list[Change]) -> str:
        if len(changes) == 1:
            line = str(changes[0])
        else:
            names = [change.table for change in changes]
            more = f" and {len(names) - 3} more tables" if len(names) > 3 else ""
            rows = sum(change.before for change in changes)
            line = f"{subject} {value}: all {rows:,} rows of {', '.join(names[:3])}{more} are gone"
        if f"{subject} {value}" in self.removed:
            line += " (it is not built any more: it was removed, or settings leave it out)"
        return line


def current_hold(releases: Releases) -> Hold | None:
    """What the last run was held for, against the release that is current; none if it was not."""
    pointer = releases.pointer()
    hold = _held(releases, pointer).read()[0] if pointer else None
    return hold if hold is not None and hold.changes else None


def record_hold(releases: Releases, pointer: Pointer, hold: Hold) -> Hold:
    """Record what a run is held for, in place of what the run before it was held for.

    A record of the same changes stands as it is; so does one that another run writes meanwhile.
    """
    known, etag = _held(releases, pointer).read()
    if (known.changes if known else ()) == hold.changes:
        return hold
    with suppress(ConflictError):
        return _held(releases, pointer).swap(hold, etag)[0]
    return hold


def new_hold(
    against: str,
    changes: Sequence[Change],
    *,
    run: str = "",
    inputs: Sequence[str] = (),
    removed: Sequence[str] = (),
    now: datetime | None = None,
) -> Hold:
    """A hold as of now; see `Hold` for the parameters."""
    return Hold(
        against=against,
        at=(now or datetime.now(UTC)).replace(microsecond=0),
        run=run,
        changes=tuple(changes),
        inputs=tuple(inputs),
        removed=tuple(removed),
    )


def same_tenure(pointer: Pointer | None, other: Pointer | None) -> bool:
    """Whether no release was published or rolled back from between two states of the pointer."""
    if pointer is None or other is None:
        return pointer is other
    return _tenure(pointer) == _tenure(other)


def _tenure(pointer: Pointer) -> str:
    """Names the time for which a release stays current.

    A release may become current again after a rollback, and is then compared anew. Between two
    such times another release was published and went on the deny list, so the list tells them
    apart; a claim that changes hands, or a denial that is lifted, leaves it as it is.
    """
    return f"{pointer.release_id}/{sha256_of(sorted(set(pointer.heads)))[:16]}"


def _folder(releases: Releases, pointer: Pointer) -> str:
    return f"{releases.product}/approvals/{_tenure(pointer)}"


def _held(releases: Releases, pointer: Pointer) -> SwappedDocument[Hold]:
    return SwappedDocument(releases.store, f"{_folder(releases, pointer)}/held.json", Hold)


class Approval(Document):
    """Somebody's word that the changes of a table that were seen are meant."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    format: Literal[1] = 1
    table: str
    against: str
    changes: tuple[Change, ...]
    by: str
    at: datetime
    reason: str

    def covers(self, change: Change) -> bool:
        """Whether it lets a change pass: one that was seen, or one that is hardly larger."""
        return any(seen.covers(change) for seen in self.changes)


def approvals(releases: Releases) -> list[Approval]:
    """What is approved of the next release."""
    pointer = releases.pointer()
    if pointer is None:
        return []
    store, folder = releases.store, f"{_folder(releases, pointer)}/approved/"
    keys = [info.key for info in store.list(folder)]
    return [Approval.parse(store.get(key), store.uri(key)) for key in keys]


def not_approved(changes: Sequence[Change], given: Sequence[Approval]) -> list[Change]:
    """The changes that no approval covers."""
    return [change for change in changes if not any(one.covers(change) for one in given)]


def approve(
    releases: Releases,
    tables: Sequence[str] = (),
    *,
    by: str,
    reason: str,
    seen: Hold | None = None,
    now: datetime | None = None,
) -> list[Approval]:
    """Approve what is held now, for the next release.

    Parameters
    ----------
    tables
        Only these of the tables that are held; none: all of them.
    seen
        The hold that whoever approves has looked at; by default the one that is recorded now.

    Returns
    -------
    list of Approval
        One for each table.

    Raises
    ------
    StoreError
        Nothing is held, or nothing of one of the tables; it was approved already, or at the same
        time; something else is held than was seen, or another release became current; nobody
        says who or why.
    """
    if not by.strip() or not reason.strip():
        raise StoreError("an approval says who gives it and why: others will read it")
    pointer = releases.pointer()
    if pointer is None:
        raise StoreError("nothing has been released yet: there is nothing to differ from")
    hold = _held(releases, pointer).read()[0]
    if seen is not None and seen.against != pointer.release_id:
        raise StoreError(
            f"{seen.against} is not the current release any more, {pointer.release_id} is: run "
            "again; what still differs too much is held against that"
        )
    if hold is None or not hold.changes:
        raise StoreError(
            f"nothing is held against {pointer.release_id}: the last run that compared itself "
            "with it did not differ too much"
        )
    if seen is not None and seen.changes != hold.changes:
        raise StoreError(
            f"a run was held for something else meanwhile: look at it with `{COMMAND}`, and "
            "approve that"
        )
    known = approvals(releases)
    if unknown := sorted(set(tables) - set(hold.tables)):
        raise StoreError(f"nothing is held of {', '.join(unknown)}; of {', '.join(hold.tables)} is")
    wanted = [one for one in hold.changes if not tables or one.table in tables]
    changes = not_approved(wanted, known)
    done = [one for one in known if one.table in {change.table for change in wanted}]
    if done and not changes:
        raise StoreError(
            f"{done[0].table} was approved already against {pointer.release_id}, by {done[0].by}: "
            f"{done[0].reason}; run again, and it is published"
        )
    given = [
        Approval(
            table=table,
            against=pointer.release_id,
            changes=tuple(one for one in changes if one.table == table),
            by=by.strip(),
            at=(now or datetime.now(UTC)).replace(microsecond=0),
            reason=reason.strip(),
        )
        for table in dict.fromkeys(one.table for one in changes)
    ]
    for one in given:
        seen_part = sha256_of([change.model_dump() for change in one.changes])[:16]
        key = f"{_folder(releases, pointer)}/approved/{one.table}-{seen_part}.json"
        try:
            declare(releases.store, key, one)
        except ConflictError:
            raise StoreError(
                f"somebody else approved {one.table} at the same time: run again, and it is "
                "published"
            ) from None
    _require_current(releases, pointer)
    return given


def approval_page(given: Sequence[Approval]) -> dict[str, bytes]:
    """What a release says of the approvals that it was made under; nothing without any."""
    if not given:
        return {}
    lines = ["# Approved", ""]
    for one in given:
        lines.append(
            f"- **{one.table}** may differ from {one.against}: {markdown_text(one.reason)} "
            f"({markdown_text(one.by)}, {one.at:%Y-%m-%d %H:%M} UTC)"
        )
        lines += [f"    - {markdown_text(change)}" for change in one.changes]
    return {"approvals.md": "\n".join([*lines, ""]).encode()}


def _require_current(releases: Releases, pointer: Pointer) -> None:
    """Refuse to call something approved that no run will look at."""
    now = releases.pointer()
    if not same_tenure(pointer, now):
        current = now.release_id if now else "none"
        raise StoreError(
            f"release {current} became current meanwhile, so the approval against "
            f"{pointer.release_id} is not used: run again; what still differs too much is held"
        )
