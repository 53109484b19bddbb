"""Every task on genes in every space, beside its controls: steps of the lake, and their tables.

One step per task and space keeps predictions, so that only what an input changed is computed
again; scores and paired differences are computed from predictions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import chain, islice
from typing import Any, Final

import numpy as np
import polars as pl

from genept.benchmarks import resampling
from genept.benchmarks.input_tables import SpaceVectors, TaskInputs, entries, task_inputs
from genept.benchmarks.runs.entry_predictions import prediction_step
from genept.benchmarks.runs.stored_steps import Advance, Step, run_steps
from genept.benchmarks.scores import Score, confusions
from genept.benchmarks.task_base import Labels, Task, constant
from genept.benchmarks.task_registry import all_tasks
from genept.common import Workers
from genept.schema.tables import TABLES
from genept.storage import Lake, NewPart, Origin, Part, PartReader

LEVEL: Final = 0.05

_CODE: Final = (
    "genept.benchmarks.runs.leaderboard",
    "genept.benchmarks.influence",
    "genept.benchmarks.resampling",
    "genept.benchmarks.scores",
    "genept.schema.tables",
)


def score_step(inputs: TaskInputs, predicted: Sequence[Part]) -> Step:
    """The step that scores one task: `benchmark_results`, and the working differences."""
    task = inputs.task
    read = {"/".join((*part.partition, str(part.number))): part.sha256 for part in predicted}
    origin = Origin(_CODE, read, {"task": repr(task)}, ("numpy", "polars"))
    compute = partial(_scores, task=task, predicted=tuple(predicted))
    return Step(f"benchmarks/{task.id}", f"{task.id}: scores", origin, tuple(predicted), compute)


def _scores(copies: PartReader, task: Task, predicted: Sequence[Part]) -> list[NewPart]:
    rows = copies.read(predicted)
    results, deciding = _scored(task, rows)
    control = dict(results.select("representation", "is_control").iter_rows())
    differences = resampling.paired_differences(deciding, resampling.rivals(deciding, control))
    compared = constant(differences, metric=task.metrics[0], **_deciding(task))
    return [
        NewPart("benchmark_results", results, (task.id, task.dataset)),
        NewPart("benchmark_differences", compared, (task.id,)),
        *_confused(task, rows),
    ]


def _deciding(task: Task) -> dict[str, str]:
    return {"task": task.id, "dataset": task.dataset, "model": task.model, "split": task.clean}


def _scored(task: Task, rows: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, resampling.Resampled]]:
    """Rows of table `benchmark_results`, and every representation's deciding score."""
    results: list[dict[str, Any]] = []
    deciding: dict[str, resampling.Resampled] = {}
    by = ["representation", "model", "split", "is_control"]
    units = {
        str(split): [unit for unit in set(part["unit"]) | set(part["partner"]) if unit]
        for (split,), part in rows.group_by("split")
    }
    for group, part in rows.group_by(by, maintain_order=True):
        representation, model, split, _ = group
        shared = {"task": task.id, "dataset": task.dataset} | dict(zip(by, group, strict=True))
        n = part.select("unit", "partner").n_unique()
        for metric in task.metrics:
            draws = resampling.resampled(part, metric, units=units[str(split)])
            results.append(shared | {"metric": metric} | asdict(draws.score(n)))
            if metric == "auroc" and part["fold"].n_unique() > 1:
                spread = Score(_spread(part), None, None, n)
                results.append(shared | {"metric": "auroc_sd_of_folds"} | asdict(spread))
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
        constant(confusions(part["truth"].to_list(), part["predicted"].to_list()),
                 representation=part["representation"][0], **_deciding(task))
        for part in labelled.partition_by("representation", maintain_order=True)
    ]  # fmt: skip
    yield NewPart("benchmark_confused", pl.concat(counts), (task.id, task.dataset))


def _spread(part: pl.DataFrame) -> float:
    """Standard deviation of the folds' scores, as the authors print it."""
    scores = [
        resampling.METRICS["auroc"](fold)(np.ones(fold.height))
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
    used = (*differences, *confused)
    inputs = {"/".join((part.table, *part.partition)): part.sha256 for part in used}
    origin = Origin(code=_CODE, inputs=inputs)

    def compute() -> list[NewPart]:
        pairs = corrected(lake.read(differences)) if differences else pl.DataFrame()
        counts = lake.read(confused) if confused else pl.DataFrame()
        return [*_pieces("benchmark_comparisons", pairs), *_pieces("benchmark_confusions", counts)]

    return lake.build("benchmarks/comparisons", origin, compute)


def corrected(differences: pl.DataFrame) -> pl.DataFrame:
    """Correct p values over all rows by Holm's procedure.

    Parameters
    ----------
    differences
        Rows of `paired_differences`, of all tasks together.

    Returns
    -------
    pl.DataFrame
        The rows with `p_holm` and `separable`: whether it is below .05.
    """
    adjusted = pl.Series("p_holm", holm(differences["p"].to_list()), pl.Float64)
    return differences.with_columns(adjusted, (adjusted < LEVEL).alias("separable"))


def holm(p: Sequence[float]) -> list[float]:
    """P values corrected by Holm's step-down procedure, in the order given (Holm 1979)."""
    order = np.argsort(p, kind="stable")
    stepped = np.asarray(p, dtype=np.float64)[order] * np.arange(len(p), 0, -1)
    adjusted = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return [float(value) for value in adjusted[np.argsort(order)]]


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
    tasks: Mapping[str, Task] | None = None,
    together: bool = False,
    slow_controls: bool = False,
    other_heads: bool = True,
    processes: int = 1,
    further: Sequence[Part] = (),
    advance: Advance = lambda *_: None,
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
        Tasks by id; None: all.
    together, slow_controls
        Whether all spaces are scored as one ensemble, too, and sparse vectors where that takes
        minutes: see `input_tables.entries`.
    other_heads
        Whether heads and splits that do not decide are scored, too.
    processes
        Processes that predict and score; how many changes no result.
    further
        Parts of other tasks, such as those on cells: their differences are corrected together.
    advance
        Called with the next step, an entry of a task, and the share of steps that are done: first
        of predictions, then of scores.

    Returns
    -------
    tuple of list of Part and dict
        Parts of `benchmark_results`, `benchmark_comparisons` and `benchmark_confusions`, with
        working tables of differences and confusions; by task, ``task/space`` or ``task/n genes``,
        why it was not scored.
    """
    parts: list[Part] = [*further]
    remarks: dict[str, str] = {}
    every: list[TaskInputs] = []
    for task in (all_tasks() if tasks is None else tasks).values():
        inputs = task_inputs(lake, task, labels, spaces)
        if isinstance(inputs, str):
            remarks[task.id] = inputs
            continue
        remarks |= {f"{task.id}/{what}": why for what, why in inputs.left_out.items()}
        every.append(inputs)
    steps, n_of_task = list[Step](), list[int]()
    for inputs in every:
        entered = entries(inputs, together=together, slow_controls=slow_controls)
        own = [prediction_step(inputs, *entry) for entry in entered]
        if other_heads:
            own += [prediction_step(inputs, *entry, further=True) for entry in entered]
        steps += own
        n_of_task.append(len(own))
    with Workers(processes) as workers:
        stored = iter(run_steps(lake, steps, workers, advance))
        predicted = [list(chain.from_iterable(islice(stored, n))) for n in n_of_task]
        scoring = [score_step(*of) for of in zip(every, predicted, strict=True)]
        scored = run_steps(lake, scoring, workers, advance)
    parts += chain.from_iterable(scored)
    return [*parts, *compare(lake, parts)], remarks
