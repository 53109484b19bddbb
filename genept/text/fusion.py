"""Fusion: how the gene vectors of several spaces become those of one, and its declaration.

Nothing is fitted on labels here. What is embedded and stored is `genept.text.knowledge_vectors`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

EMBEDDER: Final = "fused"
"""First half of the id of every fused space."""

SMALLEST_NORM: Final = 1e-6
"""Below it, the length of a centred vector is only rounding."""

Missing = Literal["drop", "mean"]
GeneMatrix = tuple[Sequence[str], npt.NDArray[Any]]
"""Ensembl gene ids, and the vector of each."""


@dataclass(frozen=True)
class Fusion:
    """What a fused space is made of.

    Parameters
    ----------
    weights
        Id and weight of each member space, in the order in which their vectors stand.
    missing
        What becomes of a gene that some member does not have: ``drop``, it has no vector;
        ``mean``, it has the mean of the member's vectors in its place.
    """

    weights: tuple[tuple[str, float], ...]
    missing: Missing = "drop"

    @property
    def members(self) -> tuple[str, ...]:
        """Ids of the member spaces."""
        return tuple(member for member, _ in self.weights)


def declared_fusion(
    of: Sequence[str], weights: Sequence[float] | None = None, missing: str | None = None
) -> Fusion:
    """Return the fusion that an entry of `spaces.toml` declares.

    Parameters
    ----------
    of
        Ids of the member spaces, two or more.
    weights
        Positive weight of each; None: all alike.
    missing
        See `Fusion`; None: ``drop``.

    Returns
    -------
    Fusion
        The fusion.

    Raises
    ------
    ValueError
        A member is named twice or is fused itself, or a weight or `missing` is not as described.
    """
    if len(set(of)) < 2 or len(set(of)) < len(of):
        raise ValueError("`of` names two spaces or more, each once")
    if fused_ones := [member for member in of if member.startswith(f"{EMBEDDER}/")]:
        raise ValueError(f"{fused_ones} are fused themselves: name their members instead")
    weights = [1.0] * len(of) if weights is None else weights
    if len(weights) != len(of) or not all(0 < weight < float("inf") for weight in weights):
        raise ValueError("`weights` are positive numbers, one for each of `of`")
    if missing not in (None, *get_args(Missing)):
        raise ValueError(f'`missing` is "drop" or "mean", not {missing!r}')
    pairs = tuple(zip(of, map(float, weights), strict=True))
    return Fusion(pairs, "mean" if missing == "mean" else "drop")


def fused(members: Mapping[str, GeneMatrix], fusion: Fusion) -> GeneMatrix:
    """Put the vectors of several spaces side by side, centred, scaled and weighted.

    Each member is centred over its genes, scaled so that the mean of its squared lengths is 1, and
    multiplied by the square root of its share of the weights: so a dot product is the weighted mean
    of the members' dot products.

    Parameters
    ----------
    members
        Genes and vectors of each member, by id.
    fusion
        Weights, and what becomes of genes that a member does not have.

    Returns
    -------
    genes : sequence of str
        Ensembl ids, sorted.
    vectors : ndarray of float32
        Genes × sum of dimensions, of unit length.

    Raises
    ------
    ValueError
        The members have fewer than two genes in common, or all vectors of one are alike.
    """
    known = [set(members[member][0]) for member in fusion.members]
    common = sorted(set.intersection(*known))
    if len(common) < 2:
        raise ValueError(f"{', '.join(fusion.members)} have {len(common)} genes in common")
    genes = common if fusion.missing == "drop" else sorted(set.union(*known))
    total = sum(weight for _, weight in fusion.weights)
    columns = []
    for member, weight in fusion.weights:
        ids, vectors = members[member]
        row_of = {id_: row for row, id_ in enumerate(ids)}
        present = [gene in row_of for gene in genes]
        taken = [row_of[gene] for gene in genes if gene in row_of]
        own = np.asarray(vectors, np.float64)[taken]
        own -= own.mean(axis=0)
        mean_square = np.square(own).sum(axis=1).mean()
        if mean_square <= SMALLEST_NORM**2:
            raise ValueError(f"all vectors of {member} are alike: they tell no gene from another")
        filled = np.zeros((len(genes), own.shape[1]))
        filled[present] = own * np.sqrt(weight / total / mean_square)
        columns.append(filled)
    joined = np.concatenate(columns, axis=1)
    norms = np.linalg.norm(joined, axis=1)
    placed = norms > SMALLEST_NORM  # a gene at the mean of every member has no direction
    kept = [gene for gene, has_direction in zip(genes, placed, strict=True) if has_direction]
    return kept, np.asarray(joined[placed] / norms[placed, None], np.float32)
