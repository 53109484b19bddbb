"""The inner loop of ingest: rows over input columns become rows over genes, in one pass.

Compiled by numba, because it visits every value of a collection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numba
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from genept.collections.merging import ColumnTotals, GeneAxis

AT_ONCE: Final = 8
"""Genes that are taken from a word of 64 without asking whether it has as many."""


def _counted_bits(name: str) -> Any:
    """An instruction of the processor that numba does not name."""

    def instruction(_typing: Any, word: Any) -> Any:
        def codegen(_context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
            if name == "ctpop":
                return builder.ctpop(arguments[0])
            return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

        return types.uint64(word), codegen

    return intrinsic(instruction)


trailing_zeros: Any = _counted_bits("cttz")

ones: Any = _counted_bits("ctpop")


@dataclass(frozen=True)
class MergedRows:
    """Rows of one shard over the genes of the axis.

    Parameters
    ----------
    matrix
        Observations × genes, float32, indices sorted, no zeros.
    totals
        Sum of each row.
    profiles
        A hash of each row's genes and values: equal rows agree, different ones agree by
        chance once in 2^60 or so. The same on every machine.
    seen
        Rows that have a value of each gene.
    inputs
        Totals of the input columns.
    """

    matrix: sp.csr_matrix
    totals: npt.NDArray[np.float64]
    profiles: npt.NDArray[np.int64]
    seen: npt.NDArray[np.int64]
    inputs: ColumnTotals


def merge_rows(rows: sp.csr_matrix, axis: GeneAxis, order: npt.NDArray[np.int64]) -> MergedRows:
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
    inputs = ColumnTotals(axis.target.size)
    positive, negative = np.zeros(axis.target.size), np.zeros(axis.target.size)
    _merge(
        (rows.indptr, rows.indices, rows.data),
        order,
        axis.target.astype(np.int32),
        n_genes,
        (indptr, genes, values),
        (totals, profiles, seen, positive, negative),
    )
    inputs.signed += positive + negative
    inputs.absolute += positive - negative
    end = int(indptr[-1])
    matrix = sp.csr_matrix((values[:end], genes[:end], indptr), shape=(n_rows, n_genes))
    return MergedRows(matrix, totals, profiles.view(np.int64), seen, inputs)


@numba.njit(cache=True, nogil=True)
def _merge(rows: Any, order: Any, target: Any, n_genes: Any, merged: Any, counted: Any) -> None:
    """What indexes is unsigned throughout: a signed index is tested before each use."""
    indptr, indices, data = rows
    out_indptr, out_genes, out_values = merged
    out_bits = out_values.view(np.uint32)
    totals, profiles, seen, positive, negative = counted
    row_values = np.zeros(n_genes, dtype=np.float32)
    is_present = np.zeros((n_genes + 63) // 64, dtype=np.uint64)
    genes = np.empty(n_genes + AT_ONCE, dtype=np.uint32)
    one, end = np.uint64(1), np.uint64(0)
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
                is_present[gene >> np.uint32(6)] |= one << np.uint64(gene & np.uint32(63))
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

    Some are written whether a word has as many or not, and written over by the next word's: how
    many a word has cannot be predicted, and each time would cost as much as eight of them.
    """
    found = np.uint64(0)
    for word in range(np.uint64(is_present.size)):
        bits, first = is_present[word], word << np.uint64(6)
        is_present[word] = 0
        following = found + ones(bits)
        for n in range(np.uint64(AT_ONCE)):
            positions[found + n] = first + trailing_zeros(bits)
            bits &= bits - np.uint64(1)
        found += np.uint64(AT_ONCE)
        while bits:
            positions[found] = first + trailing_zeros(bits)
            bits &= bits - np.uint64(1)
            found += np.uint64(1)
        found = following
    return found


@numba.njit(cache=True, nogil=True, inline="always")
def _mixed(gene: Any, value: Any) -> Any:
    """Bits of one gene's number and value, mixed so that sums of them tell rows apart."""
    mixed = ((np.uint64(gene) << np.uint64(32)) | np.uint64(value)) + np.uint64(1)
    mixed *= np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    return mixed ^ (mixed >> np.uint64(32))
