"""One shard of a collection: a run of observations from the publisher's file to parquet.

Processes share shards, and a killed ingest resumes at one. Each reads its own rows, merges columns
of one gene, sorts by observation and counts what the whole collection's tables need. The inner loop
is compiled by numba. Planning and storing shards is `genept.collections.ingestion`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numba
import numpy as np
import polars as pl
import pyarrow as pa
import scipy.sparse as sp
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

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

    `start` is its first row, and `ids` are its observations, in the publisher's order; its files
    are left in `folder` until the lake takes them.
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
    """Write the files of one shard; raises `SourceError` if a value cannot be in its unit."""
    blocks = list(
        checked_blocks(task.expression, task.ids, task.unit, task.start, task.input_genes)
    )
    rows = blocks[0] if len(blocks) == 1 else sp.csr_matrix(sp.vstack(blocks, format="csr"))
    del blocks
    order = np.argsort(np.asarray(task.ids))
    ids = pl.Series("observation_id", task.ids).gather(order)
    counted = _Counted(task)
    expression = _written(task, "expression", _merged(task, rows, order, ids, counted))
    collection = pl.lit(task.collection)
    tables = counted.tables(ids).items()
    labelled = ((table, rows.with_columns(collection_id=collection)) for table, rows in tables)
    return [*(_written(task, table, rows) for table, rows in labelled), expression]


def _written(task: IngestTask, table: str, rows: Rows) -> NewPart:
    path, partition = task.folder / f"{table}-{task.number:05d}", (task.collection,)
    written = write_parquet(path, STORED[table], rows, partition=partition)
    return NewPart(table, written, partition, number=task.number)


def _merged(
    task: IngestTask, rows: sp.csr_matrix, order: NDArray[np.int64], ids: pl.Series, seen: _Counted
) -> Iterator[pa.RecordBatch]:
    """What is written, merged as it is written: the shard is never held twice."""
    schema = TABLES["expression"].schema()
    for start in range(0, order.size, BATCH_ROWS):
        merged = merge_rows(rows, task.axis, order[start : start + BATCH_ROWS])
        seen.add(merged)
        filled, matrix = np.diff(merged.matrix.indptr) > 0, merged.matrix
        batch = ids.slice(start, filled.size).filter(pl.Series(filled))
        if not filled.all():
            matrix = matrix[filled]
        if not len(batch):
            continue
        # Rows of a CSR matrix as list columns: its indptr are their offsets.
        offsets = pa.array(matrix.indptr, pa.int32())
        lists = (("gene_index", matrix.indices.view(np.uint32)), ("value", matrix.data))
        columns = [pa.repeat(task.collection, len(batch)), batch.to_arrow().cast(pa.string())]
        columns += [
            pa.ListArray.from_arrays(offsets, pa.array(values), schema.field(name).type)
            for name, values in lists
        ]
        yield pa.record_batch(columns, schema=schema)


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

    def tables(self, ids: pl.Series) -> dict[str, pl.DataFrame]:
        totals = {"total": self._inputs.signed, "absolute": self._inputs.absolute}
        inputs = pl.DataFrame({"input_id": self._task.input_genes, **totals})
        index = np.arange(self._seen.size, dtype=np.uint32)
        genes = pl.DataFrame({"gene_index": index, "n_observations": self._seen})
        return {
            "shard_observations": pl.concat(self._rows).insert_column(0, ids),
            "shard_inputs": inputs.filter(pl.col("absolute") > 0),
            "shard_genes": genes.filter(pl.col("n_observations") > 0),
        }


AT_ONCE: Final = 8
"""Genes that are taken from a word of 64 without asking whether it has as many."""


def _counted_bits(instruction: Callable[[ir.IRBuilder, Any], Any]) -> Any:
    """An instruction of the processor that numba does not name."""

    def typed(_typing: Any, word: Any) -> Any:
        return types.uint64(word), lambda _, builder, __, words: instruction(builder, words[0])

    return intrinsic(typed)


trailing_zeros: Any = _counted_bits(
    lambda builder, word: builder.cttz(word, ir.Constant(ir.IntType(1), 0))
)
ones: Any = _counted_bits(lambda builder, word: builder.ctpop(word))


@dataclass(frozen=True)
class MergedRows:
    """Rows of one shard over the genes of the axis, indices sorted, no zeros; and their sums.

    `profiles` are hashes of each row's genes and values, the same on every machine: different rows
    agree by chance once in 2^60 or so. `seen` counts the rows that have a value of each gene.
    """

    matrix: sp.csr_matrix
    totals: NDArray[np.float64]
    profiles: NDArray[np.int64]
    seen: NDArray[np.int64]
    inputs: ColumnTotals


def merge_rows(rows: sp.csr_matrix, axis: GeneAxis, order: NDArray[np.int64]) -> MergedRows:
    """Rows over input columns, in `order`, as rows over genes; several inputs are added up.

    Parameters
    ----------
    rows
        Observations × input columns, float32.
    axis
        Gene of each input column; columns without one are left out.
    order
        Which row comes first, second, …; all or some of them.

    Returns
    -------
    MergedRows
        One row per entry of `order`, over the genes of the axis.
    """
    n_rows, n_genes = order.size, len(axis.ensembl_gene_ids)
    n_values = int(np.diff(rows.indptr)[order].sum())
    indptr = np.zeros(n_rows + 1, dtype=np.int64)
    genes = np.empty(n_values, dtype=np.int32)
    values = np.empty(n_values, dtype=np.float32)
    totals = np.empty(n_rows)
    profiles = np.empty(n_rows, dtype=np.uint64)
    seen = np.zeros(n_genes, dtype=np.int64)
    positive, negative = np.zeros(axis.target.size), np.zeros(axis.target.size)
    _merge(
        (rows.indptr, rows.indices, rows.data),
        order,
        axis.target.astype(np.int32),
        n_genes,
        (indptr, genes, values),
        (totals, profiles, seen, positive, negative),
    )
    inputs = ColumnTotals(axis.target.size)
    inputs.signed += positive + negative
    inputs.absolute += positive - negative
    end = int(indptr[-1])
    matrix = sp.csr_matrix((values[:end], genes[:end], indptr), shape=(n_rows, n_genes))
    return MergedRows(matrix, totals, profiles.view(np.int64), seen, inputs)


@numba.njit(cache=True, nogil=True)
def _merge(rows: Any, order: Any, target: Any, n_genes: Any, merged: Any, counted: Any) -> None:
    """What indexes is unsigned throughout: a signed index is tested before each use."""
    indptr, indices, data = rows
    totals, profiles, seen, positive, negative = counted
    out_indptr, out_genes, out_values = merged
    out_bits = out_values.view(np.uint32)
    row_values = np.zeros(n_genes, dtype=np.float32)
    is_present = np.zeros((n_genes + 63) // 64, dtype=np.uint64)
    genes = np.empty(n_genes + AT_ONCE, dtype=np.uint32)
    bit, end = np.uint64(1), np.uint64(0)
    for position in range(order.size):
        row = order[position]
        for at in range(np.uint64(indptr[row]), np.uint64(indptr[row + 1])):
            column, value = np.uint32(indices[at]), data[at]
            if value < 0:
                negative[column] += value
            else:
                positive[column] += value
            if target[column] >= 0:
                gene = np.uint32(target[column])
                row_values[gene] += value
                is_present[gene >> np.uint32(6)] |= bit << np.uint64(gene & np.uint32(63))
        total, profile = 0.0, np.uint64(0)
        for n in range(_positions(is_present, genes)):
            gene = genes[n]
            value = row_values[gene]
            row_values[gene] = 0
            # Written in any case, and the next one over it where it is 0: nothing to predict.
            out_genes[end], out_values[end] = gene, value
            counts = np.uint64(value != 0)
            total += value
            seen[gene] += counts
            profile += _mixed(gene, out_bits[end]) * counts
            end += counts
        out_indptr[position + 1] = end
        totals[position] = total
        profiles[position] = profile


@numba.njit(cache=True, nogil=True, inline="always")
def _positions(is_present: Any, positions: Any) -> Any:
    """Positions of all bits that are set, in order; the bits are cleared. Returns how many.

    Some are written whether a word has as many or not, and written over by the next word's: a
    branch that cannot be predicted would cost as much as eight of them.
    """
    end = np.uint64(0)
    for word in range(np.uint64(is_present.size)):
        bits, first = is_present[word], word << np.uint64(6)
        is_present[word] = 0
        following = end + ones(bits)
        for n in range(np.uint64(AT_ONCE)):
            positions[end + n] = first + trailing_zeros(bits)
            bits &= bits - np.uint64(1)
        end += np.uint64(AT_ONCE)
        while bits:
            positions[end] = first + trailing_zeros(bits)
            bits &= bits - np.uint64(1)
            end += np.uint64(1)
        end = following
    return end


@numba.njit(cache=True, nogil=True, inline="always")
def _mixed(gene: Any, value: Any) -> Any:
    """Bits of one gene's number and value, mixed so that sums of them tell rows apart."""
    mixed = ((np.uint64(gene) << np.uint64(32)) | np.uint64(value)) + np.uint64(1)
    mixed *= np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    return mixed ^ (mixed >> np.uint64(32))
