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
import polars as pl
import pyarrow as pa
import scipy.sparse as sp

from genept.collections.merging import GeneAxis
from genept.collections.rows import merge_rows
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
    blocks = list(checked_blocks(task.expression, task.ids, task.unit, task.start))
    rows = blocks[0] if len(blocks) == 1 else sp.csr_matrix(sp.vstack(blocks, format="csr"))
    del blocks
    order = np.argsort(np.asarray(task.ids))
    merged = merge_rows(rows, task.axis, order)
    del rows
    n_genes = np.diff(merged.matrix.indptr)
    ids = pl.Series("observation_id", task.ids).gather(order)
    observations = pl.DataFrame(
        {
            "observation_id": ids,
            "n_genes": n_genes.astype(np.int64),
            "total": merged.totals,
            "profile": merged.profiles,
        }
    )
    inputs = pl.DataFrame(
        {
            "input_id": task.input_genes,
            "total": merged.inputs.signed,
            "absolute": merged.inputs.absolute,
        }
    ).filter(pl.col("absolute") > 0)
    genes = pl.DataFrame(
        {"gene_index": np.arange(merged.seen.size, dtype=np.uint32), "n_observations": merged.seen}
    ).filter(pl.col("n_observations") > 0)
    filled, matrix = n_genes > 0, merged.matrix
    if not filled.all():
        ids, matrix = ids.filter(pl.Series(filled)), matrix[filled]
    expression = _expression(task.collection, ids, matrix)
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


def _expression(collection: str, ids: pl.Series, matrix: sp.csr_matrix) -> Iterator[pa.RecordBatch]:
    """Rows of a CSR matrix, sorted by `ids`, as list columns: its indptr are their offsets."""
    schema = TABLES["expression"].schema()
    genes, values = matrix.indices.view(np.uint32), matrix.data
    for start in range(0, matrix.shape[0], BATCH_ROWS):
        ends = matrix.indptr[start : start + BATCH_ROWS + 1]
        span = slice(int(ends[0]), int(ends[-1]))  # scipy would copy the rows
        offsets = pa.array(ends - ends[0], pa.int32())
        yield pa.record_batch(
            [
                pa.array([collection] * (ends.size - 1)),
                ids.slice(start, ends.size - 1).to_arrow().cast(pa.string()),
                pa.ListArray.from_arrays(
                    offsets, pa.array(genes[span]), schema.field("gene_index").type
                ),
                pa.ListArray.from_arrays(
                    offsets, pa.array(values[span]), schema.field("value").type
                ),
            ],
            schema=schema,
        )
