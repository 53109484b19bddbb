"""Several input columns that are mapped to one gene become one column, by the collection's policy.

The gene axis and the totals of input columns. The compiled loop over rows is in
`genept.collections.merge_loop`, so that looking at a file does not import numba.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from genept.nomenclature import DuplicatePolicy


@dataclass(frozen=True)
class GeneAxis:
    """How input columns become the genes of one collection.

    Parameters
    ----------
    ensembl_gene_ids
        The axis: sorted, unique.
    target
        Position on the axis of every input column, int64; -1 for a column that is left out.
    """

    ensembl_gene_ids: tuple[str, ...]
    target: npt.NDArray[np.int64]

    @classmethod
    def of(cls, mapped: Iterable[str | None]) -> GeneAxis:
        """Build the axis of mapped inputs.

        Parameters
        ----------
        mapped
            Ensembl gene id of every input column, in order; None for a column that is left out.

        Returns
        -------
        GeneAxis
            With every distinct id once.
        """
        mapped = list(mapped)
        axis = tuple(sorted({gene for gene in mapped if gene is not None}))
        position = {gene: index for index, gene in enumerate(axis)}
        target = [-1 if gene is None else position[gene] for gene in mapped]
        return cls(axis, np.asarray(target, dtype=np.int64))

    @property
    def n_inputs(self) -> npt.NDArray[np.int64]:
        """Inputs that were mapped to each gene."""
        return np.bincount(self.target[self.target >= 0], minlength=len(self.ensembl_gene_ids))

    def by_policy(self, policy: DuplicatePolicy, totals: npt.NDArray[np.float64]) -> GeneAxis:
        """Return the axis on which each gene has one input, or several that are added up.

        Parameters
        ----------
        policy
            How several inputs of one gene become one.
        totals
            Sums of the inputs over the observations, float64, one per input column.

        Returns
        -------
        GeneAxis
            The same genes; inputs that the policy leaves out have target -1.

        Raises
        ------
        ValueError
            The policy is to refuse and a gene has several inputs. `screen_names` refuses such a
            matrix before, with the names.
        """
        if policy == "highest_mean":
            return self.keeping_highest(totals)
        if policy == "first":
            return self.keeping_highest(np.zeros_like(totals))
        if policy == "refuse" and (self.n_inputs > 1).any():
            several = int(np.flatnonzero(self.n_inputs > 1)[0])
            raise ValueError(
                f"{self.ensembl_gene_ids[several]} has {self.n_inputs[several]} inputs, and the "
                "collection's policy is to refuse them"
            )
        return self

    def policies(self, policy: DuplicatePolicy) -> list[str | None]:
        """How each gene's inputs became one: `policy`, or None where there is only one."""
        return [policy if n > 1 else None for n in self.n_inputs]

    def keeping_highest(self, totals: npt.NDArray[np.float64]) -> GeneAxis:
        """The axis on which each gene keeps only its input of highest mean (first on ties).

        `totals` are the inputs' sums over the observations, which rank them as means do.
        """
        order = np.lexsort((np.arange(totals.size), -totals))
        order = order[self.target[order] >= 0]
        _, first = np.unique(self.target[order], return_index=True)
        target = np.full_like(self.target, -1)
        target[order[first]] = self.target[order[first]]
        return GeneAxis(self.ensembl_gene_ids, target)

    @property
    def is_doubled(self) -> bool:
        """Whether several inputs land on one gene."""
        return bool((self.n_inputs > 1).any())


class ColumnTotals:
    """Sum, and sum of absolute values, of every column, over the blocks that were added."""

    def __init__(self, n_columns: int) -> None:
        self.signed = np.zeros(n_columns)
        self.absolute = np.zeros(n_columns)

    def add(self, block: sp.csr_matrix) -> None:
        """Add a row block; float64, for sums of float32 lose counts."""
        size = self.signed.size
        self.signed += np.bincount(block.indices, weights=block.data, minlength=size)
        self.absolute += np.bincount(block.indices, weights=np.abs(block.data), minlength=size)


def column_totals(blocks: Iterable[sp.csr_matrix], n_columns: int) -> ColumnTotals:
    """Sum every column over all blocks.

    Parameters
    ----------
    blocks
        Observations × input columns.
    n_columns
        Number of input columns.

    Returns
    -------
    ColumnTotals
        Sums, and sums of absolute values, in float64.
    """
    totals = ColumnTotals(n_columns)
    for block in blocks:
        totals.add(block)
    return totals


def column_fingerprints(blocks: Iterable[sp.csr_matrix], n_columns: int) -> npt.NDArray[np.float64]:
    """A number per column that is the same where all values of two columns are.

    Sums of the values weighted by fixed random numbers per row, added up in the order of the
    rows: equal columns agree to the last bit, others almost surely do not.
    """
    chance = np.random.default_rng(0)
    prints = np.zeros(n_columns)
    for block in blocks:
        weighted = sp.csc_matrix(block, dtype=np.float64)
        weighted.eliminate_zeros()
        weighted.sort_indices()
        weighted.data *= chance.uniform(1, 2, block.shape[0])[weighted.indices]
        filled = np.flatnonzero(np.diff(weighted.indptr))
        if filled.size:
            prints[filled] += np.add.reduceat(weighted.data, weighted.indptr[filled])
    return prints
