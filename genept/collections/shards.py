"""One shard of a collection: a run of observations from the publisher's file to parquet.

The unit of work that processes share and that a killed ingest resumes at. It reads
its own rows, merges columns of one gene, sorts by observation and counts what the
whole collection's tables need. Planning and storing shards is `genept.collections.ingest`.
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

from genept.collections.merging import ColumnTotals, GeneAxis
from genept.sources.parsed import ExpressionRows, checked_blocks
from genept.store.lake import NewPart
from genept.store.parquet import Rows, write_parquet
from genept.tables import STORED, TABLES

SHARD_OBSERVATIONS = 8192
"""Observations a shard: some 100 MB of single cells in memory, tens of MB as parquet."""

BATCH_ROWS = 512
"""Observations that are handed to the writer at once."""


@dataclass(frozen=True)
class ShardTask:
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


def ingest_shard(task: ShardTask) -> list[NewPart]:
    """Write the files of one shard: its expression, and what was counted.

    Raises
    ------
    SourceError
        A value cannot be what the collection's unit says.
    """
    totals = ColumnTotals(len(task.input_genes))

    def counted() -> Iterator[sp.csr_matrix]:
        for block in checked_blocks(task.expression, task.ids, task.unit, task.start):
            totals.add(block)
            yield block

    merged = sp.csr_matrix(sp.vstack(list(task.axis.merge(counted())), format="csr"))
    order = np.argsort(np.asarray(task.ids))
    merged = merged[order]
    ids = pl.Series("observation_id", task.ids).gather(order)
    observations = pl.DataFrame(
        {
            "observation_id": ids,
            "n_genes": np.diff(merged.indptr).astype(np.int64),
            "total": merged.astype(np.float64).sum(axis=1).A1,
            "profile": _profiles(merged),
        }
    )
    inputs = pl.DataFrame(
        {"input_id": task.input_genes, "total": totals.signed, "absolute": totals.absolute}
    ).filter(pl.col("absolute") > 0)
    seen = np.bincount(merged.indices, minlength=merged.shape[1])
    genes = pl.DataFrame(
        {"gene_index": np.arange(seen.size, dtype=np.uint32), "n_observations": seen}
    ).filter(pl.col("n_observations") > 0)
    filled = np.diff(merged.indptr) > 0
    expression = _expression(task.collection, ids.filter(pl.Series(filled)), merged[filled])
    return [
        _written(task, "shard_observations", _of(task.collection, observations)),
        _written(task, "shard_inputs", _of(task.collection, inputs)),
        _written(task, "shard_genes", _of(task.collection, genes)),
        _written(task, "expression", expression),
    ]


def _written(task: ShardTask, table: str, rows: Rows) -> NewPart:
    path = task.folder / f"{table}-{task.number:05d}"
    partition = (task.collection,)
    written = write_parquet(path, STORED[table], rows, partition=partition)
    return NewPart(table, written, partition, number=task.number)


def _of(collection: str, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.lit(collection).alias("collection_id"))


def _profiles(expression: sp.csr_matrix) -> npt.NDArray[np.int64]:
    """A hash of every row's genes and values, the same on every machine.

    A sum over a row of products of mixed bits: equal rows agree; different ones
    agree by chance once in 2^60 or so.
    """
    mixed = (expression.indices.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= expression.data.view(np.uint32).astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
    mixed = (mixed ^ (mixed >> np.uint64(31))) * np.uint64(0xD6E8FEB86659FD93)
    mixed ^= mixed >> np.uint64(32)
    ends = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed, dtype=np.uint64)])
    sums: npt.NDArray[np.uint64] = ends[expression.indptr[1:]] - ends[expression.indptr[:-1]]
    return sums.view(np.int64)


def _expression(collection: str, ids: pl.Series, matrix: sp.csr_matrix) -> Iterator[pa.RecordBatch]:
    """Rows of a CSR matrix, sorted by `ids`, as list columns: its indptr are their offsets."""
    schema = TABLES["expression"].schema()
    for start in range(0, matrix.shape[0], BATCH_ROWS):
        block = matrix[start : start + BATCH_ROWS]
        offsets = pa.array(block.indptr, pa.int32())
        yield pa.record_batch(
            [
                pa.array([collection] * block.shape[0]),
                ids.slice(start, block.shape[0]).to_arrow().cast(pa.string()),
                pa.ListArray.from_arrays(
                    offsets, pa.array(block.indices, pa.uint32()), schema.field("gene_index").type
                ),
                pa.ListArray.from_arrays(offsets, pa.array(block.data), schema.field("value").type),
            ],
            schema=schema,
        )
