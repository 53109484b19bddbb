"""What is merged: input columns of one gene, and groups of observations with equal profiles.

Input columns become one column by the collection's policy. Observations with equal profiles are put
into one group, so that no split separates them. The compiled loop over rows is in
`genept.collections.shards`, so that looking at a file does not import numba.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from genept.datasources.readers import Quarantined
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
    target: NDArray[np.int64]

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
    def n_inputs(self) -> NDArray[np.int64]:
        """Inputs that were mapped to each gene."""
        return np.bincount(self.target[self.target >= 0], minlength=len(self.ensembl_gene_ids))

    def by_policy(self, policy: DuplicatePolicy, totals: NDArray[np.float64]) -> GeneAxis:
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
        if policy in ("highest_mean", "first"):
            return self.keeping_highest(totals if policy == "highest_mean" else 0 * totals)
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

    def keeping_highest(self, totals: NDArray[np.float64]) -> GeneAxis:
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


def column_fingerprints(blocks: Iterable[sp.csr_matrix], n_columns: int) -> NDArray[np.float64]:
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


TELLING_GENES = 50
"""Profiles of fewer genes may well be equal by chance: shallow cells, small panels."""


def with_duplicates_grouped(observations: pl.DataFrame) -> tuple[pl.DataFrame, list[Quarantined]]:
    """Give groups that share an expression profile one `group_id`, the first of theirs.

    Parameters
    ----------
    observations
        With `observation_id`, `group_id`, `n_genes` and `profile`.

    Returns
    -------
    observations, list of Quarantined
        With joined groups; and one warning per observation that duplicates another.
    """
    duplicates = (
        observations.filter(pl.col("n_genes") >= TELLING_GENES)
        .filter(pl.len().over("profile") > 1)
        .sort("profile", "observation_id")
        .with_columns(pl.col("observation_id").first().over("profile").alias("first"))
    )
    if not duplicates.height:
        return observations, []
    warnings = [
        Quarantined(
            "observation",
            duplicate,
            "same_profile",
            f"has the same expression as {first}; both are in one group",
            action="warned",
        )
        for duplicate, first in duplicates.select("observation_id", "first").iter_rows()
        if duplicate != first
    ]
    return observations.with_columns(_joined(observations["group_id"], duplicates)), warnings


def _joined(groups: pl.Series, duplicates: pl.DataFrame) -> pl.Series:
    """Groups as connected components over equal profiles."""
    names = groups.unique().sort()
    index = dict(zip(names, pl.Series(range(len(names)), dtype=pl.Int64), strict=True))
    pairs = duplicates.select(
        pl.col("group_id").replace_strict(index).alias("a"),
        pl.col("group_id").first().over("profile").replace_strict(index).alias("b"),
    )
    weights = np.ones(pairs.height)
    ends = pairs["a"].to_numpy(), pairs["b"].to_numpy()
    graph = sp.coo_matrix((weights, ends), shape=(len(names), len(names)))
    _, component = connected_components(graph, directed=False)
    _, first = np.unique(component, return_index=True)
    joined = dict(zip(names, names.gather(first[component]), strict=True))
    return groups.replace_strict(joined).alias("group_id")
