"""Held runs and their approvals as the bucket records them: what was held, who let it pass, why.

What is too much of a change is decided in `genept.release.drift`; whether a run passes, in
`genept.release.candidate_review`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, Literal

from pydantic import ConfigDict

from genept.common import ConflictError, StoreError, markdown_text
from genept.release.drift import Change, Hold
from genept.release.manifest import Pointer
from genept.release.publish import Releases
from genept.storage import Document, SwappedDocument, declare, sha256_of

COMMAND: Final = "genept release approve"


def current_hold(releases: Releases) -> Hold | None:
    """Return the hold of the last run against the current release.

    Parameters
    ----------
    releases
        The releases of the product.

    Returns
    -------
    Hold or None
        None if the last run was not held, or nothing is released.
    """
    pointer = releases.pointer()
    hold = _held(releases, pointer).read()[0] if pointer else None
    return hold if hold is not None and hold.changes else None


def record_hold(releases: Releases, pointer: Pointer, hold: Hold) -> Hold:
    """Record a hold in place of that of the run before; return it as it is recorded.

    A record of the same changes is kept, and so is one that another run writes at the same time.
    """
    document = _held(releases, pointer)
    known, etag = document.read()
    if (known.changes if known else ()) != hold.changes:
        with suppress(ConflictError):
            return document.swap(hold, etag)[0]
    return hold


def same_tenure(pointer: Pointer | None, other: Pointer | None) -> bool:
    """Return whether nothing was published or rolled back between two states of the pointer."""
    if pointer is None or other is None:
        return pointer is other
    return _tenure(pointer) == _tenure(other)


def _tenure(pointer: Pointer) -> str:
    """Identifier of the period in which a release is current.

    After a rollback a release is current again, which is another period: the deny list has grown
    in between. Taking over a claim and lifting a denial do not begin a new period.
    """
    return f"{pointer.release_id}/{sha256_of(sorted(set(pointer.heads)))[:16]}"


def _folder(releases: Releases, pointer: Pointer) -> str:
    return f"{releases.product}/approvals/{_tenure(pointer)}"


def _held(releases: Releases, pointer: Pointer) -> SwappedDocument[Hold]:
    return SwappedDocument(releases.store, f"{_folder(releases, pointer)}/held.json", Hold)


class Approval(Document):
    """The statement of a person that the changes of a table are intended.

    Parameters
    ----------
    table
        Name of the table.
    against
        Id of the release that was current.
    changes
        The changes that were approved.
    by
        Name of the person.
    at
        When the approval was given.
    reason
        Why the changes are intended.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    format: Literal[1] = 1
    table: str
    against: str
    changes: tuple[Change, ...]
    by: str
    at: datetime
    reason: str

    @classmethod
    def of(
        cls, changes: Sequence[Change], against: str, *, by: str, reason: str, now: datetime | None
    ) -> list[Approval]:
        """Return one approval for each table that changed, given at `now` or the present time."""
        moment = (now or datetime.now(UTC)).replace(microsecond=0)
        by_table: dict[str, list[Change]] = defaultdict(list)
        for change in changes:
            by_table[change.table].append(change)
        return [
            cls(table=table, against=against, changes=tuple(seen), by=by, at=moment, reason=reason)
            for table, seen in by_table.items()
        ]

    def covers(self, change: Change) -> bool:
        """Return whether it covers a change: one that was approved, or a slightly larger one."""
        return any(seen.covers(change) for seen in self.changes)


def approvals(releases: Releases) -> list[Approval]:
    """Return the approvals that hold for the next release.

    Parameters
    ----------
    releases
        The releases of the product.

    Returns
    -------
    list of Approval
        Those against the current release, in order of their keys.
    """
    pointer = releases.pointer()
    if pointer is None:
        return []
    store, folder = releases.store, f"{_folder(releases, pointer)}/approved/"
    keys = [info.key for info in store.list(folder)]
    return [Approval.parse(store.get(key), store.uri(key)) for key in keys]


