"""Drift: parts of tables that lost or gained too many rows since the current release; a hold.

Only values that the current release has are compared: rows of a new collection, space or label do
not count. `genept.schema.tables` says which columns name subjects. Recording and approving is in
`genept.release.approval_records`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final, Literal, TypeAlias

import polars as pl
from pydantic import ConfigDict

from genept.release.manifest import Manifest
from genept.release.released_files import ReleasedFiles
from genept.schema import Table
from genept.schema.tables import TABLES
from genept.storage import Document, Lake, StoredTable

FEWEST: Final = 0.8
MOST: Final = 1.5
FEW: Final = 10
"""A difference of fewer rows is never too much, unless no row is left."""

SHOWN: Final = 20
"""Lines of a hold that are shown."""

ROWS: Final = "rows"
Rows: TypeAlias = pl.DataFrame
"""One row for each combination of values of some columns, with its number of rows in `ROWS`."""

_File: TypeAlias = tuple[tuple[str, ...], int, Callable[[], Path]]
"""A file of a table: the values of its partition, its number of rows, and its download."""


class Change(Document):
    """A part of a table whose number of rows changed too much.

    Parameters
    ----------
    table
        Name of the table.
    column
        Name of the column that selects the rows; names of the partition columns, separated by
        commas; or empty for the whole table.
    value
        Value of the column, or values of the partition columns separated by slashes.
    before, after
        Rows in the current release and in the candidate, without rows of new values.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    table: str
    column: str = ""
    value: str = ""
    before: int
    after: int

    @property
    def subject(self) -> str:
        """Kind of the value, such as ``collection``; empty for the whole table."""
        declared = TABLES.get(self.table)
        names = {column.name: column.subject for column in declared.subjects} if declared else {}
        return names.get(self.column) or (self.column and "partition")

    @property
    def part(self) -> str:
        """Description of the part, such as ``observations, collection pbmc-hao``."""
        return f"{self.table}, {self.subject} {self.value}" if self.column else self.table

    def __str__(self) -> str:
        if not self.after:
            rows = f"all {self.before:,} rows are" if self.before > 1 else "its only row is"
            return f"{self.part}: {rows} gone"
        share = f"{self.after / self.before - 1:+.0%}".replace("-", "−")
        return f"{self.part}: {self.before:,} rows became {self.after:,} ({share})"

    def covers(self, later: Change) -> bool:
        """Return whether an approval of this change covers one of a later run.

        It does for the same part of the same table, if the rows differ from the approved number
        by no more than they may differ from release to release.
        """
        if (self.table, self.column, self.value) != (later.table, later.column, later.value):
            return False
        low, high = sorted((self.before, self.after))
        return not (
            (later.after < low and is_too_much(low, later.after))
            or (later.after > high and is_too_much(high, later.after))
        )


