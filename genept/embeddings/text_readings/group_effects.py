"""How the expression of every gene differs between a group of observations and all others.

Sums over blocks of expression, so that a collection need not fit into memory. What the differences
mean is tested in `genept.embeddings.text_readings.group_terms`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from genept.embeddings.text_readings.similarities import compared_expression

Floats = NDArray[np.float64]

SMALLEST_SHARE: Final = 0.01
"""Share of observations in which a gene must not be zero."""

FEWEST_EXPRESSING: Final = 3
"""Observations in which a gene must not be zero, also where that is a larger share."""

SAMPLED: Final = 1000
"""Observations, drawn from the collection, from which correlations of genes are known."""

_SMALLEST: Final = 1e-9


@dataclass(frozen=True)
class GroupEffects:
    """Differences of groups of observations from the rest of their collection.

    Parameters
    ----------
    genes
        Numbers of the genes, on the collection's axis, that vary and that enough observations
        express.
    sizes
        Observations of each group.
    total
        Observations of the collection.
    effect
        Mean of the group less mean of all other observations, in standard deviations of the
        collection, groups × genes.
    z
        The same difference over its standard error (Welch); NaN where a group, or the rest, is of
        one observation.
    residuals
        Sampled observations × genes: expression less the mean of the observation's group,
        standardised by gene.
    """

    genes: NDArray[np.intp]
    sizes: NDArray[np.intp]
    total: int
    effect: Floats
    z: Floats
    residuals: NDArray[np.float32]

    def shuffled(self, rng: np.random.Generator) -> GroupEffects:
        """The same effects, of genes drawn at random: the same order for all groups."""
        order = rng.permutation(len(self.genes))
        return GroupEffects(
            self.genes, self.sizes, self.total,
            self.effect[:, order], self.z[:, order], self.residuals,
        )  # fmt: skip


def compare_groups(
    blocks: Iterable[sp.csr_matrix], group_of: NDArray[np.intp], unit: str, n_groups: int
) -> GroupEffects:
    """Compare every group of observations with all other observations.

    Parameters
    ----------
    blocks
        Observations × genes of the axis, in `unit`, one block after the other.
    group_of
        Number of the group of each observation, in the order of the blocks; -1: of none.
    unit
        Unit of the values.
    n_groups
        Number of groups.

    Returns
    -------
    GroupEffects
        Of genes that are expressed often enough; effects of an empty group are 0.

    Raises
    ------
    ValueError
        The blocks hold another number of observations than `group_of`.
    """
    total = len(group_of)
    chosen = drawn(total, SAMPLED)
    sums: list[Floats] = []
    sampled: list[NDArray[np.float32]] = []
    start = 0
    for block in blocks:
        rows = np.arange(start, start + block.shape[0])
        if rows.size and rows[-1] >= total:
            raise ValueError(f"more observations than the {total} that have a group")
        weights = compared_expression(block, unit)
        members = _membership(group_of[rows], n_groups)
        squares = weights.multiply(weights).tocsr()
        added = [np.asarray((members @ each).todense(), float) for each in (weights, squares)]
        nonzero = np.asarray(weights.getnnz(axis=0), float)[None, :]
        added.append(nonzero)
        sums = [old + new for old, new in zip(sums, added, strict=True)] if sums else added
        sampled.append(weights[np.flatnonzero(np.isin(rows, chosen))].toarray().astype(np.float32))
        start += block.shape[0]
    if start != total or not sums:
        raise ValueError(f"{start} observations, and {total} that have a group")
    return _compared(sums, np.concatenate(sampled), group_of, chosen, n_groups)


def compare_labels(
    blocks: Iterable[sp.csr_matrix], labels: Sequence[str | None], values: Sequence[str], unit: str
) -> GroupEffects:
    """Compare the observations of every value of a label with all others.

    Parameters
    ----------
    blocks, unit
        As of `compare_groups`.
    labels
        Label of each observation, in the order of the blocks; None: without.
    values
        Values of the label, in the order of the groups.

    Returns
    -------
    GroupEffects
        One group for each value.
    """
    number = {value: at for at, value in enumerate(values)}
    group_of = np.array([-1 if it is None else number.get(it, -1) for it in labels], np.intp)
    return compare_groups(blocks, group_of, unit, len(values))


def drawn(total: int, at_most: int) -> NDArray[np.intp]:
    """Draw observations, always the same of as many.

    Parameters
    ----------
    total
        Number of observations.
    at_most
        How many to draw.

    Returns
    -------
    NDArray of intp
        Their numbers, in order; all where there are no more.
    """
    if total <= at_most:
        return np.arange(total)
    return np.sort(np.random.default_rng(0).choice(total, at_most, replace=False))


def _membership(group_of: NDArray[np.intp], n_groups: int) -> sp.csr_matrix:
    """Groups and, last, all observations × observations, 0 or 1."""
    inside = np.flatnonzero(group_of >= 0)
    everyone = np.arange(len(group_of))
    rows = np.concatenate([group_of[inside], np.full(len(group_of), n_groups)])
    columns = np.concatenate([inside, everyone])
    return sp.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(n_groups + 1, len(group_of)))


def _compared(
    sums: list[Floats],
    sampled: NDArray[np.float32],
    group_of: NDArray[np.intp],
    chosen: NDArray[np.intp],
    n_groups: int,
) -> GroupEffects:
    total = len(group_of)
    enough = max(SMALLEST_SHARE * total, min(FEWEST_EXPRESSING, total))
    spread = np.sqrt(np.maximum(sums[1][-1] / total - (sums[0][-1] / total) ** 2, 0))
    genes = np.flatnonzero((sums[2][0] >= enough) & (spread > _SMALLEST))
    first, second, spread = sums[0][:, genes], sums[1][:, genes], spread[genes]
    sizes = np.bincount(group_of[group_of >= 0], minlength=n_groups)
    inside = _Moments(first[:-1], second[:-1], sizes)
    rest = _Moments(first[-1] - first[:-1], second[-1] - second[:-1], total - sizes)
    compared = (sizes > 0) & (sizes < total)
    difference = np.where(compared[:, None], inside.mean - rest.mean, 0.0)
    error = np.sqrt(inside.squared_error + rest.squared_error)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(error > _SMALLEST, difference / error, np.where(np.isnan(error), np.nan, 0.0))
    return GroupEffects(
        genes, sizes, total, difference / spread, z,
        _residuals(sampled[:, genes], group_of[chosen], inside.mean, first[-1] / total),
    )  # fmt: skip


@dataclass(frozen=True)
class _Moments:
    """Sums and sums of squares of groups × genes, and the observations of each group."""

    first: Floats
    second: Floats
    sizes: NDArray[np.intp]

    @property
    def mean(self) -> Floats:
        return np.asarray(self.first / np.maximum(self.sizes, 1)[:, None])

    @property
    def squared_error(self) -> Floats:
        """Variance of the mean; NaN for fewer than two observations."""
        n = self.sizes[:, None].astype(float)
        variance = np.maximum(self.second - n * self.mean**2, 0) / np.maximum(n - 1, 1)
        return np.where(n > 1, variance / np.maximum(n, 1), np.nan)


def _residuals(
    sampled: NDArray[np.float32], group_of: NDArray[np.intp], means: Floats, everyone: Floats
) -> NDArray[np.float32]:
    """Standardised by gene; of an observation that is alone in its group, against all others."""
    expected = np.repeat(everyone[None, :], len(sampled), axis=0)
    for group, mean in enumerate(means):
        inside = np.flatnonzero(group_of == group)
        if len(inside) > 1:
            expected[inside] = mean
    residuals = sampled - expected.astype(np.float32)
    residuals -= residuals.mean(axis=0)
    spread = residuals.std(axis=0)
    return np.asarray(residuals / np.where(spread > _SMALLEST, spread, 1), np.float32)
