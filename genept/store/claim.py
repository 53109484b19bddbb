"""Who may publish: the run that claimed the product last, and no run that was given up.

A run claims before it hands over its first table. Who is still at work is for the
orchestrator to say; that a run which was given up cannot publish, whenever it wakes up, is
held by the store alone: its claim is gone, and the pointer it may have read has changed.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, Literal

from genept.store.errors import ConflictError, MissingObjectError, StoreError
from genept.store.release import Releases

RunState = Literal["at work", "done", "given up"]

TRIES: Final = 5
"""How often a claim is tried anew when others claim at the same moment."""


class LostClaimError(StoreError):
    """The run does not hold the claim: it may build, and must not publish."""


class Claim:
    """The claim on one product: `run.json`, rewritten by compare-and-swap.

    Parameters
    ----------
    releases
        Those that the holder may publish.
    """

    def __init__(self, releases: Releases) -> None:
        self.releases, self.store = releases, releases.store
        self.key = f"{releases.product}/run.json"
        self._held: str | None = None

    def take(self, run_id: str, state_of: Callable[[str], RunState]) -> None:
        """Claim for a run; nothing is written if it holds the claim already.

        Parameters
        ----------
        state_of
            What has become of another run. From one that is at work nothing is taken.

        Raises
        ------
        LostClaimError
            If another run is at work, or others keep claiming at the same moment.
        """
        if self._held == run_id:
            return
        for _ in range(TRIES):
            held, etag = self._read()
            holder = held.get("run_id", "")
            state = state_of(holder) if holder not in ("", run_id) else "done"
            if state == "at work":
                raise LostClaimError(
                    f"run {holder} is at work since {held['claimed_at']}: wait for it to end, or "
                    "cancel it, and run again; what is built is kept"
                )
            if holder != run_id:
                with suppress(ConflictError):
                    self.store.put_if_match(self.key, _body(run_id), etag)
                    self._held = run_id
            else:
                self._held = run_id
            if self._held == run_id:
                if state == "given up":
                    self._shut_out()
                return
        raise LostClaimError(f"{self.store.uri(self.key)} keeps changing hands: run again")

    def confirm(self, run_id: str) -> None:
        """Raise `LostClaimError` unless the claim is still this run's."""
        holder = self._read()[0].get("run_id")
        if holder != run_id:
            raise LostClaimError(
                f"run {run_id} was given up, and run {holder} has taken its place: nothing was "
                "published; what is built is kept"
            )

    def _shut_out(self) -> None:
        """Change the pointer's ETag, so that who read it before cannot swap it any more."""
        pointer, etag = self.releases.pointer_with_etag()
        if pointer is not None:
            fenced = {"seq": pointer.seq + 1, "nonce": secrets.token_hex(8)}
            with suppress(ConflictError):  # it swapped first, while the claim was still its own
                self.releases.swap(pointer.model_copy(update=fenced), etag)

    def _read(self) -> tuple[dict[str, Any], str | None]:
        try:
            body, etag = self.store.get_with_etag(self.key)
        except MissingObjectError:
            return {}, None
        return dict(json.loads(body)), etag


def _body(run_id: str) -> bytes:
    claimed_at = datetime.now(UTC).isoformat(timespec="seconds")
    said = {"run_id": run_id, "claimed_at": claimed_at, "nonce": secrets.token_hex(8)}
    return json.dumps(said, sort_keys=True).encode()
