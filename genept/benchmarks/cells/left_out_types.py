"""Cells of which one type after the other counts as never labelled: ranks of texts, and profiles.

Rows of tables, and which controls there are, are in `left_out_scores`; types without anything left
out in `types_by_genes`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genept.benchmarks.cells.cell_types import Labels
from genept.benchmarks.cells.types_by_genes import dealt_genes, units_of
from genept.benchmarks.resampling import Resampled
from genept.benchmarks.scores import N_RESAMPLES, group_codes, group_draws
from genept.embeddings import ObservationViews
from genept.embeddings.text_readings import (
    FEWEST_OF_TYPE,
    Structure,
    TextMap,
    TypeProfiles,
    beside_lineages,
    fit_text_map,
    read_observations,
    standardised,
    structure_of,
)

FEWEST: Final = 3
"""Types: one is left out, and two are needed to fit a map."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TypeTexts:
    """What is known of the types by text: vectors of their texts, and similarity of the genes.

    Parameters
    ----------
    vectors
        Types × dimensions.
    similarity
        Genes × types.
    markers
        Genes × types: what the texts say to be expressed or not.
    lineages
        Types × terms (`lineage_vectors`); no columns: texts alone.
    """

    vectors: Floats
    similarity: Floats
    markers: Floats
    lineages: Floats

    @cached_property
    def beside_lineages(self) -> Floats:
        """Vectors of the texts beside the lineages, as profiles are generated from."""
        return beside_lineages(self.vectors, self.lineages)

    def dealt(self, order: NDArray[np.intp]) -> TypeTexts:
        """Each type with the text and the lineage of another."""
        return TypeTexts(
            self.vectors[order],
            self.similarity[:, order],
            self.markers[:, order],
            self.lineages[order],
        )

    def shuffled(self, rng: np.random.Generator) -> TypeTexts:
        """Each gene with the description of another."""
        return replace(self, similarity=dealt_genes(self.similarity, rng))

    def random(self, rng: np.random.Generator) -> TypeTexts:
        """Random vectors in place of texts and of genes, without lineages."""
        vectors = rng.standard_normal(self.vectors.shape)
        drawn = rng.standard_normal(self.similarity.shape)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        similarity = np.where(np.isfinite(self.similarity), drawn, np.nan)
        return replace(
            self, vectors=vectors / lengths, similarity=similarity, lineages=self.lineages[:, :0]
        )


