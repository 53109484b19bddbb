"""A person's word that a table may differ this time: who, when, why, against which release.

An approval is bound to one state of the pointer, so the next swap of any kind uses it up. What
is held, and why, is `genept.store.drift`'s business.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict

from genept.store.declarations import declare, read_declarations
from genept.store.errors import ConflictError, StoreError
from genept.store.manifest import Pointer
from genept.store.release import Releases
from genept.tables import TABLES


class Approval(BaseModel):
    """One table that may have far fewer or more rows than in the release that was current."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: str
    against: str
    seq: int
    by: str
    at: datetime
    reason: str


def approve(releases: Releases, tables: Sequence[str], *, by: str, reason: str) -> list[Approval]:
    """Approve the drift of some tables against the current release, for the next release only.

    Raises
    ------
    StoreError
        There is no such table, nothing was released yet, nobody says who or why, or somebody
        approved one of them already.
    """
    pointer = releases.pointer()
    if pointer is None:
        raise StoreError("nothing has been released yet: there is nothing to differ from")
    if unknown := sorted(set(tables) - set(TABLES)):
        raise StoreError(f"there are no tables {unknown}; there are {', '.join(TABLES)}")
    if not by.strip() or not reason.strip():
        raise StoreError("an approval says who gives it and why: others will read it")
    known = {one.table: one for one in approvals(releases)}
    if taken := [known[one] for one in tables if one in known]:
        raise StoreError(
            f"{taken[0].table} was approved already against {pointer.release_id}, by "
            f"{taken[0].by}: {taken[0].reason}"
        )
    new = [
        Approval(
            table=table, against=pointer.release_id, seq=pointer.seq, by=by.strip(),
            at=datetime.now(UTC).replace(microsecond=0), reason=reason.strip(),
        )
        for table in dict.fromkeys(tables)
    ]  # fmt: skip
    for one in new:
        try:
            declare(releases.store, f"{_folder(releases, pointer)}{one.table}.json", one)
        except ConflictError:
            raise StoreError(f"somebody else approved {one.table} at the same time") from None
    return new


def approvals(releases: Releases) -> list[Approval]:
    """What is approved of the next release."""
    pointer = releases.pointer()
    if pointer is None:
        return []
    return read_declarations(releases.store, _folder(releases, pointer), Approval, "approval")


def approval_page(given: Sequence[Approval]) -> dict[str, bytes]:
    """What a release says of the approvals that it was made under; nothing without any."""
    if not given:
        return {}
    lines = [
        f"- **{one.table}** may differ from {one.against}: {one.reason} "
        f"({one.by}, {one.at:%Y-%m-%d %H:%M} UTC)"
        for one in given
    ]
    return {"approvals.md": "\n".join(["# Approved", "", *lines, ""]).encode()}


def _folder(releases: Releases, pointer: Pointer) -> str:
    return f"{releases.product}/approvals/{pointer.seq:08d}-{pointer.release_id}/"
