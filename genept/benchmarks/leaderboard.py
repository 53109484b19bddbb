"""Every task on genes in every space, beside its controls: steps of the lake, and their tables.

One step per task and space keeps predictions, so that only what an input changed is computed
again; scores and paired differences are computed from predictions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import polars as pl

from genept.benchmarks.metrics import (
    METRICS,
    Resampled,
    confusions,
    corrected,
    paired_differences,
    resampled,
    rivals,
)
from genept.benchmarks.tasks import (
    TASKS,
    Labels,
    SpaceVectors,
    Task,
    TaskInputs,
    entries,
    predict,
    task_inputs,
)
from genept.schema.tables import TABLES
from genept.storage import Lake, NewPart, Origin, Part

_CODE: Final = (
    "genept.benchmarks.leaderboard",
    "genept.benchmarks.metrics.resampling",
    "genept.benchmarks.metrics.scores",
    "genept.schema.tables",
)


def score(lake: Lake, inputs: TaskInputs, predicted: Sequence[Part]) -> list[Part]:
    """Scores of one task: its part of table `benchmark_results`, and of the working differences."""
    task = inputs.task
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
        columns = {
            "task": task.id,
            "dataset": task.dataset,
            "model": task.model,
            "split": task.clean,
            "metric": task.metrics[0],
        }
        marked = differences.with_columns(**{k: pl.lit(v) for k, v in columns.items()})
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
    units = {
        str(split): pl.concat([part["unit"], part["partner"]]).unique().sort().to_list()
        for (split,), part in rows.group_by("split")
    }
    for (representation, model, split, is_control), part in rows.group_by(of, maintain_order=True):
        for metric in task.metrics:
            draws = resampled(part, metric, units=units[str(split)])
            low, high = draws.interval
            row = {
                "task": task.id,
                "dataset": task.dataset,
                "representation": representation,
                "model": model,
                "split": split,
                "metric": metric,
                "value": draws.value,
                "ci_low": low,
                "ci_high": high,
                "n": part.select("unit", "partner").n_unique(),
                "is_control": is_control,
            }
            results.append(row)
            if metric == "auroc" and part["fold"].n_unique() > 1:
                spread = {"value": _spread(part), "ci_low": None, "ci_high": None}
                results.append(row | {"metric": "auroc_sd_of_folds"} | spread)
            if (model, split, metric) == (task.model, task.clean, task.metrics[0]):
                deciding[str(representation)] = draws
    return pl.DataFrame(results, infer_schema_length=None), deciding


def _confused(task: Task, rows: pl.DataFrame) -> Iterator[NewPart]:
    """Published and predicted labels, counted, under the deciding head and split.

    Nothing for tasks that predict scores instead of labels.
    """
    labelled = rows.filter(model=task.model, split=task.clean).drop_nulls("predicted")
    if not labelled.height:
        return
    counts = [
        confusions(part["truth"].to_list(), part["predicted"].to_list()).with_columns(
            representation=pl.lit(part["representation"][0])
        )
        for part in labelled.partition_by("representation", maintain_order=True)
    ]
    named = {"task": task.id, "dataset": task.dataset, "model": task.model, "split": task.clean}
    marked = pl.concat(counts).with_columns(**{k: pl.lit(v) for k, v in named.items()})
    yield NewPart("benchmark_confused", marked, (task.id, task.dataset))


def _spread(part: pl.DataFrame) -> float:
    """Standard deviation of the folds' scores, as the authors print it."""
    scores = [
        METRICS["auroc"](fold)(np.ones(fold.height))
        for fold in part.sort("fold", "unit", "partner").partition_by("fold")
    ]
    return float(np.std(scores))


def compare(lake: Lake, parts: Sequence[Part]) -> list[Part]:
    """Tables `benchmark_comparisons` and `benchmark_confusions`, of every task.

    Differences are corrected over all of them together. A piece of a table holds one data set:
    a release may leave out those of a collection that it may not pass on.
    """
    differences, confused = (
        [part for part in parts if part.table == table]
        for table in ("benchmark_differences", "benchmark_confused")
    )
    inputs = {"/".join((part.table, *part.partition)): part.sha256 for part in parts
              if part in differences or part in confused}  # fmt: skip
    origin = Origin(code=_CODE, inputs=inputs)

    def compute() -> list[NewPart]:
        compared = corrected(lake.read(differences)) if differences else pl.DataFrame()
        taken = lake.read(confused) if confused else pl.DataFrame()
        return [
            *_pieces("benchmark_comparisons", compared),
            *_pieces("benchmark_confusions", taken),
        ]

    return lake.build("benchmarks/comparisons", origin, compute)


def _pieces(table: str, rows: pl.DataFrame) -> Iterator[NewPart]:
    if not rows.width:
        yield NewPart(table, TABLES[table].schema().empty_table())
        return
    for number, of_dataset in enumerate(rows.partition_by("dataset", maintain_order=True)):
        yield NewPart(table, of_dataset, number=number)


def run_tasks(
    lake: Lake,
    labels: Labels,
    spaces: Sequence[SpaceVectors],
    *,
    tasks: Mapping[str, Task] = TASKS,
    together: bool = False,
    further: Sequence[Part] = (),
    advance: Callable[[str, float], None] = lambda *_: None,
) -> tuple[list[Part], dict[str, str]]:
    """Score every task: parts of the three tables `benchmark_…`, and remarks.

    Parameters
    ----------
    lake
        Where parts of tables are kept.
    labels
        Tables `gene_properties` and `gene_pairs`.
    spaces
        Spaces to score, with their vectors.
    tasks
        Tasks by id.
    together
        Whether all spaces are scored as one ensemble, too: see `tasks.entries`.
    further
        Parts of other tasks, such as those on cells: their differences are corrected together.
    advance
        Called with the next step, an entry of a task, and the share of steps that are done.

    Returns
    -------
    tuple of list of Part and dict
        Parts of `benchmark_results`, `benchmark_comparisons` and `benchmark_confusions`, with
        working tables of differences and confusions; by task, or ``task/space``, why it was not
        scored.
    """
    parts: list[Part] = [*further]
    remarks: dict[str, str] = {}
    every: list[TaskInputs] = []
    for task in tasks.values():
        inputs = task_inputs(lake, task, labels, spaces)
        if isinstance(inputs, str):
            remarks[task.id] = inputs
            continue
        remarks |= {f"{task.id}/{space}": why for space, why in inputs.left_out.items()}
        every.append(inputs)
    entered = [entries(inputs, together=together) for inputs in every]
    steps, done = sum(len(members_of) + 1 for members_of in entered), 0
    for inputs, taking in zip(every, entered, strict=True):
        predicted: list[Part] = []
        for name, members in taking:
            advance(f"{inputs.task.id}: {name}", done / steps)
            predicted += predict(lake, inputs, name, members)
            done += 1
        advance(f"{inputs.task.id}: scores", done / steps)
        parts += score(lake, inputs, predicted)
        done += 1
    return [*parts, *compare(lake, parts)], remarks
