"""What must be true before the pointer moves: tables, proof of their checks, deny list, a new id.

Each rule refuses by raising; none of them writes. In which order they are asked is
`genept.store.release`'s business; how declarations may change, `schema_policy`'s.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from genept.store.lake import StoredTable
from genept.store.manifest import Evidence, Pointer, ReleasedTable
from genept.store.staging import ReleaseRefusedError
from genept.tables import TABLES


def new_id(now: datetime, pointer: Pointer | None) -> str:
    """An id that no other attempt has, and that sorts after every release that was current.

    It says when the release was made, to the millisecond. If the clock is behind the newest
    release, because it is wrong or was wrong then, the id is one millisecond after that one.
    """
    newest = max(pointer.heads).rpartition("-")[0] if pointer else ""
    if (stamp := _stamp(now)) <= newest:
        stamp = _stamp(datetime.strptime(newest, _STAMP) + timedelta(milliseconds=1))
    return f"{stamp}-{secrets.token_hex(3)}"


_STAMP: Final = "%Y%m%dT%H%M%S.%fZ"


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y%m%dT%H%M%S}.{moment.microsecond // 1000:03}Z"


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
