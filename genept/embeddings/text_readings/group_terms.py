"""Which sets of genes, and which texts, stand out in the differences of a group from the rest.

One test for all of them: the weighted mean effect of the genes that a set has, or that a text
speaks of, against all measured genes. Its variance takes in that genes of a set are expressed
together (Wu & Smyth 2012, camera). Shuffled genes have a mean of 0 by construction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from genept.embeddings.text_readings.group_effects import GroupEffects
from genept.embeddings.text_readings.similarities import speaking_genes

Floats = NDArray[np.float64]

SMALLEST_SET: Final = 5
LARGEST_SET: Final = 500
"""Measured genes that a set must have at least, and may have at most."""

SPEAKING: Final = 100
"""Genes of which a text counts as speaking: those whose descriptions are nearest to it."""

POWER: Final = 3.0
"""Of their standardised similarity. Both were chosen on pbmc-hao (docs/text_and_expression.md)."""

_SMALLEST: Final = 1e-12


@dataclass(frozen=True)
class GeneSets:
    """Sets of measured genes, or texts that weigh them.

    Parameters
    ----------
    names
        Of the sets, each once.
    weights
        Sets × measured genes, not negative: 1 for a member, or how much a text speaks of a gene.
    known
        Which measured genes could be in a set: the test is against these.
    """

    names: tuple[str, ...]
    weights: sp.csr_matrix
    known: NDArray[np.bool_]

    def only(self, kept: NDArray[np.bool_]) -> GeneSets:
        """Some of the sets."""
        names = tuple(name for name, keep in zip(self.names, kept, strict=True) if keep)
        return GeneSets(names, sp.csr_matrix(self.weights[np.flatnonzero(kept)]), self.known)


@dataclass(frozen=True)
class SetScores:
    """How sets stand out in groups.

    Parameters
    ----------
    z
        Groups × sets: about standard normal where a set has nothing to do with a group.
    effect
        Weighted mean effect of a set's genes less that of all genes, in standard deviations of
        expression.
    q
        False discovery rate by Benjamini and Hochberg over the sets, group by group, of sets whose
        genes are higher in the group.
    """

    z: Floats
    effect: Floats
    q: Floats

    @property
    def order(self) -> NDArray[np.intp]:
        """Numbers of the sets of each group, the highest z first."""
        return np.argsort(-self.z, axis=1, kind="stable")


def gene_sets(members: pl.DataFrame, genes: Sequence[str]) -> GeneSets:
    """Sets of measured genes that are neither too small nor too large.

    Parameters
    ----------
    members
        Columns ``name`` and ``ensembl_gene_id``.
    genes
        Measured genes: Ensembl ids, in the order of the effects.

    Returns
    -------
    GeneSets
        In order of their names; genes of no set take part in the test.
    """
    places = pl.DataFrame({"ensembl_gene_id": list(genes)}).with_row_index("gene")
    placed = members.unique().join(places, on="ensembl_gene_id").sort("name", "gene")
    sizes = placed.group_by("name", maintain_order=True).len()
    sizes = sizes.filter(pl.col("len").is_between(SMALLEST_SET, LARGEST_SET))
    names = sizes["name"].to_list()
    number = pl.DataFrame({"name": names}, schema={"name": pl.String}).with_row_index("set")
    rows = placed.join(number, on="name", maintain_order="left")
    matrix = sp.csr_matrix(
        (np.ones(rows.height), (rows["set"].to_numpy(), rows["gene"].to_numpy())),
        shape=(len(names), len(genes)),
    )
    return GeneSets(tuple(names), matrix, np.ones(len(genes), np.bool_))


def text_sets(names: Sequence[str], similarity: Floats) -> GeneSets:
    """Weights of the measured genes that texts speak of.

    Parameters
    ----------
    names
        Of the texts.
    similarity
        Measured genes × texts; NaN where a gene has no description.

    Returns
    -------
    GeneSets
        One for each text; genes without a description take no part in the test.
    """
    known = np.asarray(np.isfinite(similarity).all(axis=1), np.bool_)
    weights = speaking_genes(similarity, POWER)
    if known.any():
        smallest = np.sort(weights, axis=0)[-min(SPEAKING, len(weights))]
        weights[weights < smallest] = 0
    return GeneSets(tuple(names), sp.csr_matrix(weights.T), known)


def inflation(sets: GeneSets, residuals: NDArray[np.float32]) -> Floats:
    """By how much the genes of a set vary more together than independent genes would.

    Parameters
    ----------
    sets
        The sets.
    residuals
        Observations × measured genes, standardised by gene.

    Returns
    -------
    NDArray of float64
        Variance of the weighted sum over observations, over the sum of squared weights; at least
        1: sets of genes that exclude each other get no credit.
    """
    squares = np.asarray(sets.weights.multiply(sets.weights).sum(axis=1)).ravel()
    summed = np.asarray(sets.weights @ residuals.T.astype(np.float64))
    return np.asarray(np.maximum(summed.var(axis=1) / np.maximum(squares, _SMALLEST), 1.0))


def score_sets(effects: GroupEffects, sets: GeneSets, inflated: Floats | None = None) -> SetScores:
    """Test every set in every group.

    Parameters
    ----------
    effects
        Differences of the groups from the rest.
    sets
        Sets of the same measured genes.
    inflated
        Their `inflation`, where it is known already.

    Returns
    -------
    SetScores
        0 for a set without weight, and in a group without effects.
    """
    from scipy.stats import false_discovery_control, norm

    n = int(sets.known.sum())
    shape = (len(effects.sizes), len(sets.names))
    if not n or not shape[1]:
        return SetScores(*(np.zeros(shape), np.zeros(shape), np.ones(shape)))
    effect = effects.effect[:, sets.known]
    weights = sets.weights[:, np.flatnonzero(sets.known)]
    total = np.asarray(weights.sum(axis=1)).ravel()
    squares = np.asarray(weights.multiply(weights).sum(axis=1)).ravel()
    centred = effect - effect.mean(axis=1, keepdims=True)
    summed = np.asarray((weights @ centred.T).T)
    # Of a weighted sum of n centred values in random order, without replacement.
    spread = centred.std(axis=1, keepdims=True) * np.sqrt(
        np.maximum(squares - total**2 / n, 0) * n / max(n - 1, 1)
    )
    larger = np.sqrt(inflation(sets, effects.residuals) if inflated is None else inflated)
    z = np.divide(summed, spread * larger, out=np.zeros(shape), where=spread > _SMALLEST)
    q = np.array([false_discovery_control(each) for each in norm.sf(z)])
    return SetScores(z, summed / np.maximum(total, _SMALLEST), q)


def evidence(
    effects: GroupEffects, sets: GeneSets, group: int, number: int, at_most: int
) -> list[tuple[int, float]]:
    """The genes that a set's score in a group comes from.

    Parameters
    ----------
    effects, sets
        As of `score_sets`.
    group, number
        Number of the group, and of the set.
    at_most
        How many genes.

    Returns
    -------
    list of (int, float)
        Numbers of measured genes, and weight times effect; only those above 0, the largest first.
    """
    row = sets.weights[number]
    product = row.data * effects.effect[group, row.indices]
    order = np.argsort(-product, kind="stable")[:at_most]
    return [(int(row.indices[at]), float(product[at])) for at in order if product[at] > 0]


def apart(sets: GeneSets, order: Sequence[int], at_most: int, overlap: float) -> list[int]:
    """Sets in an order, without those that a set before them says already.

    Parameters
    ----------
    sets
        Sets of genes, not of texts.
    order
        Numbers of sets, the most important first.
    at_most
        How many to choose.
    overlap
        Share of a set's genes that a chosen set may have.

    Returns
    -------
    list of int
        Numbers of the chosen sets.
    """
    chosen: list[int] = []
    members: list[frozenset[int]] = []
    for number in order:
        genes = frozenset(sets.weights[number].indices.tolist())
        if all(len(genes & other) <= overlap * min(len(genes), len(other)) for other in members):
            chosen.append(int(number))
            members.append(genes)
        if len(chosen) == at_most:
            break
    return chosen
