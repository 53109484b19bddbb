"""Types of cells through the genes that their texts speak of, beside controls; no label is seen.

What is read is in `genept.embeddings.text_readings`. Controls of each space: texts of genes dealt
to other genes, the words of a type without its definition and synonyms, and random vectors; each
with the markers that the texts name, which are scored alone, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.benchmarks.cells.cell_types import METRICS, Labels
from genept.benchmarks.cells.zero_shot import FEWEST_TYPES, ZERO_SHOT
from genept.benchmarks.resampling import Resampled, paired_differences, resampled_labels
from genept.embeddings import EmbedNames, ObservationViews, axis_genes, embedding_matrix
from genept.embeddings.text_readings import (
    MarkerIds,
    Ontology,
    ids_of_names,
    label_queries,
    marker_matrix,
    read_observations,
    similarity_matrix,
    similarity_on_axis,
    structure_of,
)
from genept.storage import Lake, Part
from genept.text import Space

MODEL: Final = "genes-of-the-text"
DECIDING: Final = "macro_recall"
LINEAGE: Final = "macro_ontology_similarity"
"""Mean over types of what the answer has in common with the type in the ontology."""

RANDOM: Final = "random-vectors:genes"
MARKERS_ALONE: Final = "markers-alone:genes"
"""No vector: the genes that the texts name, and no others."""

DRAWS: Final = 3
"""Draws of shuffled genes and of random vectors, of which the mean is shown."""

Floats = NDArray[np.float64]
Embed = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True)
class TextInputs:
    """What the texts of types are compared with.

    Parameters
    ----------
    vectors
        Part of table `gene_embeddings`, by space.
    embed_names
        Opens the model of a space.
    ontology
        Terms by id; empty: only the words of types are read.
    version
        Changes with the ontology.
    names
        Part of table `gene_names`, by which the markers of texts are found; None: none are.
    """

    vectors: Mapping[Space, Part]
    embed_names: EmbedNames
    ontology: Ontology
    version: str
    names: Part | None = None

    @property
    def inputs(self) -> dict[str, str]:
        """Content hashes, for the origin of scores."""
        hashes = {f"genes of {space.id}": part.sha256 for space, part in self.vectors.items()}
        hashes |= {"ontology": self.version}
        return hashes | ({"names": self.names.sha256} if self.names else {})

    def marker_ids(self, lake: Lake) -> MarkerIds:
        """Finds the genes of names."""
        return ids_of_names(lake.read(self.names)) if self.names else lambda _: {}

    def models(self) -> dict[Space, Embed]:
        """The model of each space that has one on this machine."""
        opened = {space: self.embed_names(space) for space in self.vectors}
        return {space: embed for space, embed in opened.items() if embed is not None}


def reading_rows(
    lake: Lake, views: ObservationViews, axis: Part, unit: str, of: TextInputs, *, seed: int
) -> tuple[list[dict[str, Any]], pl.DataFrame]:
    """Rows of `benchmark_results`, and differences from the controls.

    Parameters
    ----------
    lake, axis
        Where tables are kept; the collection's part of `gene_axis`.
    views
        Cells with a published type.
    unit
        Unit of their expression.
    of
        Gene vectors, models of texts, ontology.
    seed
        Of resamples and of controls.

    Returns
    -------
    rows : list of dict
        Empty where there are too few types, or no model is on this machine.
    differences : DataFrame
        As `paired_differences` returns it, of `DECIDING`.
    """
    truth = views.observations["cell_type"].to_numpy().astype(np.str_)
    types = np.unique(truth)
    usable = of.models()
    if len(types) < FEWEST_TYPES or not usable:
        return [], paired_differences({}, [])
    structure = structure_of(views.expression, unit)
    genes = axis_genes(lake, axis)
    queries = label_queries(axis.partition[0], types, of.ontology)
    units = units_of(views)
    lineage = similarity_matrix(queries, of.ontology)
    ids_of = of.marker_ids(lake)
    phrasings = [query.texts(of.ontology) for query in queries]
    alone = [[query.words] for query in queries]
    named, in_words = (marker_matrix(each, genes, ids_of) for each in (phrasings, alone))
    rows: list[dict[str, Any]] = []
    deciding: dict[str, Resampled] = {}
    pairs: list[tuple[str, str]] = []
    for space, embed in usable.items():
        texts = [embed(each) for each in phrasings]
        words = [embed(each) for each in alone]
        vectors = GeneTexts.read(lake, of.vectors[space], genes)
        name = f"{space.id}:genes"
        shuffled, plain = f"{space.id}@shuffled:genes", f"{name}@words-only"
        similar = vectors.similarity(texts)
        read = {
            name: [similar],
            shuffled: _dealt(similar, seed),
            plain: [vectors.similarity(words)],
            RANDOM: _random(similar, seed),
        }
        if named.any():
            read[MARKERS_ALONE] = [np.full(similar.shape, np.nan)]
        for shown, similarities in read.items():
            if shown in deciding:
                continue
            markers = in_words if shown == plain else named
            answers = [read_observations(structure, each, markers).best for each in similarities]
            scored = _scored(truth, types, answers, units, seed)
            deciding[shown] = scored[DECIDING]
            scored[LINEAGE] = _lineage(truth, types, answers, lineage)
            shared = {"task": ZERO_SHOT, "model": MODEL, "split": "all-cells"}
            of_row = shared | {"representation": shown, "is_control": shown != name}
            rows += [
                of_row | {"metric": metric} | asdict(each.score(len(truth)))
                for metric, each in scored.items()
            ]
        pairs += [(name, control) for control in read if control != name]
    differences = paired_differences(deciding, pairs)
    return rows, differences.with_columns(
        metric=pl.lit(DECIDING), model=pl.lit(MODEL), split=pl.lit("all-cells")
    )


@dataclass(frozen=True)
class GeneTexts:
    """Ids and vectors of every gene of a space, and the genes of an axis."""

    ids: tuple[str, ...]
    matrix: NDArray[np.float32]
    axis: tuple[str, ...]

    @classmethod
    def read(cls, lake: Lake, part: Part, genes: tuple[str, ...]) -> GeneTexts:
        """Read a part of table `gene_embeddings`."""
        table = lake.read_arrow(part, ["ensembl_gene_id", "embedding"])
        return cls(tuple(table["ensembl_gene_id"].to_pylist()), embedding_matrix(table), genes)

    def similarity(self, texts: list[NDArray[np.float32]]) -> Floats:
        """Similarity of the genes of the axis with texts; NaN without a vector."""
        return similarity_on_axis(self.ids, self.matrix, self.axis, texts)


def _dealt(similar: Floats, seed: int) -> Iterator[Floats]:
    for draw in range(DRAWS):
        yield dealt_genes(similar, np.random.default_rng([seed, draw]))


def dealt_genes(similar: Floats, rng: np.random.Generator) -> Floats:
    """Similarity with the description of another gene in place of that of each."""
    known = np.flatnonzero(np.isfinite(similar).all(axis=1))
    other = similar.copy()
    other[known] = similar[rng.permutation(known)]
    return other


def _random(similar: Floats, seed: int) -> Iterator[Floats]:
    for draw in range(DRAWS):
        values = np.random.default_rng([seed, draw]).standard_normal(similar.shape)
        yield np.where(np.isfinite(similar), values, np.nan)


def units_of(views: ObservationViews) -> Labels:
    """What is resampled: the group of each cell, or each cell where all are of one group."""
    groups = views.observations["group_id"]
    units = groups if groups.n_unique() > 1 else views.observations["observation_id"]
    return units.to_numpy().astype(np.str_)


def _scored(
    truth: Labels, types: Labels, answers: list[NDArray[np.intp]], units: Labels, seed: int
) -> dict[str, Resampled]:
    each = [resampled_labels(truth, types[answer], units, METRICS, seed=seed) for answer in answers]
    return {
        metric: Resampled(
            float(np.mean([of[metric].value for of in each])),
            np.mean([of[metric].draws for of in each], axis=0),
            np.mean([of[metric].by_unit for of in each], axis=0),
        )
        for metric in METRICS
    }


def _lineage(
    truth: Labels, types: Labels, answers: list[NDArray[np.intp]], lineage: Floats
) -> Resampled:
    """Mean over types; its interval is over types, which are what is drawn from an ontology."""
    codes = np.searchsorted(types, truth)
    by_type = np.array(
        [
            np.mean([lineage[code, answer[codes == code]].mean() for answer in answers])
            for code in range(len(types))
        ]
    )
    drawn = np.random.default_rng(0).integers(0, len(types), (200, len(types)))
    return Resampled(float(by_type.mean()), by_type[drawn].mean(axis=1))
