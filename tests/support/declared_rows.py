"""Rows that fit a table's declaration, made from the declaration itself.

For tests that need valid data whatever a table holds: fixed rows, a hypothesis strategy,
every table stored in a lake, and a candidate for a release of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from hypothesis import strategies as st

from genept.release.manifest import CheckEvidence
from genept.release.publish import ReleaseCandidate
from genept.schema.columns import ENSEMBL_GENE_ID, Column, Table
from genept.schema.tables import SHA256, TABLES, UTC_TIME
from genept.storage.lake import Lake
from genept.storage.provenance import NewPart, Origin, StoredTable

DIMENSION = 4
EXAMPLES = {
    ENSEMBL_GENE_ID: "ENSG{:011}",
    SHA256: "{:064x}",
    UTC_TIME: "{:04}-01-01T00:00:00Z",
    r"^HGNC:\d+$": "HGNC:{}",
    r"^(?:HGNC:\d+)?$": "HGNC:{}",
    r"^\d+$": "{}",
    r"^CL:\d{7}$": "CL:{:07}",
    r"^UBERON:\d{7}$": "UBERON:{:07}",
    r"^(?:UBERON|MONDO):\d{7}$": "MONDO:{:07}",
    r"^(?:MONDO|PATO):\d{7}$": "MONDO:{:07}",
    r"^EFO:\d{7}$": "EFO:{:07}",
    r"^PATO:\d{7}$": "PATO:{:07}",
    r"^HsapDv:\d{7}$": "HsapDv:{:07}",
    r"^CVCL_[A-Z0-9]{4}$": "CVCL_{:04}",
    r"^ACH-\d{6}$": "ACH-{:06}",
    r"^SIDM\d{5}$": "SIDM{:05}",
    r"^\d{4}-\d{2}-\d{2}$": "2026-01-{:02}",
}
"""Template of a value for each pattern; a new pattern in genept/schema/tables needs a line here."""


def declared_rows(
    table: Table,
    n: int = 3,
    *,
    partition: tuple[str, ...] = (),
    dimension: int = DIMENSION,
    first: int = 0,
) -> pa.Table:
    """`n` valid rows of one partition; rows with another `first` have other keys.

    Where the partition alone is the key, there is one row.
    """
    partition = partition or default_partition(table)
    n = min(n, 1) if table.partition == table.key else n
    columns = {
        column.name: [_value(column, i, dimension) for i in range(first, first + n)]
        for column in table.columns
    } | {name: [value] * n for name, value in zip(table.partition, partition, strict=True)}
    return pa.table(columns, schema=table.schema(dimension))


def declared_frame(table: Table, n: int = 3, **options: Any) -> pl.DataFrame:
    """The same as a polars frame."""
    return pl.DataFrame(pl.from_arrow(declared_rows(table, n, **options)))


def default_partition(table: Table) -> tuple[str, ...]:
    return tuple(str(_value(table[name], 0, DIMENSION)) for name in table.partition)


def _value(column: Column, i: int, dimension: int) -> object:
    if column.is_vector:
        vector = np.random.default_rng(i).normal(size=dimension)
        return (vector / np.linalg.norm(vector)).astype(np.float32).tolist()
    if column.is_list:
        return [_scalar(column, i), _scalar(column, i + 1)]
    return _scalar(column, i)


def _scalar(column: Column, i: int) -> object:
    if column.allowed:
        return column.allowed[i % len(column.allowed)]
    if column.pattern:
        return EXAMPLES[column.pattern].format(i + 1)
    low = column.minimum or 0
    if column.is_floating:
        high = low + 1 if column.maximum is None else column.maximum
        return low + (high - low) / (i + 2)
    if pa.types.is_integer(column.element):
        span = None if column.maximum is None else int(column.maximum - low) + 1
        return int(low) + (i % span if span else i)
    return bool(i % 2) if pa.types.is_boolean(column.type) else f"{column.name}-{i:04}"


def any_rows(table: Table, dimension: int = DIMENSION) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Strategy: up to six valid rows with different keys, in any order."""
    row = st.fixed_dictionaries({c.name: _values(c, dimension) for c in table.columns})
    return st.lists(row, max_size=6, unique_by=lambda row: tuple(row[name] for name in table.key))