@dataclass(frozen=True)
class Labelled:
    """Cells of types that are frequent enough, and what of them does not depend on a space.

    Parameters
    ----------
    types, codes
        Names; number of the type of each cell.
    units
        What is resampled.
    structure
        Leading directions of expression.
    others
        By type: profiles of the other types, and its own less their mean, without texts.
    """

    types: tuple[str, ...]
    codes: NDArray[np.intp]
    units: Labels
    structure: Structure
    others: tuple[tuple[TypeProfiles, Floats], ...]

    @classmethod
    def of(cls, views: ObservationViews, unit: str) -> Labelled | None:
        """The cells of types with at least `FEWEST_OF_TYPE`; None if the types are too few."""
        names, sizes = np.unique(views.observations["cell_type"].to_list(), return_counts=True)
        types = [str(name) for name in names[sizes >= FEWEST_OF_TYPE]]
        if len(types) < FEWEST:
            return None
        views = views.only(views.observations["cell_type"].is_in(types).to_numpy())
        labels = views.observations["cell_type"].to_numpy().astype(np.str_)
        nothing = np.zeros((0, len(types))), np.zeros((views.expression.shape[1], len(types)))
        others = []
        for name in types:
            kept, rest = labels != name, [other for other in types if other != name]
            of = TypeProfiles.of(
                views.expression[kept], unit, labels[kept], rest, nothing[0].T, nothing[1]
            )
            z = of.scale.deviations(views.expression[~kept])
            own = np.asarray(z.mean(axis=0)).ravel() + of.scale.absent
            others.append((of, own - of.centre))
        structure = structure_of(views.expression, unit)
        codes = np.searchsorted(types, labels)
        return cls(tuple(types), codes, units_of(views), structure, tuple(others))

    def ranks(self, scores: Floats) -> Floats:
        """One over the rank of each cell's own type among its scores; ties share their ranks."""
        own = scores[np.arange(len(scores)), self.codes][:, None]
        above, tied = (scores > own).sum(axis=1), (scores == own).sum(axis=1)
        return np.asarray(1 / (above + (1 + tied) / 2))

    def by_genes(self, texts: TypeTexts) -> Floats:
        """Reciprocal ranks through genes: no label is used."""
        return self.ranks(read_observations(self.structure, texts.similarity, texts.markers).scores)

    def by_map(self, texts: TypeTexts) -> Floats:
        """Reciprocal ranks by maps, each fitted without the type that it is asked for."""
        ranks = np.zeros(len(self.codes))
        for at, fitted in enumerate(self.maps):
            rest = np.arange(len(self.types)) != at
            of_others = replace(fitted, texts=texts.vectors[rest])
            read = of_others.read(self.structure.scores, texts.vectors)
            of_type = self.codes == at
            ranks[of_type] = self.ranks(np.asarray(standardised(read), np.float64))[of_type]
        return ranks

    @cached_property
    def maps(self) -> tuple[TextMap, ...]:
        """By type, a map that is fitted on the other types, without texts."""
        labels = np.array(self.types)[self.codes]
        rest = [[other for other in self.types if other != name] for name in self.types]
        nothing = np.zeros((len(self.types) - 1, 0))
        return tuple(
            fit_text_map(self.structure.scores, labels, others, nothing) for others in rest
        )

    def generated(self, texts: TypeTexts) -> Floats:
        """Correlation of generated and measured profile, by type."""
        return np.array([
            _correlation(of, self._with(at, texts).direction(
                texts.beside_lineages[at], texts.similarity[:, at]
            ), own)
            for at, (of, own) in enumerate(self.others)
        ])  # fmt: skip

    def nearest(self, texts: TypeTexts) -> Floats:
        """The same of the measured profile of the type whose text and lineage are nearest."""
        correlations = []
        for at, (of, own) in enumerate(self.others):
            near = int((self._with(at, texts).texts @ texts.beside_lineages[at]).argmax())
            correlations.append(_correlation(of, of.means[near] - of.centre, own))
        return np.array(correlations)

    def _with(self, at: int, texts: TypeTexts) -> TypeProfiles:
        of, _ = self.others[at]
        rest = np.arange(len(self.types)) != at
        return TypeProfiles(
            of.scale, of.types, of.means, texts.beside_lineages[rest], texts.similarity[:, rest]
        )

    def score_of_cells(self, values: Floats, seed: int) -> Resampled:
        """Mean over types of the mean over their cells; drawn by unit."""
        unit_of, n_units = group_codes(self.units)
        k = len(self.types)

        def mean(weights: Floats) -> float:
            sizes = np.bincount(self.codes, weights, k)
            sums = np.bincount(self.codes, weights * values, k)
            return float((sums[sizes > 0] / sizes[sizes > 0]).mean())

        draws = [
            mean(np.bincount(drawn, minlength=n_units)[unit_of].astype(np.float64))
            for drawn in group_draws(n_units, N_RESAMPLES, seed)
        ]
        sizes = np.bincount(self.codes, minlength=k)
        means = np.bincount(self.codes, values, k) / sizes
        influence = (values - means[self.codes]) / (sizes[self.codes] * k)
        by_unit = np.bincount(unit_of, influence, n_units).astype(np.float64)
        return Resampled(mean(np.ones(len(values))), np.array(draws), by_unit)


def _correlation(of: TypeProfiles, profile: Floats, own: Floats) -> float:
    varies = of.scale.spread > 0
    a, b = (values[varies] - values[varies].mean() for values in (profile, own))
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b / lengths) if lengths > 0 else 0.0


def score_of_types(values: Floats, seed: int) -> Resampled:
    """Mean over types, which are what is drawn."""
    n = len(values)
    draws = np.array([values[drawn].mean() for drawn in group_draws(n, N_RESAMPLES, seed)])
    return Resampled(float(values.mean()), draws, (values - values.mean()) / n)
