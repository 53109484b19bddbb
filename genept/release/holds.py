"""What a run was held for: recorded for the person who may approve it."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, Literal

from pydantic import ConfigDict

from genept.common.errors import ConflictError, MissingObjectError
from genept.release.drift import Change
from genept.release.manifest import Pointer
from genept.release.publish import Releases
from genept.storage.documents import Document
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
        Tells two writers of equal records apart.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    format: Literal[1] = 1
    against: str
    at: datetime
    run: str = ""
    changes: tuple[Change, ...]
    inputs: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    nonce: str

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
    hold = _read_hold(releases, pointer)[0] if pointer else None
    return hold if hold is not None and hold.changes else None


def record_hold(releases: Releases, pointer: Pointer, hold: Hold) -> None:
    """Record what a run is held for, in place of what the run before it was held for.

    A record of the same changes stands as it is; so does one that another run writes meanwhile.
    """
    known, etag = _read_hold(releases, pointer)
    if (known.changes if known else ()) == hold.changes:
        return
    with suppress(ConflictError):
        releases.store.put_if_match(_hold_key(releases, pointer), hold.body(), etag)


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
        nonce=secrets.token_hex(8),
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


def _hold_key(releases: Releases, pointer: Pointer) -> str:
    return f"{_folder(releases, pointer)}/held.json"


def _read_hold(releases: Releases, pointer: Pointer) -> tuple[Hold | None, str | None]:
    key = _hold_key(releases, pointer)
    try:
        body, etag = releases.store.get_with_etag(key)
    except MissingObjectError:
        return None, None
    return Hold.parse(body, releases.store.uri(key)), etag
