"""What must be true before the pointer moves: tables, proof of their checks, clock, deny list.

Each rule refuses by raising; none of them writes. In which order they are asked is
`genept.store.release`'s business; how declarations may change, `schema_policy`'s.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime

from genept.store.lake import StoredTable
from genept.store.manifest import Evidence, Pointer, ReleasedTable
from genept.store.staging import ReleaseRefusedError
from genept.tables import TABLES


def new_id(now: datetime, pointer: Pointer | None) -> str:
    """An id that sorts by time, to the millisecond, and that no other attempt has.

    Raises
    ------
    ReleaseRefusedError
        If it would not be newer than every release that is or was current.
    """
    stamp = f"{now:%Y%m%dT%H%M%S}.{now.microsecond // 1000:03}Z"
    known = pointer.heads if pointer else ()
    if known and stamp <= (newest := max(known)).rpartition("-")[0]:
        raise ReleaseRefusedError(
            f"a release of {stamp} would not be newer than the current {newest}: "
            "set this machine's clock right and run again"
        )
    return f"{stamp}-{secrets.token_hex(3)}"


def refuse_incomplete(tables: Mapping[str, StoredTable | ReleasedTable]) -> None:
    """Every declared table is there, and no other."""
    if missing := sorted(set(TABLES) - set(tables)):
        raise ReleaseRefusedError(f"tables are missing from the release: {', '.join(missing)}")
    if unknown := sorted(set(tables) - set(TABLES)):
        raise ReleaseRefusedError(f"genept/tables.py does not declare {', '.join(unknown)}")


def refuse_unproved(
    tables: Mapping[str, StoredTable | ReleasedTable], evidence: Mapping[str, Evidence]
) -> None:
    """This very content of every table passed its checks."""
    for name, table in tables.items():
        proof = evidence.get(name)
        if proof is None or proof.data_version != table.data_version:
            raise ReleaseRefusedError(f"{name}: nothing shows that this content was checked")
        if not proof.passed:
            raise ReleaseRefusedError(f"{name} failed its checks: {'; '.join(proof.failed)}")


def refuse_denied(pointer: Pointer, data_version: str) -> None:
    """Content that was rolled back from does not come back with the next nightly run."""
    for denied in pointer.denied:
        if denied.data_version == data_version and denied.lifted_at is None:
            raise ReleaseRefusedError(
                f"this content was published as {denied.release_id} and rolled back from on "
                f"{denied.denied_at} ({denied.reason}); {pointer.release_id} stays current: change "
                f"what made it, or take it back with `genept release allow {denied.release_id}`"
            )
