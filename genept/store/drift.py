"""Rows against the last release: a table that shrank or grew beyond reason is held for approval.

What is new (a collection, a space) is no growth of what was there, so only partitions that the
last release has are compared; one that is gone counts as lost rows. Whether a release is
complete is `release`'s business.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from genept.store.lake import StoredTable
from genept.store.manifest import Manifest
from genept.store.release import Releases
from genept.store.staging import ReleaseRefusedError

FEWEST: Final = 0.8
MOST: Final = 1.5


@dataclass(frozen=True)
class Drift:
    """A table whose rows changed beyond what is published unasked."""

    table: str
    before: int
    after: int
    lost: tuple[str, ...]

    def __str__(self) -> str:
        share = self.after / self.before - 1
        gone = f", without {', '.join(self.lost[:4])}" if self.lost else ""
        return f"{self.table}: {self.before:,} rows became {self.after:,} ({share:+.0%}{gone})"


def drifted(last: Manifest, tables: Mapping[str, StoredTable]) -> list[Drift]:
    """The tables with 20 % fewer or 50 % more rows in the partitions that the last release has."""
    found = []
    for name, released in last.tables.items():
        before: dict[tuple[str, ...], int] = {}
        for file in released.files:
            before[file.partition] = before.get(file.partition, 0) + file.rows
        parts = tables[name].parts if name in tables else ()
        after = sum(part.rows for part in parts if part.partition in before)
        had = sum(before.values())
        if had and not FEWEST * had < after < MOST * had:
            kept = {part.partition for part in parts}
            lost = tuple("/".join(one) for one in before if one and one not in kept)
            found.append(Drift(name, had, after, lost))
    return found


def refuse_drift(
    releases: Releases,
    tables: Mapping[str, StoredTable],
    *,
    limits: Mapping[str, Any],
    left_out: Collection[str],
    approved: Collection[str],
) -> None:
    """Hold a release whose tables drifted, unless they were approved.

    Releases that settings limited in another way, or that left out other collections, are
    not compared.

    Parameters
    ----------
    approved
        Names of tables that may differ this time.

    Raises
    ------
    ReleaseRefusedError
        Says which tables, by how much, and how to approve them.
    """
    if releases.current_id() is None:
        return
    last = releases.current()
    if dict(last.limits) != dict(limits) or set(last.left_out) != set(left_out):
        return
    held = [one for one in drifted(last, tables) if one.table not in approved]
    if held:
        names = " ".join(one.table for one in held)
        raise ReleaseRefusedError(
            f"held for approval, against release {last.release_id}: {'; '.join(map(str, held))}. "
            f"If that is meant, approve it and run again; what is built is kept: "
            f"genept release approve {names} --reason …"
        )
