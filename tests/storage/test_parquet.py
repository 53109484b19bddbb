"""Parquet files hold what was declared, the same bytes for the same rows, or are not written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from declared_rows import DIMENSION, any_rows, declared_frame, declared_rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genept.schema.columns import Table
from genept.schema.tables import TABLES
from genept.storage import parquet
from genept.storage.parquet import TableContractError, write_parquet

OBSERVATIONS, EXPRESSION, AXIS = (
    TABLES[name] for name in ("observations", "expression", "gene_axis")
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.parquet"


def batches(rows: pa.Table, size: int) -> Iterator[pa.RecordBatch]:
    yield from rows.to_batches(max_chunksize=size)


# --- same rows, same bytes ---------------------------------------------------------------


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), table=st.sampled_from(list(TABLES.values())))
def test_rows_in_any_order_give_the_same_bytes_and_come_back(
    path: Path, data: st.DataObject, table: Table
) -> None:
    schema = table.schema(DIMENSION)
    rows = data.draw(any_rows(table))
    first = write_parquet(path, table, pa.Table.from_pylist(rows, schema), DIMENSION)
    again = data.draw(st.permutations(rows))
    frame = pl.DataFrame(pl.from_arrow(pa.Table.from_pylist(again, schema)))
    assert write_parquet(path, table, frame, DIMENSION) == first
    assert (first.rows, first.bytes) == (len(rows), path.stat().st_size)
    stored = pq.read_table(path)
    assert stored.schema.equals(schema, check_metadata=False)
    expected = sorted(rows, key=lambda row: tuple(row[name] for name in table.key))
    assert stored.equals(pa.Table.from_pylist(expected, schema))


def test_bytes_do_not_depend_on_chunks_columns_order_or_the_widths_of_types(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "ROW_GROUP_BYTES", 4096)
    rows = declared_rows(OBSERVATIONS, 200)
    written = write_parquet(path, OBSERVATIONS, rows)
    assert pq.ParquetFile(path).num_row_groups > 1
    order = np.random.default_rng(1).permutation(200)
    shuffled = rows.take(order).select(rows.column_names[::-1])
    chunked = pa.concat_tables([shuffled.slice(0, 7), shuffled.slice(7)])
    frame = pl.DataFrame(pl.from_arrow(shuffled)).with_columns(
        pl.col("group_id").cast(pl.Categorical), pl.col("n_genes").cast(pl.Int32)
    )
    masked = rows.set_column(
        rows.schema.get_field_index("total"),
        "total",
        pa.array(rows["total"].to_numpy(), mask=rows["total"].is_null().to_numpy()),
    )
    for same in (chunked, frame, masked):
        assert write_parquet(path, OBSERVATIONS, same) == written


def test_files_say_what_they_hold(path: Path) -> None:
    write_parquet(path, EXPRESSION, declared_rows(EXPRESSION))
    schema = pq.read_schema(path)
    assert schema.metadata[b"table"] == b"expression"
    assert schema.metadata[b"key"] == b"collection_id,observation_id"
    assert schema.field("value").metadata[b"description"] == EXPRESSION["value"].meaning.encode()


def test_batches_are_streamed_and_each_is_a_row_group_at_least(path: Path) -> None:
    rows = declared_rows(EXPRESSION, 10)
    written = write_parquet(path, EXPRESSION, batches(rows, 4))
    assert written.rows == 10
    assert pq.ParquetFile(path).num_row_groups == 3
    assert pq.read_table(path).equals(rows)


@pytest.mark.parametrize("nothing", [declared_rows(OBSERVATIONS, 0), iter(())])
def test_no_rows_are_a_file_with_a_schema(path: Path, nothing: Any) -> None:
    assert write_parquet(path, OBSERVATIONS, nothing).rows == 0
    assert pq.read_schema(path).names == [column.name for column in OBSERVATIONS.columns]


def test_a_nullable_column_may_be_wholly_empty(path: Path) -> None:
    frame = declared_frame(OBSERVATIONS).with_columns(pl.lit(None).alias("diagnosis"))
    write_parquet(path, OBSERVATIONS, frame)
    assert pq.read_table(path)["diagnosis"].to_pylist() == [None] * 3


# --- what is refused ---------------------------------------------------------------------


def replaced(table: Table, **columns: list[Any]) -> pa.Table:
    """Three valid rows with these columns instead, of the types that Python's values suggest."""
    rows = declared_rows(table)
    for name, values in columns.items():
        rows = rows.set_column(rows.schema.get_field_index(name), name, pa.array(values))
    return rows


