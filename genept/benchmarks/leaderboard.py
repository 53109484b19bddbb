"""Every task on genes in every space, beside its controls: steps of the lake, and their tables.

One step per task and space keeps predictions, so that only what an input changed is done again;
scores and paired differences are made of predictions. Tasks themselves know nothing of this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import polars as pl

from genept.benchmarks.comparisons import (
    confusions,
    corrected,
    paired_differences,
    rivals,
)
from genept.benchmarks.contests import Contest, SpaceVectors, contest, entries
from genept.benchmarks.registry import TASKS
from genept.benchmarks.resampling import METRICS, Resampled, resampled
from genept.benchmarks.tasks import GeneVectors, Labels, Task, random_vectors
from genept.embeddings.ensembles import concatenated
from genept.store.lake import Lake, NewPart, Part
from genept.store.provenance import Origin
from genept.tables import CONFUSED

LIBRARIES: Final = ("numpy", "scikit-learn", "scipy")
_CONFUSED: Final = pl.Schema(
    {one.name: pl.Int64 if one.name == "n" else pl.String for one in CONFUSED}
)
_CODE: Final = (
    "genept.benchmarks.leaderboard",
    "genept.benchmarks.resampling",
    "genept.benchmarks.comparisons",
    "genept.benchmarks.scores",
    "genept.tables",
)


def predict(lake: Lake, contest: Contest, name: str, members: Sequence[SpaceVectors]) -> list[Part]:
    """Predictions of one entry and of its controls, unless the lake holds them already."""
    task = contest.task
    origin = Origin(
        code=(*task.code, "genept.text.random_vectors", "genept.text.shuffling"),
        inputs=contest.inputs | {one.space.id: one.part.sha256 for one in members},
        settings={"task": repr(task), "entry": name},
        libraries=LIBRARIES,
    )

    def compute() -> list[NewPart]:
        return [
            NewPart("benchmark_predictions", rows, (task.id, representation))
            for representation, rows in _predicted(lake, contest, name, members)
        ]

    return lake.build(f"benchmarks/{task.id}/{name}", origin, compute)


def _predicted(
    lake: Lake, contest: Contest, name: str, members: Sequence[SpaceVectors]
) -> Iterator[tuple[str, pl.DataFrame]]:
    task, rows = contest.task, contest.rows

    def marked(vectors: GeneVectors, found: pl.DataFrame) -> tuple[str, pl.DataFrame]:
        said = {"task": task.id, "representation": vectors.name, "is_control": vectors.is_control}
        return vectors.name, found.with_columns(**{k: pl.lit(v) for k, v in said.items()})

    if not members:
        chance = random_vectors(contest.genes)
        yield marked(chance, task.predict(rows, chance))
        if (baseline := task.baseline(rows)) is not None:
            known = GeneVectors(baseline[0], (), np.empty((0, 0), np.float32), is_control=True)
            yield marked(known, baseline[1])
        return
    vectors = _joined(name, [one.read(lake, contest.genes) for one in members])
    yield marked(vectors, task.predict(rows, vectors))
    mixed = vectors.shuffled()
    yield marked(mixed, task.predict(rows, mixed, brief=True))
    dealt = GeneVectors(f"{name}@permuted-labels", vectors.genes, vectors.matrix, is_control=True)
    yield marked(dealt, task.predict(task.permuted(rows), dealt, brief=True))


def _joined(name: str, members: Sequence[GeneVectors]) -> GeneVectors:
    if len(members) == 1:
        return members[0]
    matrix = concatenated({one.name: one.matrix for one in members})
    return GeneVectors(name, members[0].genes, matrix)


def score(lake: Lake, contest: Contest, predicted: Sequence[Part]) -> list[Part]:
    """One task's part of table `benchmark_results`, and of the working differences."""
    task = contest.task
    origin = Origin(
        code=_CODE,
        inputs={"/".join(part.partition): part.sha256 for part in predicted},
        settings={"task": repr(task)},
        libraries=("numpy", "polars"),
    )

    def compute() -> list[NewPart]:
        rows = lake.read(predicted)
        results, deciding = _scored(task, rows)
        control = dict(results.select("representation", "is_control").iter_rows())
        differences = paired_differences(deciding, rivals(deciding, control))
        said = {
            "task": task.id,
            "model": task.model,
            "split": task.clean,
            "metric": task.metrics[0],
        }
        marked = differences.with_columns(**{k: pl.lit(v) for k, v in said.items()})
        return [
            NewPart("benchmark_results", results, (task.id, task.dataset)),
            NewPart("benchmark_differences", marked, (task.id,)),
            *_confused(task, rows),
        ]

    return lake.build(f"benchmarks/{task.id}", origin, compute)