def _values(column: Column, dimension: int) -> st.SearchStrategy[Any]:
    values = _scalars(column)
    if column.is_vector:
        values = st.lists(values, min_size=dimension, max_size=dimension)
    elif column.is_list:
        values = st.lists(values, max_size=3)
    return st.none() | values if column.nullable else values


def _scalars(column: Column) -> st.SearchStrategy[Any]:
    if column.allowed:
        return st.sampled_from(column.allowed)
    if column.pattern:
        return st.integers(1, 999).map(EXAMPLES[column.pattern].format)
    if column.is_floating:
        return st.floats(
            column.minimum,
            column.maximum,
            allow_nan=False,
            allow_infinity=False,
            width=column.element.bit_width,
        )
    if pa.types.is_integer(column.element):
        return st.integers(-(2**31) if column.minimum is None else int(column.minimum), 2**31)
    return st.booleans() if pa.types.is_boolean(column.type) else st.text(max_size=8)


def store_table(lake: Lake, name: str, rows: pa.Table | None = None) -> StoredTable:
    """One table of the lake, of one part: these rows, or three valid ones."""
    table = TABLES[name]
    rows = declared_rows(table) if rows is None else rows
    partition = tuple(rows[column][0].as_py() for column in table.partition)
    new = NewPart(name, rows, partition, DIMENSION if table.vector else None)
    origin = Origin(code=(), settings={"rows": repr(rows.to_pylist())})
    return lake.assemble(name, lake.build(f"test/{name}", origin, lambda: [new]))


def check_pages() -> dict[str, bytes]:
    """Pages of a candidate's audit; a named function, so that it can be pickled."""
    return {"checks/genes.html": b"<html>all is well</html>"}


def candidate(lake: Lake, *, first: int = 0, **replaced: StoredTable) -> ReleaseCandidate:
    """A complete candidate; another `first` gives another content of `genes`."""
    tables = {name: replaced.get(name) or _stored_once(lake, name) for name in TABLES}
    if first and "genes" not in replaced:
        tables["genes"] = store_table(lake, "genes", declared_rows(TABLES["genes"], first=first))
    return ReleaseCandidate(
        tables=tables,
        evidence=passing(tables),
        sources={},
        platform_version="1",
        audit=check_pages,
    )


_STORED: dict[tuple[object, ...], tuple[Table, StoredTable]] = {}


def _stored_once(lake: Lake, name: str) -> StoredTable:
    """Three valid rows of a table, which is stored by the first candidate of this process.

    Storing what is there takes five requests for each of the fifty tables. Of a declaration that
    a test replaces, the rows are stored anew.
    """
    key = (lake.store.access, lake.prefix, name)
    declared, stored = _STORED.get(key, (None, None))
    if stored is None or declared is not TABLES[name]:
        stored = store_table(lake, name)
        _STORED[key] = TABLES[name], stored
    return stored


def with_tables(base: ReleaseCandidate, **tables: StoredTable) -> ReleaseCandidate:
    """The candidate with these tables instead, and passed evidence of them."""
    replaced = {**base.tables, **tables}
    return replace(base, tables=replaced, evidence=passing(replaced))


def passing(tables: Mapping[str, StoredTable]) -> dict[str, CheckEvidence]:
    """Evidence that each of these tables passed its checks."""
    return {
        name: CheckEvidence(
            table=name,
            data_version=table.data_version,
            suite="suite",
            passed=True,
            expectations=1,
            page=f"evidence/{name}.html",
        )
        for name, table in tables.items()
    }