@pytest.mark.parametrize(
    ("table", "rows", "message"),
    [
        (OBSERVATIONS, declared_rows(OBSERVATIONS).drop(["total"]), r"missing columns \['total'\]"),
        (
            OBSERVATIONS,
            declared_rows(OBSERVATIONS).append_column("mood", pa.array(["a", "b", "c"])),
            r"undeclared columns \['mood'\]",
        ),
        (
            OBSERVATIONS,
            replaced(OBSERVATIONS, n_genes=["1", "2", "3"]),
            "'n_genes': it is declared as int64, these values are string",
        ),
        (
            OBSERVATIONS,
            replaced(OBSERVATIONS, batch=[1, 2, 3]),
            "'batch': it is declared as string, these values are int64",
        ),
        (
            OBSERVATIONS,
            replaced(OBSERVATIONS, n_genes=[True, False, True]),
            "'n_genes': it is declared as int64, these values are bool",
        ),
        (
            OBSERVATIONS,
            replaced(OBSERVATIONS, n_genes=[1.5, 2.0, 3.0]),
            "'n_genes': .*1.50* was truncated",
        ),
        (
            OBSERVATIONS,
            replaced(OBSERVATIONS, n_genes=[[1], [2], [3]]),
            "'n_genes': it is declared as int64, these values are list",
        ),
        (AXIS, replaced(AXIS, gene_index=[-1, 0, 1]), "'gene_index': .*-1 not in range"),
        (
            OBSERVATIONS,
            replaced(OBSERVATIONS, total=[1.0, None, None]),
            "'total': 2 of 3 values are empty, but the column is declared as required",
        ),
        (
            OBSERVATIONS,
            replaced(OBSERVATIONS, total=[None, None, None]),
            "'total': 3 of 3 values are empty",
        ),
        (
            EXPRESSION,
            replaced(EXPRESSION, value=[[1.0], [None, 2.0], None]),
            "'value': 1 of 3 values are empty",
        ),
        (
            EXPRESSION,
            replaced(EXPRESSION, value=[[1.0], [None, 2.0], [None]]),
            "'value': 2 of the values in its lists are empty",
        ),
        (
            OBSERVATIONS,
            replaced(OBSERVATIONS, observation_id=["a", "b", "a"]),
            r"several rows have the key \('collection_id-0000', 'a'\)",
        ),
    ],
)
@pytest.mark.parametrize("streamed", [False, True], ids=["frame", "batches"])
def test_rows_that_break_the_declaration_leave_no_file(
    path: Path, table: Table, rows: pa.Table, message: str, streamed: bool
) -> None:
    with pytest.raises(TableContractError, match=f"table '{table.name}'.*{message}"):
        write_parquet(path, table, batches(rows, 3) if streamed else rows)
    assert not path.exists()


def test_vectors_of_another_dimension_are_refused(path: Path) -> None:
    table = TABLES["gene_embeddings"]
    with pytest.raises(
        TableContractError, match="'gene_embeddings', column 'embedding': Size of FixedSizeList"
    ):
        write_parquet(path, table, declared_rows(table, dimension=3), 4)
    with pytest.raises(ValueError, match="give its dimension"):
        write_parquet(path, table, declared_rows(table, dimension=3))


def test_batches_must_come_sorted_within_and_between(path: Path) -> None:
    rows = declared_rows(OBSERVATIONS, 4)
    for order in ([1, 0, 2, 3], [2, 3, 0, 1]):
        with pytest.raises(TableContractError, match="rows are not sorted by"):
            write_parquet(path, OBSERVATIONS, batches(rows.take(order), 2))
    with pytest.raises(TableContractError, match="several rows have the key .*0001"):
        write_parquet(path, OBSERVATIONS, batches(rows.take([0, 1, 1, 2]), 2))


def test_a_row_of_another_partition_is_refused(path: Path) -> None:
    mixed = pa.concat_tables(
        [
            declared_rows(OBSERVATIONS, partition=("mine",)),
            declared_rows(OBSERVATIONS, 1, partition=("yours",)),
        ]
    )
    for partition in (("mine",), ("yours",)):
        with pytest.raises(TableContractError, match="does not belong to the partition"):
            write_parquet(path, OBSERVATIONS, mixed, partition=partition)
    assert write_parquet(path, OBSERVATIONS, mixed).rows == 4


def test_an_interrupted_stream_leaves_no_file(path: Path) -> None:
    def interrupted() -> Iterator[pa.RecordBatch]:
        yield from declared_rows(OBSERVATIONS).to_batches()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_parquet(path, OBSERVATIONS, interrupted())
    assert not path.exists()
