"""Scores of types that are left out, in every space, beside controls.

Task `LEFT_OUT`: the rank of a type's text among those of all types, for its cells, through genes
and by a map that is fitted on the other types. Task `GENERATED`: correlation of the profile that is
generated for its text with the measured one. Leaving types out is `left_out_types`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.benchmarks.cells.left_out_types import Labelled, TypeTexts, score_of_types
from genept.benchmarks.cells.types_by_genes import DRAWS, GeneTexts, TextInputs
from genept.benchmarks.resampling import Resampled, paired_differences
from genept.embeddings import ObservationViews, axis_genes
from genept.embeddings.text_readings import (
    gene_centre,
    label_queries,
    lineage_vectors,
    marker_matrix,
    text_vectors,
)
from genept.storage import Lake, Part
from genept.text import Space

LEFT_OUT: Final = "left-out-cell-types"
GENERATED: Final = "generated-profiles"
SPLIT: Final = "leave-type-out"
RANK: Final = "mean_reciprocal_rank"
CORRELATION: Final = "pearson"
BY_GENES: Final = "genes-of-the-text"
BY_MAP: Final = "map-of-the-other-types"
BY_TYPES: Final = "types-and-genes-of-the-text"

Floats = NDArray[np.float64]
Texts = Sequence[NDArray[np.float32]]


def left_out_rows(
    lake: Lake, views: ObservationViews, axis: Part, unit: str, of: TextInputs, *, seed: int
) -> tuple[list[dict[str, Any]], dict[str, pl.DataFrame]]:
    """Rows of `benchmark_results` of both tasks, and differences from the controls by task.

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
    differences : dict of DataFrame
        By task, as `paired_differences` returns it.
    """
    usable = of.models()
    cells = Labelled.of(views, unit) if usable else None
    if cells is None:
        return [], {}
    genes = axis_genes(lake, axis)
    queries = label_queries(axis.partition[0], cells.types, of.ontology)
    rows: list[dict[str, Any]] = []
    frames: dict[str, list[pl.DataFrame]] = {LEFT_OUT: [], GENERATED: []}
    phrasings = [query.texts(of.ontology) for query in queries]
    alone = [[query.words] for query in queries]
    lineages = lineage_vectors([query.terms for query in queries], of.ontology)
    ids_of = of.marker_ids(lake)
    markers, in_words = (marker_matrix(each, genes, ids_of) for each in (phrasings, alone))
    for space, embed in usable.items():
        read = GeneTexts.read(lake, of.vectors[space], genes)
        texts = _type_texts(read, [embed(each) for each in phrasings], markers, lineages)
        words = _type_texts(read, [embed(each) for each in alone], in_words, lineages[:, :0])
        name, asked = f"{space.id}:genes", _asked(space, texts, words, seed)
        for task, model, metric, resampled in _scored(cells, name, asked, seed):
            n = len(cells.codes) if task == LEFT_OUT else len(cells.types)
            shared = {"task": task, "model": model, "split": SPLIT, "metric": metric}
            first, *controls = resampled
            rows += [
                shared
                | {"representation": shown, "is_control": shown != first}
                | asdict(each.score(n))
                for shown, each in resampled.items()
            ]
            pairs = [(first, other) for other in controls]
            of_task = {"metric": pl.lit(metric), "model": pl.lit(model), "split": pl.lit(SPLIT)}
            frames[task].append(paired_differences(resampled, pairs).with_columns(**of_task))
    return rows, {task: pl.concat(each) for task, each in frames.items()}


def _type_texts(read: GeneTexts, phrasings: Texts, markers: Floats, lineages: Floats) -> TypeTexts:
    vectors = text_vectors(gene_centre(read.matrix), phrasings)
    return TypeTexts(vectors, read.similarity(list(phrasings)), markers, lineages)


def _asked(
    space: Space, texts: TypeTexts, words: TypeTexts, seed: int
) -> dict[str, list[TypeTexts]]:
    """The texts of a space, and its controls: each the mean of its draws."""
    name, k = f"{space.id}:genes", len(texts.vectors)
    draws = [np.random.default_rng([seed, draw]) for draw in range(DRAWS)]
    return {
        name: [texts],
        f"{space.id}@shuffled:genes": [texts.shuffled(rng) for rng in draws],
        f"{name}@permuted-labels": [
            texts.dealt(np.roll(np.arange(k), shift)) for shift in range(1, min(k, DRAWS + 1))
        ],
        f"{name}@words-only": [words],
        f"{name}@random-vectors": [texts.random(rng) for rng in draws],
    }


def _scored(
    cells: Labelled, name: str, asked: dict[str, list[TypeTexts]], seed: int
) -> list[tuple[str, str, str, dict[str, Resampled]]]:
    """Task, model, metric, and scores by representation, the controls behind their space."""

    def mean(score: Callable[[TypeTexts], Floats], without: str = "") -> dict[str, Floats]:
        return {
            shown: np.mean([score(each) for each in draws], axis=0)
            for shown, draws in asked.items()
            if not without or without not in shown
        }

    profiles = mean(cells.generated)
    profiles[f"{name}@nearest-type"] = cells.nearest(asked[name][0])
    by_map = mean(cells.by_map, without="@shuffled")
    # Differences are by representation, not by model: the map has names of its own.
    by_map = {shown.replace(":genes", ":map"): each for shown, each in by_map.items()}
    by_cell = {BY_GENES: mean(cells.by_genes), BY_MAP: by_map}
    ranked = [
        (LEFT_OUT, model, RANK,
         {shown: cells.score_of_cells(each, seed) for shown, each in of.items()})
        for model, of in by_cell.items()
    ]  # fmt: skip
    generated = {shown: score_of_types(each, seed) for shown, each in profiles.items()}
    return [*ranked, (GENERATED, BY_TYPES, CORRELATION, generated)]