def not_approved(changes: Sequence[Change], given: Sequence[Approval]) -> list[Change]:
    """Return the changes that no approval covers.

    Parameters
    ----------
    changes
        Changes that need an approval.
    given
        Approvals for the next release.

    Returns
    -------
    list of Change
        In the order of `changes`.
    """
    return [change for change in changes if not any(approval.covers(change) for approval in given)]


def approve(
    releases: Releases,
    tables: Sequence[str] = (),
    *,
    by: str,
    reason: str,
    seen: Hold | None = None,
) -> list[Approval]:
    """Approve changes that are held, for the next release.

    Parameters
    ----------
    releases
        Opened with the publisher's keys.
    tables
        Names of held tables to approve; all by default.
    by
        Name of the person who approves.
    reason
        Why the changes are intended.
    seen
        The hold that the person has seen; by default the one that is recorded now.

    Returns
    -------
    list of Approval
        One for each table.

    Raises
    ------
    StoreError
        Nothing is held, or nothing of one of the tables; the changes were approved already, or at
        the same time; the hold is not the one that was seen; another release became current; or
        `by` or `reason` is empty.
    """
    if not by.strip() or not reason.strip():
        raise StoreError("an approval says who gives it and why: name the person and the reason")
    pointer = releases.pointer()
    if pointer is None:
        raise StoreError("nothing has been released yet, so nothing can be held: run `genept run`")
    hold = _held(releases, pointer).read()[0]
    if seen is not None and seen.against != pointer.release_id:
        raise StoreError(
            f"{seen.against} is not the current release any more, {pointer.release_id} is: run "
            "again; what still differs too much is held against that"
        )
    if hold is None or not hold.changes:
        raise StoreError(
            f"nothing is held against {pointer.release_id}: the last run that was compared "
            "with it did not differ too much"
        )
    if seen is not None and seen.changes != hold.changes:
        raise StoreError(
            f"another run was held for something else meanwhile: look at it with `{COMMAND}`, "
            "and approve that"
        )
    known = approvals(releases)
    if unknown := sorted(set(tables) - set(hold.tables)):
        raise StoreError(f"nothing is held of {', '.join(unknown)}; of {', '.join(hold.tables)} is")
    wanted = [change for change in hold.changes if not tables or change.table in tables]
    changes = not_approved(wanted, known)
    done = [approval for approval in known if approval.table in {change.table for change in wanted}]
    if done and not changes:
        raise StoreError(
            f"{done[0].table} was approved already against {pointer.release_id}, by {done[0].by}: "
            f"{done[0].reason}; run again to publish"
        )
    given = Approval.of(changes, pointer.release_id, by=by.strip(), reason=reason.strip(), now=None)
    for approval in given:
        seen_part = sha256_of([change.model_dump() for change in approval.changes])[:16]
        key = f"{_folder(releases, pointer)}/approved/{approval.table}-{seen_part}.json"
        try:
            declare(releases.store, key, approval)
        except ConflictError:
            raise StoreError(
                f"somebody else approved {approval.table} at the same time: run again to publish"
            ) from None
    if not same_tenure(pointer, present := releases.pointer()):
        current = present.release_id if present else "none"
        raise StoreError(
            f"release {current} became current meanwhile, so the approval against "
            f"{pointer.release_id} is not used: run again; what still differs too much is held"
        )
    return given


def approval_page(given: Sequence[Approval]) -> dict[str, bytes]:
    """Return the audit page that lists approvals.

    Parameters
    ----------
    given
        Approvals that the release was published with.

    Returns
    -------
    dict of str to bytes
        Markdown by path below the release's `audit/`; empty without approvals.
    """
    if not given:
        return {}
    lines = ["# Approved", ""]
    for approval in given:
        lines.append(
            f"- **{approval.table}** may differ from {approval.against}: "
            f"{markdown_text(approval.reason)} "
            f"({markdown_text(approval.by)}, {approval.at:%Y-%m-%d %H:%M} UTC)"
        )
        lines += [f"    - {markdown_text(change)}" for change in approval.changes]
    return {"approvals.md": "\n".join([*lines, ""]).encode()}
