"""Mean profiles of labelled types of observations, and the direction that a text has among them.

A direction is a sum of three parts: profiles of labelled types, weighed by the similarity of their
texts with the text; the same profiles, weighed by how much they express of the genes that the text
speaks of; and these genes themselves. Weights were chosen on types left out of lanes of
collection pbmc-hao (docs/text_and_expression.md). What is made of a direction is in
`generated_profiles`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from genept.embeddings.text_readings.directions import LARGEST, SMALLEST_SHARE
from genept.embeddings.text_readings.similarities import (
    compared_expression,
    speaking_genes,
    standardised,
)

Floats = NDArray[np.float64]

PENALTY: Final = 1.0
"""Of the similarities of types' texts with each other: up to 3 is as good for types left out, but
profiles of labelled types are then less like what was measured of them."""

BY_GENES: Final = 0.5
"""Weight of the types that express the genes of the text."""

GENES_ALONE: Final = 0.25
"""Weight of these genes themselves."""

POWER_OF_GENES: Final = 3.0

FEWEST_PROFILES: Final = 3
"""Types that uncertainty can be estimated from, each left out in turn."""

_SMALLEST: Final = 1e-9


@dataclass(frozen=True)
class GeneScale:
    """Mean and deviation of each gene over observations; standardised, and cut.

    Parameters
    ----------
    unit
        Unit of the expression.
    mean, spread
        Of each gene, of `expression_weights` (z-scores as they are); spread 0: it does not vary, or
        too few observations express it.
    """

    unit: str
    mean: Floats
    spread: Floats

    @classmethod
    def of(cls, expression: sp.csr_matrix, unit: str) -> GeneScale:
        """Scale of the genes of a collection, or of some of its observations.

        Parameters
        ----------
        expression
            Observations × genes, in `unit`.
        unit
            Unit of the values.

        Returns
        -------
        GeneScale
            The scale.
        """
        values = _values(expression, unit)
        n = values.shape[0]
        mean = np.asarray(values.sum(axis=0), np.float64).ravel() / n
        squares = np.asarray(values.multiply(values).sum(axis=0), np.float64).ravel() / n
        spread = np.sqrt(np.maximum(squares - mean**2, 0))
        often = values.getnnz(axis=0) >= SMALLEST_SHARE * n
        return cls(unit, mean, np.where(often & (spread > 1e-6 * (1 + np.abs(mean))), spread, 0))

    @property
    def absent(self) -> Floats:
        """Standardised value of a gene that is not expressed, (n_genes,)."""
        return self._standard(-self.mean, self.spread)

    def deviations(self, expression: sp.csr_matrix) -> sp.csr_matrix:
        """Standardised expression, less `absent`: what is zero stays zero.

        Parameters
        ----------
        expression
            Observations × genes, in the same unit.

        Returns
        -------
        scipy.sparse.csr_matrix
            Of the same shape, float64.
        """
        values = _values(expression, self.unit)
        column = values.indices
        z = self._standard(values.data - self.mean[column], self.spread[column])
        data = z - self.absent[column]
        return sp.csr_matrix((data, column, values.indptr), shape=values.shape)

    @staticmethod
    def _standard(difference: Floats, spread: Floats) -> Floats:
        varies = spread > 0
        z = np.divide(difference, spread, out=np.zeros_like(difference), where=varies)
        return np.clip(z, -LARGEST, LARGEST)


def _values(expression: sp.csr_matrix, unit: str) -> sp.csr_matrix:
    """Expression as it is compared over observations, as `structure_of` does it."""
    return sp.csr_matrix(compared_expression(expression, unit), dtype=np.float64)


@dataclass(frozen=True)
class TypeProfiles:
    """Mean profiles of labelled types, and what is needed to generate one for another text.

    Parameters
    ----------
    scale
        Of the genes, over the labelled observations.
    types
        Labels.
    means
        Types × genes: mean standardised expression.
    texts
        Vectors of the types' texts, types × dimensions (`text_vectors`), alone or beside lineages
        (`beside_lineages`).
    similarity
        Of genes with the types' texts, genes × types (`text_similarity`); NaN without description.
    """

    scale: GeneScale
    types: tuple[str, ...]
    means: Floats
    texts: Floats
    similarity: Floats

    @classmethod
    def of(
        cls,
        expression: sp.csr_matrix,
        unit: str,
        labels: NDArray[np.str_],
        types: Sequence[str],
        texts: Floats,
        similarity: Floats,
    ) -> TypeProfiles:
        """Mean profiles of types.

        Parameters
        ----------
        expression
            Observations × genes, in `unit`; those of other labels take no part.
        unit
            Unit of the values.
        labels
            Of each observation.
        types
            Labels, each of at least one observation; none: every observation takes part, and a
            text has its genes alone.
        texts, similarity
            As of the class, in the order of `types`.

        Returns
        -------
        TypeProfiles
            The profiles.
        """
        kept = np.isin(labels, list(types)) if len(types) else np.ones(len(labels), bool)
        known, rows = labels[kept], sp.csr_matrix(expression[kept])
        scale = GeneScale.of(rows, unit)
        deviations = scale.deviations(rows)
        rows_of = (deviations[known == name] for name in types)
        means = np.array([np.asarray(of.mean(axis=0)).ravel() for of in rows_of])
        means = means.reshape(len(types), deviations.shape[1])
        return cls(scale, tuple(types), means + scale.absent, texts, similarity)

    def without(self, left_out: int) -> TypeProfiles:
        """The other types: as if one had not been labelled; the scale of the genes stays."""
        keep = np.arange(len(self.types)) != left_out
        names = tuple(name for name, kept in zip(self.types, keep, strict=True) if kept)
        return TypeProfiles(
            self.scale, names, self.means[keep], self.texts[keep], self.similarity[:, keep]
        )

    @property
    def centre(self) -> Floats:
        """Mean of the types' profiles, (n_genes,); without types that of all observations."""
        return np.asarray(self.means.mean(axis=0)) if self.types else np.zeros(self.means.shape[1])

    def direction(self, text: Floats, similarity: Floats) -> Floats:
        """How a text's profile differs from the mean of the types, but for its size.

        Parameters
        ----------
        text
            Vector of the text, as those of the types, (dimensions,).
        similarity
            Of each gene with the text, (n_genes,); NaN without a description.

        Returns
        -------
        NDArray of float64
            Shape (n_genes,), of deviation 1 over the genes that vary; zeros if nothing is known.
        """
        varies = self.scale.spread > 0
        direction = np.zeros(varies.shape)
        genes = speaking_genes(similarity[varies], POWER_OF_GENES)
        if not self.types:
            direction[varies] = _scaled(genes)
            return direction
        apart = (self.means - self.centre)[:, varies]
        apart = apart / np.maximum(np.linalg.norm(apart, axis=1, keepdims=True), _SMALLEST)
        alike = self.texts @ self.texts.T + PENALTY * np.eye(len(self.types))
        by_text = np.linalg.solve(alike, self.texts @ text) @ apart
        by_genes = standardised(apart @ (genes - genes.mean())) @ apart
        total = _scaled(by_text) + BY_GENES * _scaled(by_genes) + GENES_ALONE * _scaled(genes)
        direction[varies] = _scaled(total)
        return direction

    @cached_property
    def left_out(self) -> tuple[Floats, Floats]:
        """Directions of the types, each generated without its own profile; and their profiles.

        Both types × genes; profiles are less the mean of the others.
        """
        directions, apart = [], []
        for at in range(len(self.types)):
            others = self.without(at)
            directions.append(others.direction(self.texts[at], self.similarity[:, at]))
            apart.append(self.means[at] - others.centre)
        return np.array(directions), np.array(apart)

    @cached_property
    def error(self) -> tuple[float, Floats]:
        """Size of a profile, and the deviation of each gene's error, from types left out.

        Raises
        ------
        ValueError
            For fewer than `FEWEST_PROFILES` types.
        """
        if len(self.types) < FEWEST_PROFILES:
            raise ValueError(
                f"uncertainty is estimated from types left out: {len(self.types)} are too few, "
                f"{FEWEST_PROFILES} are needed"
            )
        directions, apart = self.left_out
        size = max(float((directions * apart).sum() / max((directions**2).sum(), _SMALLEST)), 0.0)
        return size, np.sqrt(((apart - size * directions) ** 2).mean(axis=0))


def _scaled(profile: Floats) -> Floats:
    spread = float(profile.std())
    return profile / spread if spread > _SMALLEST else np.zeros_like(profile)
