"""The cell tasks on a collection of the lake: every space beside its controls.

Annotation by neighbours, clustering and mixing are in `genept.benchmarks.cells.cell_types`.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.benchmarks.cells.cell_types import (
    MAJORITY_CLASS,
    METRICS,
    N_NEIGHBOURS,
    TASK,
    Cells,
    CellSplit,
    annotate,
    centred,
    clustering_scores,
    drawn,
    group_split,
    majority,
    mixing_scores,
    random_split,
)
from genept.benchmarks.cells.expression_control import COMPONENTS, expression_pca
from genept.benchmarks.cells.left_out_scores import LEFT_OUT, left_out_rows
from genept.benchmarks.cells.types_by_genes import TextInputs, reading_rows
from genept.benchmarks.cells.zero_shot import ZERO_SHOT, zero_shot_rows
from genept.benchmarks.input_tables import LIBRARIES
from genept.benchmarks.resampling import paired_differences, resampled_labels, rivals
from genept.benchmarks.scores import Indices, confusions
from genept.benchmarks.task_base import constant
from genept.embeddings import (
    CollectionParts,
    EmbedNames,
    ObservationViews,
    read_views,
    representation_name,
)
from genept.storage import Lake, NewPart, Origin, Part

SHARE_TRAINED: Final = 0.8


def too_few_cells(lake: Lake, observations: Part, axis: Part) -> str | None:
    """Why cell types cannot be annotated on a collection; None if they can.

    Parameters
    ----------
    lake, observations, axis
        Where tables are kept; parts of tables ``observations`` and ``gene_axis``.

    Returns
    -------
    str or None
        The reason, or None.
    """
    labels = lake.read(observations, ["cell_type"])["cell_type"].drop_nulls()
    if not labels.len():
        return "no cell has a type"
    if labels.len() * SHARE_TRAINED <= max(N_NEIGHBOURS, COMPONENTS):
        return f"only {labels.len()} cells have a type"
    if axis.rows <= COMPONENTS:
        return f"only {axis.rows} genes"
    return None if labels.n_unique() > 1 else "all cells are of one type"


SEED: Final = 2023

EXPRESSION_CONTROL: Final = "expression-pca-50"

CENTRED: Final = ":centred"
"""Ends the name of a representation whose vectors are less the mean of the training cells."""

PERMUTED: Final = "@permuted-labels"

NEIGHBOURS: Final = f"{N_NEIGHBOURS}-nn-cosine"
"""Name of the classifier of cells, and of the neighbourhood of mixing scores."""

DECIDING: Final = "macro_f1"
"""Metric that decides on cell types."""

CLUSTERS: Final = "cell-clustering"

MIXING: Final = "batch-mixing"

WHOLE: Final = "all-cells"
"""Split of tasks that leave no cell out."""

_CODE: Final = (
    "genept.benchmarks.task_base",
    "genept.benchmarks.cells.cell_task",
    "genept.benchmarks.cells.cell_types",
    "genept.benchmarks.cells.expression_control",
    "genept.benchmarks.cells.left_out_scores",
    "genept.benchmarks.cells.left_out_types",
    "genept.benchmarks.cells.types_by_genes",
    "genept.benchmarks.cells.zero_shot",
    "genept.benchmarks.influence",
    "genept.benchmarks.resampling",
    "genept.benchmarks.scores",
    "genept.collections.labels",
    "genept.embeddings.representations",
    "genept.embeddings.pooling",
    "genept.embeddings.text_readings.directions",
    "genept.embeddings.text_readings.label_meanings",
    "genept.embeddings.text_readings.readings",
    "genept.embeddings.text_readings.similarities",
    "genept.embeddings.text_readings.text_maps",
    "genept.embeddings.text_readings.text_markers",
    "genept.embeddings.text_readings.type_lineages",
    "genept.embeddings.text_readings.type_profiles",
    "genept.schema.tables",
)


def score_cells(
    lake: Lake,
    collection: str,
    unit: str,
    parts: CollectionParts,
    *,
    embed_names: EmbedNames = lambda _: None,
    texts: TextInputs | None = None,
    advance: Callable[[str], None] = lambda _: None,
) -> list[Part]:
    """Scores of one single-cell collection and their differences, unless the lake holds them.

    Cells without a published type take no part. Every space is scored as it is, and centred.

    Parameters
    ----------
    lake
        Where parts of tables are kept.
    collection
        Id of the collection.
    unit
        Unit of its expression.
    parts
        Tables of the collection.
    embed_names
        Opens the model of a space, for types by their names alone.
    texts
        What is read through genes; None: nothing is.
    advance
        Called with a sentence on the next step.

    Returns
    -------
    list of Part
        Parts of `benchmark_results`, and of working tables of differences and confusions.
    """
    inputs = parts.inputs | (texts.inputs if texts else {})
    origin = Origin(_CODE, inputs, {"seed": SEED, "unit": unit}, LIBRARIES)

    def compute() -> list[NewPart]:
        views = read_views(lake, parts).labelled("cell_type")
        annotated, differences, confused = _annotated(views, unit, advance)
        advance(ZERO_SHOT)
        spaces = {representation_name(space): space for space in parts.embeddings}
        by_name = zero_shot_rows(views, spaces, embed_names, seed=SEED)
        apart: dict[str, pl.DataFrame] = {}
        if texts is not None:
            of_texts = (lake, views, parts.axis, unit, texts)
            by_genes, apart[ZERO_SHOT] = reading_rows(*of_texts, seed=SEED)
            advance(LEFT_OUT)
            left_out, of_left_out = left_out_rows(*of_texts, seed=SEED)
            apart |= of_left_out
            by_name += by_genes + left_out
        scored = pl.DataFrame([*annotated, *_structured(views, unit, advance), *by_name])
        results = constant(scored, dataset=collection).partition_by("task", maintain_order=True)
        task_id = f"{TASK}/{collection}"
        return [
            *(NewPart("benchmark_results", r, (r["task"][0], collection)) for r in results),
            NewPart("benchmark_differences",
                    constant(differences, task=task_id, dataset=collection), (task_id,)),
            *_differences(apart, collection),
            NewPart("benchmark_confused",
                    constant(confused, task=TASK, dataset=collection), (TASK, collection)),
        ]  # fmt: skip

    return lake.build(f"benchmarks/cells/{collection}", origin, compute)


def _differences(apart: Mapping[str, pl.DataFrame], collection: str) -> list[NewPart]:
    parts = []
    for name, rows in apart.items():
        task = f"{name}/{collection}"
        if rows.height:
            shown = constant(rows, task=task, dataset=collection)
            parts.append(NewPart("benchmark_differences", shown, (task,)))
    return parts


def _annotated(
    views: ObservationViews, unit: str, advance: Callable[[str], None]
) -> tuple[list[dict[str, Any]], pl.DataFrame, pl.DataFrame]:
    """Rows of `benchmark_results` for every split; differences and confusions on the last."""
    ids, groups = (
        views.observations[column].to_list() for column in ("observation_id", "group_id")
    )
    rows: list[dict[str, Any]] = []
    control = _controls(views)
    for split in filter(None, (random_split(ids, seed=SEED), group_split(groups))):
        advance(f"{TASK}: {split.name}")
        predicted = _predicted(views, unit, split)
        truth = views.observations["cell_type"].to_numpy().astype(np.str_)[split.tested]
        scores = {
            name: resampled_labels(truth, labels, split.units[split.tested], METRICS, seed=SEED)
            for name, labels in predicted.items()
        }
        marked = {name: name in control or name.endswith(PERMUTED) for name in scores}
        marked[MAJORITY_CLASS] = True
        shared = {"model": NEIGHBOURS, "split": split.name}
        for name, by_metric in scores.items():
            shown = {"task": TASK, "representation": name, "is_control": marked[name]} | shared
            rows += [
                shown | {"metric": metric} | asdict(resampled.score(len(truth)))
                for metric, resampled in by_metric.items()
            ]
        confused = pl.concat(
            constant(confusions(truth.tolist(), labels.tolist()), representation=name, **shared)
            for name, labels in predicted.items()
        )
        deciding = {name: by_metric[DECIDING] for name, by_metric in scores.items()}
        compared = paired_differences(deciding, rivals(deciding, marked))
    return rows, constant(compared, metric=DECIDING, **shared), confused


def _predicted(views: ObservationViews, unit: str, split: CellSplit) -> dict[str, NDArray[np.str_]]:
    """Types of the tested cells, fold by fold, by representation."""
    labels = views.observations["cell_type"].to_list()
    predictions: dict[str, list[NDArray[np.str_]]] = {}
    for train, test in split.folds:
        dealt = np.asarray(labels, np.str_)
        dealt[train] = np.random.default_rng(SEED).permutation(dealt[train])
        for name, matrix in _represented(views, unit, train).items():
            predictions.setdefault(name, []).append(annotate(matrix, labels, train, test))
            if name not in _controls(views) and not name.endswith(CENTRED):
                by_chance = annotate(matrix, dealt.tolist(), train, test)
                predictions.setdefault(f"{name}{PERMUTED}", []).append(by_chance)
        predictions.setdefault(MAJORITY_CLASS, []).append(majority(labels, train, test))
    return {name: np.concatenate(parts) for name, parts in predictions.items()}


def _structured(
    views: ObservationViews, unit: str, advance: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Rows of `benchmark_results` on clustering, then on mixing, of every representation."""
    rows = drawn(views.observations.height)
    cells = views.observations[rows.tolist()]
    types = cells["cell_type"].to_numpy().astype(np.str_)
    batches = _batches(cells)
    groups = cells["group_id"].to_list()
    results = []
    for name, matrix in _represented(views, unit, np.arange(views.observations.height)).items():
        advance(f"{CLUSTERS} and {MIXING}: {name}")
        shared = {"representation": name, "is_control": name in _controls(views), "split": WHOLE}
        for task, model, scores in (
            (CLUSTERS, "k-means", clustering_scores(matrix[rows], types)),
            (MIXING, NEIGHBOURS, mixing_scores(matrix[rows], types, batches, groups)),
        ):
            of_task = shared | {"task": task, "model": model}
            results += [of_task | {"metric": m} | asdict(score) for m, score in scores.items()]
    return results


def _batches(cells: pl.DataFrame) -> NDArray[np.str_] | None:
    """Technical batch of each cell, or else its group; None where no two cells share one."""
    for column in ("batch", "group_id"):
        if not cells[column].null_count() and 1 < cells[column].n_unique() < cells.height:
            return cells[column].to_numpy().astype(np.str_)
    return None


def _represented(views: ObservationViews, unit: str, train: Indices) -> dict[str, Cells]:
    """Every space as it is and centred, and expression; what is fitted sees `train` alone."""
    shifted = {f"{name}{CENTRED}": centred(matrix, train) for name, matrix in views.spaces.items()}
    control = expression_pca(views.expression, train, unit=unit, seed=SEED)
    return {**views.spaces, **shifted, EXPRESSION_CONTROL: control}


def _controls(views: ObservationViews) -> frozenset[str]:
    return frozenset(
        [*views.controls, *(f"{name}{CENTRED}" for name in views.controls), EXPRESSION_CONTROL]
    )
