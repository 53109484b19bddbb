"""The claim: a lease with fencing, held by the one run or collector that may write releases.

A run takes it before its first table, a collector before it deletes. The orchestrator says whether
a holder is still active. The claim lists the runs that lost it, and taking it from a run that was
given up rewrites the pointer (the fence), so that a pending swap of that run fails. Before the
first release there is no pointer, and such a swap may succeed.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from pydantic import ValidationError

from genept.common import ConflictError, StoreError
from genept.release.publish import Releases
from genept.storage import Document, SwappedDocument

RunState = Literal["at work", "done", "given up"]

TRIES: Final = 5
"""Attempts to take the claim when other processes take it at the same time."""

REMEMBERED: Final = 2000
"""Number of runs that lost the claim which it lists: five years of nightly runs."""

COLLECTION_TIME: Final = timedelta(minutes=15)
"""Time until the claim of a collector expires unless it is renewed."""

SKEW: Final = timedelta(minutes=1)
"""Allowed difference between the clocks of machines when a claim's expiry is checked."""


class LostClaimError(StoreError):
    """The run does not hold the claim: it may build, but must not publish."""


class _Held(Document):
    """Content of `run.json`."""

    run_id: str = ""
    claimed_at: str = ""
    nonce: str = ""
    epoch: int = 0
    lost_by: tuple[str, ...] = ()
    fenced: bool = True
    until: datetime | None = None


class Claim:
    """The claim on the releases of one product: `run.json`, replaced by compare-and-swap.

    Parameters
    ----------
    releases
        The releases of the product, opened with the publisher's keys.
    """

    def __init__(self, releases: Releases) -> None:
        self.releases, self.store = releases, releases.store
        self.key = f"{releases.product}/run.json"
        self._document = SwappedDocument(self.store, self.key, _Held)
        self._confirmed_for: str | None = None

    def take(self, run_id: str, state_of: Callable[[str], RunState]) -> None:
        """Take the claim for a run; nothing is written if the run holds it already.

        Parameters
        ----------
        run_id
            Id of the run.
        state_of
            Returns the state of another run. An active run keeps the claim.

        Raises
        ------
        LostClaimError
            The run lost the claim before, another run or a collector is active, or other
            processes took the claim at each attempt.
        """
        if self._confirmed_for != run_id:
            self._take(run_id, state_of, until=None)
            self._confirmed_for = run_id

    def collect(self, collector: str, state_of: Callable[[str], RunState]) -> None:
        """Take or renew the claim for a garbage collector, for `COLLECTION_TIME`.

        Parameters
        ----------
        collector
            Name of the collector, made by `collector_name`.
        state_of
            As in `take`.

        Raises
        ------
        LostClaimError
            A run or another collector is active.
        """
        self._take(collector, state_of, until=datetime.now(UTC) + COLLECTION_TIME)

    def end_collection(self, collector: str) -> None:
        """Release the claim of a collector, if it still holds it."""
        held, etag = self._read()
        if held.run_id == collector:
            ended = held.model_copy(update={"until": datetime.fromtimestamp(0, UTC)})
            with suppress(ConflictError):  # another process took it over at this moment
                self._document.swap(ended, etag)

    def confirm(self, run_id: str) -> None:
        """Raise `LostClaimError` unless this run holds the claim."""
        held, _ = self._read()
        if held.run_id != run_id:
            raise self._lost(run_id, held)

    def fence(self) -> None:
        """Rewrite the pointer, so that a swap with the ETag of an earlier read fails."""
        pointer, etag = self.releases.pointer_with_etag()
        if pointer is not None:
            with suppress(ConflictError):  # another swap changed the ETag as well
                self.releases.swap(pointer.model_copy(update={"seq": pointer.seq + 1}), etag)

    def _take(
        self, taker: str, state_of: Callable[[str], RunState], *, until: datetime | None
    ) -> None:
        for _ in range(TRIES):
            held, etag = self._read()
            if taker in held.lost_by:
                raise self._lost(taker, held)
            if held.run_id != taker:
                state = self._state(held, state_of)
                lost_by = (*held.lost_by, held.run_id)[-REMEMBERED:] if held.run_id else ()
                new = held.model_copy(
                    update={
                        "run_id": taker,
                        "claimed_at": datetime.now(UTC).isoformat(timespec="seconds"),
                        "until": until,
                        "epoch": held.epoch + 1,
                        "lost_by": lost_by,
                        # If this process is killed before it fences, the next one does.
                        "fenced": held.fenced and state != "given up",
                    }
                )
            elif until is not None:
                new = held.model_copy(update={"until": until})
            else:
                new = held
            with suppress(ConflictError):
                if new is not held:
                    new, etag = self._document.swap(new, etag)
                if not new.fenced:
                    self.fence()
                    self._document.swap(new.model_copy(update={"fenced": True}), etag)
                return
        raise LostClaimError(
            f"{self.store.uri(self.key)} is taken by other processes all the time: run again"
        )

    def _state(self, held: _Held, state_of: Callable[[str], RunState]) -> RunState:
        """State of the holder; raises `LostClaimError` if it is active."""
        if held.until is not None:
            # An expiry further ahead is due to a wrong clock; its collector checks the claim again.
            if timedelta() < held.until - datetime.now(UTC) <= COLLECTION_TIME + SKEW:
                raise LostClaimError(
                    f"{held.run_id} is at work since {held.claimed_at}: run again when it has "
                    "ended, in some minutes; what is built is kept"
                )
            return "done"
        state = state_of(held.run_id) if held.run_id else "done"
        if state == "at work":
            raise LostClaimError(
                f"run {held.run_id} is at work since {held.claimed_at}: wait for it to end, or "
                "cancel it, and run again; what is built is kept"
            )
        return state

    def _lost(self, taker: str, held: _Held) -> LostClaimError:
        return LostClaimError(
            f"{_title(taker)} was given up, and {_title(held.run_id)} has taken its place: nothing "
            "was published; what is built is kept"
        )

    def _read(self) -> tuple[_Held, str | None]:
        try:
            held, etag = self._document.read()
        except StoreError as error:
            if not isinstance(reason := error.__cause__, ValidationError):
                raise
            raise StoreError(
                f"{self.store.uri(self.key)} is damaged ({reason.errors()[0]['msg']}): delete the "
                "object when no run is at work, and run again"
            ) from error
        return held or _Held(), etag


def collector_name() -> str:
    """Return a unique name for a garbage collector."""
    return f"{_COLLECTOR} {secrets.token_hex(4)}"


_COLLECTOR: Final = "garbage collection"


def _title(holder: str) -> str:
    if holder.startswith(_COLLECTOR):
        return holder
    return f"run {holder}" if holder else "nobody"