class Hold(Document):
    """The changes that a run was held for; without changes, the last run was not held.

    Parameters
    ----------
    against
        Id of the release that was current.
    at
        When the run was held.
    run
        Id of the run; empty if it has none.
    changes
        Changes of tables that need an approval.
    inputs
        Sentences on changed sources and versions since that release.
    removed
        Collections and spaces of that release that the run was configured not to build.
    nonce
        Set anew each time the record is written.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    format: Literal[1] = 1
    against: str
    at: datetime
    run: str = ""
    changes: tuple[Change, ...]
    inputs: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    nonce: str = ""

    @property
    def tables(self) -> list[str]:
        """Names of the tables that are held."""
        return list(dict.fromkeys(change.table for change in self.changes))

    def lines(self) -> list[str]:
        """Return one line for each subject that is gone and for each other change."""
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


def is_too_much(before: int, after: int) -> bool:
    """Return whether a change needs an approval: 20 % fewer rows, 50 % more, or none left."""
    if not before or (after and abs(after - before) < FEW):
        return False
    return not FEWEST * before < after < MOST * before


def changes(
    lake: Lake, files: ReleasedFiles, last: Manifest, tables: Mapping[str, StoredTable]
) -> list[Change]:
    """Find the parts of tables that changed too much since a release, in order of its tables.

    Tables of equal content are not read; of others, only the columns that name subjects are read,
    unless these are all partition columns. Tables that are no longer declared are not compared:
    see `genept.release.gate`.
    """
    changed: list[Change] = []
    for name, released in last.tables.items():
        stored = tables.get(name)
        if name not in TABLES or (stored and stored.data_version == released.data_version):
            continue
        table, known = TABLES[name], {column.name for column in released.columns}
        wanted = dict.fromkeys((*table.partition, *(column.name for column in table.subjects)))
        columns = [column for column in wanted if column in known]
        old = [
            (file.partition, file.rows, partial(files.local, last, file)) for file in released.files
        ]
        parts = stored.parts if stored else ()
        new = [(part.partition, part.rows, partial(lake.local, part)) for part in parts]
        before = _counted(columns, released.partition, old)
        changed += _table_changes(table, before, _counted(columns, table.partition, new))
    return changed


def _counted(columns: Sequence[str], partition: Sequence[str], files: Iterable[_File]) -> Rows:
    """Count the rows of each combination of values of the columns."""
    schema = dict.fromkeys(columns, pl.String()) | {ROWS: pl.Int64()}
    if set(columns) <= set(partition):
        counted = [
            {**dict(zip(partition, values, strict=True)), ROWS: rows} for values, rows, _ in files
        ]
        rows = pl.DataFrame(counted, {**dict.fromkeys(partition, pl.String()), **schema})
        rows = rows.select(*schema)
    else:
        counts = [
            pl.scan_parquet(path(), glob=False)
            .group_by(columns)
            .agg(pl.len().cast(pl.Int64).alias(ROWS))
            .collect()
            for _, _, path in files
        ]
        rows = pl.concat([pl.DataFrame(schema=schema), *counts])
    return rows.filter(pl.col(ROWS) > 0)


def _table_changes(table: Table, before: Rows, after: Rows) -> list[Change]:
    """Changes of one table, given the rows of each combination of subjects and partition."""
    subjects = [column.name for column in table.subjects if column.name in before.columns]
    subjects.sort(key=lambda name: name != table.collection)  # it explains its other subjects
    partition = [name for name in table.partition if name in before.columns]
    partitions = [partition] if len(partition) > 1 else []
    lasting = [[name] for name in subjects if table[name].lasting]
    explained = after
    for keys in (*([name] for name in subjects), *partitions):
        explained = explained.join(before, on=keys, how="semi")
    candidates: list[Change] = []
    kept = before
    for keys in (*lasting, *partitions):
        gone = kept.join(after, on=keys, how="anti")
        candidates += _too_much(table, keys, gone, gone.clear())
        kept = kept.join(after, on=keys, how="semi")
    for keys in (*lasting, []):
        candidates += _too_much(table, keys, kept, explained)
    distinct: dict[tuple[int, int], str] = {}  # the same rows, selected by another column
    return [
        change
        for change in candidates
        if distinct.setdefault((change.before, change.after), change.column) == change.column
        and not (table.lists_missing and change.after < change.before)
    ]


def _too_much(table: Table, keys: Sequence[str], before: Rows, after: Rows) -> Iterator[Change]:
    """Changes of the values of some columns, or of the whole table, that are too much."""
    if not keys:
        rows = [("", int(before[ROWS].sum()), int(after[ROWS].sum()))]
    else:
        value = pl.concat_str(keys, separator="/").alias("value")
        sums = [rows_of.group_by(value).agg(pl.col(ROWS).sum()) for rows_of in (before, after)]
        joined = sums[0].join(sums[1], on="value", how="left").fill_null(0).sort("value")
        rows = list(joined.iter_rows())
    for name, was, now in rows:
        if is_too_much(was, now):
            column = ", ".join(keys)
            yield Change(table=table.name, column=column, value=name, before=was, after=now)
