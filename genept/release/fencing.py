"""Who may publish or collect garbage: the run or collector that claimed the product last.

A run claims before it hands over its first table, a collector before it deletes. Whether a holder
is still at work is for the orchestrator to say. That a run which was given up cannot publish,
whenever it wakes up, is held by the store alone: the claim lists every run that has lost it, and
taking it from a run that was given up changes the pointer, so that a swap under way fails.
Before the first release there is no pointer to change: there a swap under way may still succeed.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from pydantic import ValidationError

from genept.common.errors import ConflictError, StoreError
from genept.release.publish import Releases
from genept.storage.documents import Document, SwappedDocument

RunState = Literal["at work", "done", "given up"]

TRIES: Final = 5
"""How often a claim is tried anew when others claim at the same moment."""

REMEMBERED: Final = 2000
"""How many runs that lost the claim are listed in it: five years of nightly runs."""

COLLECTION_TIME: Final = timedelta(minutes=15)
"""How long the claim of a collector holds after its last renewal: a killed one blocks no longer."""

SKEW: Final = timedelta(minutes=1)
"""By how much clocks of different machines may differ for a collector's claim to be believed."""


class LostClaimError(StoreError):
    """The run does not hold the claim: it may build, and must not publish."""


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
    """The claim on one product: `run.json`, rewritten by compare-and-swap.

    Parameters
    ----------
    releases
        Those that the holder may publish; their store must be allowed to write the pointer.
    """

    def __init__(self, releases: Releases) -> None:
        self.releases, self.store = releases, releases.store
        self.key = f"{releases.product}/run.json"
        self._document = SwappedDocument(self.store, self.key, _Held)
        self._confirmed_for: str | None = None

    def take(self, run_id: str, state_of: Callable[[str], RunState]) -> None:
        """Claim for a run; nothing is written if it holds the claim already.

        Parameters
        ----------
        state_of
            What has become of another run. From one that is at work nothing is taken.

        Raises
        ------
        LostClaimError
            If the run had the claim before and lost it, another run or a collector of garbage is
            at work, or others keep claiming at the same moment.
        """
        if self._confirmed_for != run_id:
            self._take(run_id, state_of, until=None)
            self._confirmed_for = run_id

    def collect(self, collector: str, state_of: Callable[[str], RunState]) -> None:
        """Claim for a collector of garbage, or renew its claim, for `COLLECTION_TIME`.

        Parameters
        ----------
        collector
            Name of the collector, made by `collector_name`.
        state_of
            As in `take`.

        Raises
        ------
        LostClaimError
            If a run or another collector is at work.
        """
        self._take(collector, state_of, until=datetime.now(UTC) + COLLECTION_TIME)

    def end_collection(self, collector: str) -> None:
        """Let go of the claim of a collector, if it still has it."""
        held, etag = self._read()
        if held.run_id == collector:
            ended = held.model_copy(update={"until": datetime.fromtimestamp(0, UTC)})
            with suppress(ConflictError):  # another process took it over at this moment
                self._document.swap(ended, etag)

    def holder(self) -> str | None:
        """The run, or the collector, that claimed last; none before the first."""
        return self._read()[0].run_id or None

    def confirm(self, run_id: str) -> None:
        """Raise `LostClaimError` unless the claim is still this run's."""
        held, _ = self._read()
        if held.run_id != run_id:
            raise self._lost(run_id, held)

    def fence(self) -> None:
        """Change the pointer's ETag, so that whoever read it before cannot swap it any more."""
        pointer, etag = self.releases.pointer_with_etag()
        if pointer is not None:
            with suppress(ConflictError):  # somebody swapped it, which changed the ETag as well
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
                        # Whoever dies between claiming and fencing leaves that to the next process.
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
        raise LostClaimError(f"{self.store.uri(self.key)} keeps changing hands: run again")

    def _state(self, held: _Held, state_of: Callable[[str], RunState]) -> RunState:
        """What became of the holder; raises `LostClaimError` if it is still at work."""
        if held.until is not None:
            # One that is further ahead is of a wrong clock, and asks again before it deletes.
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
    """A name for a collector of garbage that no other has."""
    return f"{_COLLECTOR} {secrets.token_hex(4)}"


_COLLECTOR: Final = "garbage collection"


def _title(holder: str) -> str:
    if holder.startswith(_COLLECTOR):
        return holder
    return f"run {holder}" if holder else "nobody"
