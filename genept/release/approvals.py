"""Approvals as they are recorded: who let a held run pass, when and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from pydantic import ConfigDict

from genept.common.display import markdown_text
from genept.common.errors import ConflictError, StoreError
from genept.release.drift import Change
from genept.release.holds import COMMAND, Hold, _folder, _read_hold, same_tenure
from genept.release.manifest import Pointer
from genept.release.publish import Releases
from genept.storage.documents import Document, declare
from genept.storage.provenance import sha256_of


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
    hold = _read_hold(releases, pointer)[0]
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
