"""The inner loop of ingest: rows over input columns become rows over genes, in one pass.

Merges the columns of a gene, sorts, counts and hashes while a row is in the cache.
Compiled by numba, because the same in array operations passes over all values a dozen
times. What lands where is decided in `genept.collections.merging`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numba
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from genept.collections.merging import ColumnTotals, GeneAxis

SEQUENCE: Final = np.uint64(0x03F79D71B4CB0A89)
"""A de Bruijn sequence: multiplied by a single bit, its six upper bits say which it was."""

BIT: Final = np.zeros(64, dtype=np.int64)
for _bit in range(64):
    BIT[((1 << _bit) * int(SEQUENCE) & 0xFFFFFFFFFFFFFFFF) >> 58] = _bit


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
    order
        Which row comes first, second, …; all or some of them.
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
    _merge(
        (rows.indptr, rows.indices, rows.data),
        order,
        axis.target.astype(np.int32),
        n_genes,
        (indptr, genes, values),
        (totals, profiles, seen, inputs.signed, inputs.absolute),
    )
    end = int(indptr[-1])
    matrix = sp.csr_matrix((values[:end], genes[:end], indptr), shape=(n_rows, n_genes))
    return MergedRows(matrix, totals, profiles.view(np.int64), seen, inputs)


@numba.njit(cache=True, nogil=True)
def _merge(rows: Any, order: Any, target: Any, n_genes: Any, merged: Any, counted: Any) -> None:
    indptr, indices, data = rows
    out_indptr, out_genes, out_values = merged
    out_bits = out_values.view(np.uint32)
    totals, profiles, seen, signed, absolute = counted
    row_values = np.zeros(n_genes, dtype=np.float32)
    is_present = np.zeros((n_genes + 63) // 64, dtype=np.uint64)
    one = np.uint64(1)
    end = 0
    for position in range(order.size):
        row = order[position]
        for at in range(indptr[row], indptr[row + 1]):
            column, value = indices[at], data[at]
            signed[column] += value
            absolute[column] += abs(value)
            gene = target[column]
            if gene >= 0:
                row_values[gene] += value
                is_present[gene >> 6] |= one << np.uint64(gene & 63)
        total, profile = 0.0, np.uint64(0)
        for word in range(is_present.size):
            bits = is_present[word]
            is_present[word] = 0
            while bits:
                lowest = bits & (~bits + one)
                bits ^= lowest
                gene = (word << 6) + BIT[(lowest * SEQUENCE) >> np.uint64(58)]
                value = row_values[gene]
                row_values[gene] = 0
                if value != 0:
                    out_genes[end] = gene
                    out_values[end] = value
                    total += value
                    seen[gene] += 1
                    profile += _mixed(gene, out_bits[end])
                    end += 1
        out_indptr[position + 1] = end
        totals[position] = total
        profiles[position] = profile


@numba.njit(cache=True, nogil=True)
def _mixed(gene: Any, value: Any) -> Any:
    """Bits of one gene's number and value, mixed so that sums of them tell rows apart."""
    mixed = np.uint64(gene + 1) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= np.uint64(value) * np.uint64(0xC2B2AE3D27D4EB4F)
    mixed = (mixed ^ (mixed >> np.uint64(31))) * np.uint64(0xD6E8FEB86659FD93)
    return mixed ^ (mixed >> np.uint64(32))