def _scored(task: Task, rows: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, Resampled]]:
    """Rows of table `benchmark_results`, and every representation's deciding score."""
    results: list[dict[str, Any]] = []
    deciding: dict[str, Resampled] = {}
    of = ["representation", "model", "split", "is_control"]
    for (representation, model, split, is_control), part in rows.group_by(of, maintain_order=True):
        for metric in task.metrics:
            found = resampled(part, metric)
            low, high = found.interval
            row = {
                "task": task.id,
                "dataset": task.dataset,
                "representation": representation,
                "model": model,
                "split": split,
                "metric": metric,
                "value": found.value,
                "ci_low": low,
                "ci_high": high,
                "n": part.height,
                "is_control": is_control,
            }
            results.append(row)
            if metric == "auroc" and part["fold"].n_unique() > 1:
                spread = {"value": _spread(part), "ci_low": None, "ci_high": None}
                results.append(row | {"metric": "auroc_sd_of_folds"} | spread)
            if (model, split, metric) == (task.model, task.clean, task.metrics[0]):
                deciding[str(representation)] = found
    return pl.DataFrame(results, infer_schema_length=None), deciding


def _confused(task: Task, rows: pl.DataFrame) -> Iterator[NewPart]:
    """What labels were taken for where the task decides, if it predicts labels at all."""
    said = rows.filter(model=task.model, split=task.clean).drop_nulls("predicted")
    if not said.height:
        return
    found = [
        confusions(part["truth"].to_list(), part["predicted"].to_list()).with_columns(
            representation=pl.lit(part["representation"][0])
        )
        for part in said.partition_by("representation", maintain_order=True)
    ]
    named = {"task": task.id, "dataset": task.dataset, "model": task.model, "split": task.clean}
    marked = pl.concat(found).with_columns(**{k: pl.lit(v) for k, v in named.items()})
    yield NewPart("benchmark_confused", marked, (task.id, task.dataset))


def _spread(part: pl.DataFrame) -> float:
    """Standard deviation of the folds' scores, as the authors print it."""
    ones = [
        METRICS["auroc"](fold)(np.ones(fold.height))
        for fold in part.sort("fold", "unit", "partner").partition_by("fold")
    ]
    return float(np.std(ones))


def compare(lake: Lake, parts: Sequence[Part]) -> list[Part]:
    """Tables `benchmark_comparisons` and `benchmark_confusions`, of every task.

    Differences are corrected over all of them together.
    """
    differences, confused = (
        [part for part in parts if part.table == table]
        for table in ("benchmark_differences", "benchmark_confused")
    )
    inputs = {"/".join((part.table, *part.partition)): part.sha256 for part in parts
              if part in differences or part in confused}  # fmt: skip
    origin = Origin(code=_CODE, inputs=inputs)

    def compute() -> list[NewPart]:
        rows = lake.read(differences) if differences else _no_differences()
        taken = lake.read(confused) if confused else pl.DataFrame(schema=_CONFUSED)
        return [
            NewPart("benchmark_comparisons", corrected(rows)),
            NewPart("benchmark_confusions", taken),
        ]

    return lake.build("benchmarks/comparisons", origin, compute)


def _no_differences() -> pl.DataFrame:
    empty = paired_differences({}, [])
    return empty.with_columns(**{name: pl.lit("") for name in ("task", "model", "split", "metric")})


def run_tasks(
    lake: Lake,
    labels: Labels,
    spaces: Sequence[SpaceVectors],
    *,
    tasks: Mapping[str, Task] = TASKS,
    further: Sequence[Part] = (),
    advance: Callable[[str, float], None] = lambda *_: None,
) -> tuple[list[Part], dict[str, str]]:
    """Hold every task: parts of the three tables `benchmark_…`, and remarks.

    Parameters
    ----------
    further
        Parts of other tasks, such as those on cells: their differences are corrected together.
    advance
        Told what is done next, an entry of a task at a time, and the share of them that is done.

    Returns
    -------
    tuple of list of Part and dict
        Parts, and by task or task and space why it was not scored.
    """
    parts: list[Part] = [*further]
    remarks: dict[str, str] = {}
    contests: list[Contest] = []
    for task in tasks.values():
        held = contest(lake, task, labels, spaces)
        if held is None:
            remarks[task.id] = "no labels are at hand, or no space knows their genes"
            continue
        remarks |= {f"{task.id}/{space}": why for space, why in held.left_out.items()}
        contests.append(held)
    entered = [entries(held) for held in contests]
    steps, done = sum(len(one) + 1 for one in entered), 0
    for held, taking in zip(contests, entered, strict=True):
        predicted: list[Part] = []
        for name, members in taking:
            advance(f"{held.task.id}: {name}", done / steps)
            predicted += predict(lake, held, name, members)
            done += 1
        advance(f"{held.task.id}: scores", done / steps)
        parts += score(lake, held, predicted)
        done += 1
    return [*parts, *compare(lake, parts)], remarks
