"""One shard of a collection: a run of observations from the publisher's file to parquet.

The unit of work that processes share and that a killed ingest resumes at. It reads
its own rows, merges columns of one gene, sorts by observation and counts what the
whole collection's tables need. Planning and storing shards is `genept.collections.ingestion`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import scipy.sparse as sp

from genept.collections.merge_loop import MergedRows, merge_rows
from genept.collections.merging import ColumnTotals, GeneAxis
from genept.datasources.readers import ExpressionRows, checked_blocks
from genept.schema.tables import STORED, TABLES
from genept.storage import NewPart, Rows, write_parquet

SHARD_OBSERVATIONS = 8192
"""Observations a shard: some 100 MB of single cells in memory, tens of MB as parquet."""

BATCH_ROWS = 512
"""Observations that are given to the writer at once."""


@dataclass(frozen=True)
class IngestTask:
    """What a process needs to ingest one shard; small, so that it can be sent.

    Parameters
    ----------
    number, start
        Which shard, and its first row in the publisher's order.
    ids
        Ids of its observations, in the publisher's order.
    folder
        Where its files are left until the lake takes them.
    """

    collection: str
    unit: str
    expression: ExpressionRows
    input_genes: tuple[str, ...]
    axis: GeneAxis
    number: int
    start: int
    ids: tuple[str, ...]
    folder: Path


def spans_of(n_observations: int) -> list[tuple[int, int]]:
    """First row and number of rows of each shard."""
    return [
        (start, min(SHARD_OBSERVATIONS, n_observations - start))
        for start in range(0, n_observations, SHARD_OBSERVATIONS)
    ]


def get_ready() -> None:
    """Load what shards need, the compiled loop included: a new process starts with it."""
    merge_rows(sp.csr_matrix(np.ones((1, 1), dtype=np.float32)), GeneAxis.of([""]), np.arange(1))


def ingest_shard(task: IngestTask) -> list[NewPart]:
    """Write the files of one shard: its expression, and what was counted.

    Raises
    ------
    SourceError
        A value cannot be what the collection's unit says.
    """
    blocks = list(
        checked_blocks(task.expression, task.ids, task.unit, task.start, task.input_genes)
    )
    rows = blocks[0] if len(blocks) == 1 else sp.csr_matrix(sp.vstack(blocks, format="csr"))
    del blocks
    order = np.argsort(np.asarray(task.ids))
    ids = pl.Series("observation_id", task.ids).gather(order)
    counted = _Counted(task)
    expression = _written(task, "expression", _merged(task, rows, order, ids, counted))
    return [
        _written(task, "shard_observations", counted.observations(ids)),
        _written(task, "shard_inputs", counted.of_inputs()),
        _written(task, "shard_genes", counted.of_genes()),
        expression,
    ]


def _written(task: IngestTask, table: str, rows: Rows) -> NewPart:
    path = task.folder / f"{table}-{task.number:05d}"
    partition = (task.collection,)
    written = write_parquet(path, STORED[table], rows, partition=partition)
    return NewPart(table, written, partition, number=task.number)


def _merged(
    task: IngestTask,
    rows: sp.csr_matrix,
    order: npt.NDArray[np.int64],
    ids: pl.Series,
    seen: _Counted,
) -> Iterator[pa.RecordBatch]:
    """What is written, merged as it is written: the shard is never held twice."""
    for start in range(0, order.size, BATCH_ROWS):
        merged = merge_rows(rows, task.axis, order[start : start + BATCH_ROWS])
        seen.add(merged)
        filled, matrix = np.diff(merged.matrix.indptr) > 0, merged.matrix
        batch = ids.slice(start, filled.size)
        if not filled.all():
            batch, matrix = batch.filter(pl.Series(filled)), matrix[filled]
        if len(batch):
            yield _record_batch(task.collection, batch, matrix)


def _record_batch(collection: str, ids: pl.Series, matrix: sp.csr_matrix) -> pa.RecordBatch:
    """Rows of a CSR matrix as list columns: its indptr are their offsets."""
    schema = TABLES["expression"].schema()
    offsets = pa.array(matrix.indptr, pa.int32())
    lists = (("gene_index", matrix.indices.view(np.uint32)), ("value", matrix.data))
    return pa.record_batch(
        [
            pa.array([collection] * len(ids)),
            ids.to_arrow().cast(pa.string()),
            *(
                pa.ListArray.from_arrays(offsets, pa.array(values), schema.field(name).type)
                for name, values in lists
            ),
        ],
        schema=schema,
    )


class _Counted:
    """What the tables of the whole collection need to know of one shard."""

    def __init__(self, task: IngestTask) -> None:
        self._task = task
        self._rows: list[pl.DataFrame] = []
        self._inputs = ColumnTotals(len(task.input_genes))
        self._seen = np.zeros(len(task.axis.ensembl_gene_ids), dtype=np.int64)

    def add(self, merged: MergedRows) -> None:
        n_genes = np.diff(merged.matrix.indptr).astype(np.int64)
        self._rows.append(
            pl.DataFrame({"n_genes": n_genes, "total": merged.totals, "profile": merged.profiles})
        )
        self._inputs.signed += merged.inputs.signed
        self._inputs.absolute += merged.inputs.absolute
        self._seen += merged.seen

    def observations(self, ids: pl.Series) -> pl.DataFrame:
        return self._labelled(pl.concat(self._rows).insert_column(0, ids))

    def of_inputs(self) -> pl.DataFrame:
        totals = {"total": self._inputs.signed, "absolute": self._inputs.absolute}
        rows = pl.DataFrame({"input_id": self._task.input_genes, **totals})
        return self._labelled(rows.filter(pl.col("absolute") > 0))

    def of_genes(self) -> pl.DataFrame:
        index = np.arange(self._seen.size, dtype=np.uint32)
        rows = pl.DataFrame({"gene_index": index, "n_observations": self._seen})
        return self._labelled(rows.filter(pl.col("n_observations") > 0))

    def _labelled(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows.with_columns(pl.lit(self._task.collection).alias("collection_id"))
