"""Scores per task beside their controls, and mean ranks of what can be told apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import polars as pl

from genept.benchmarks.metrics.resampling import is_own_control
from genept.benchmarks.tasks.cell_task import CENTRED, CLUSTERS, DECIDING, MIXING, NEIGHBOURS, WHOLE
from genept.benchmarks.tasks.cell_types import TASK as CELL_TYPES
from genept.benchmarks.tasks.task_inputs import TFIDF
from genept.benchmarks.tasks.task_registry import TASKS

OF_SCORE: Final = ("task", "dataset", "model", "split", "metric")
"""What scores have in common that may be compared."""


SAMPLE_TASKS: Final[Mapping[str, str]] = {
    "balanced_accuracy": "diagnosis",
    "normalised_pearson": "drug-response",
}
"""Grouped tasks on samples, by the metric of table `model_evaluations` that decides."""


_SHOWN: Final = (*OF_SCORE, "representation", "value", "ci_low", "ci_high", "n", "is_control")

_METHOD: Final = ":genept-w"


def sample_tasks(evaluations: pl.DataFrame) -> pl.DataFrame:
    """Diagnosis and drug response of table `model_evaluations`, shaped as `benchmark_results`.

    The data set of a row is what its model reads, by the model's name: a collection may have
    several labels. Several versions or splits of one model are told apart by `split`; of each
    representation the first row in their order is kept. Under heads other than the usual one
    (``expression, knn``) representations are for the model's card; the ways of keeping lines and
    drugs apart (``drug-response-gdsc-leave-drug-out-ridge``) are not one task with each other.
    """
    task = pl.col("metric").replace_strict(SAMPLE_TASKS, default=None, return_dtype=pl.String)
    usual = ~pl.col("representation").str.contains(", ", literal=True)
    found = evaluations.filter(usual).with_columns(task=task).drop_nulls("task")
    named = found.with_columns(
        dataset=pl.col("model").str.strip_prefix(pl.col("task") + "-"),
    ).filter((pl.col("task") == "diagnosis") | (pl.col("dataset") == pl.col("cohort")))
    rows = named.sort("model", "model_version", "split").select(_SHOWN)
    return rows.unique([*OF_SCORE, "representation"], keep="first", maintain_order=True)


def deciding(results: pl.DataFrame) -> pl.DataFrame:
    """The rows of `benchmark_results` that decide: one score per representation and task."""
    asked = [_is(task.id, task.model, task.clean, task.metrics[0]) for task in TASKS.values()]
    asked += [
        _is(CLUSTERS, "k-means", WHOLE, "ami"),
        _is(MIXING, NEIGHBOURS, WHOLE, "knn_type_purity"),
    ]
    found = results.filter(pl.any_horizontal(asked))
    samples = results.filter(pl.col("task").is_in(list(SAMPLE_TASKS.values())))
    return pl.concat([found, annotated_cells(results, DECIDING), samples])


def annotated_cells(results: pl.DataFrame, metric: str) -> pl.DataFrame:
    """Scores of cell types on the split that decides: groups left out, where there are groups."""
    cells = results.filter(_is(CELL_TYPES, NEIGHBOURS, None, metric))
    by_group = pl.col("split").str.starts_with("leave-group-out")
    return cells.filter(by_group | ~by_group.any().over("dataset"))


def beside_controls(results: pl.DataFrame) -> pl.DataFrame:
    """Every score with the best control that it must beat, and whether it is below that.

    Returns
    -------
    pl.DataFrame
        The rows, with `best_control` and `best_control_value` (null for a control) and
        `is_below`.
    """
    found = []
    for scores in results.select(_SHOWN).partition_by(OF_SCORE, maintain_order=True):
        values = dict(scores.select("representation", "value").iter_rows())
        control = dict(scores.select("representation", "is_control").iter_rows())
        best = [
            None if control[name] else max(controls_of(name, control), key=values.get, default=None)  # type: ignore[arg-type]
            for name in scores["representation"]
        ]
        found.append(
            scores.with_columns(
                pl.Series("best_control", best, pl.String),
                pl.Series(
                    "best_control_value", [values.get(one or "") for one in best], pl.Float64
                ),
            )
        )
    below = (pl.col("value") < pl.col("best_control_value")).fill_null(value=False)
    return pl.concat(found).with_columns(is_below=below) if found else _nothing(results)


def _best(names: Iterator[str], values: Mapping[str, float]) -> str | None:
    return max(names, key=lambda name: values[name], default=None)


def controls_of(name: str, is_control: Mapping[str, bool]) -> Iterator[str]:
    """What a representation must beat, among those that were scored.

    Chance (random vectors, majority, gene frequency) and expression; its own shuffled and
    permuted variants; TF-IDF of the same texts; the name alone.
    """
    base, centred = name.removesuffix(CENTRED), name.endswith(CENTRED)
    space, method = base.removesuffix(_METHOD), base.endswith(_METHOD)
    embedder, _, recipe = space.partition("/")
    suffix = _METHOD * method + CENTRED * centred
    told = {f"{TFIDF}/{recipe}{suffix}", f"minilm-l6-v2/name{suffix}", f"{embedder}/name{suffix}"}
    for other, control in is_control.items():
        if other == name:
            continue
        of_somebody = "@" in other
        if (control and not of_somebody) or is_own_control(name, other) or other in told:
            yield other


def representations(standing: pl.DataFrame, *, controls: bool = False) -> list[str]:
    """Names by the number of tasks that they were asked and then by name; controls last."""
    counted = standing.group_by("representation", "is_control").agg(pl.len().alias("n"))
    shown = counted if controls else counted.filter(~pl.col("is_control"))
    ordered = shown.sort(["is_control", "n", "representation"], descending=[False, True, False])
    return ordered["representation"].to_list()


def spaces_of(standing: pl.DataFrame) -> pl.DataFrame:
    """The same rows under the name of the space: GenePT-w in a space counts for the space.

    Centred vectors are another way to look at the same space, and are left out.
    """
    named = standing.filter(~pl.col("representation").str.ends_with(CENTRED))
    return named.with_columns(pl.col("representation").str.strip_suffix(_METHOD))


def _is(task: str, model: str, split: str | None, metric: str) -> pl.Expr:
    asked: Sequence[pl.Expr] = [
        pl.col("task") == task,
        pl.col("model") == model,
        pl.col("metric") == metric,
    ]
    return pl.all_horizontal(*asked, *([pl.col("split") == split] if split else []))


def _nothing(results: pl.DataFrame) -> pl.DataFrame:
    return (
        results.select(_SHOWN)
        .clear()
        .with_columns(
            best_control=pl.lit(None, pl.String),
            best_control_value=pl.lit(None, pl.Float64),
            is_below=pl.lit(value=False),
        )
    )


def mean_ranks(standing: pl.DataFrame) -> tuple[dict[str, float], list[str]]:
    """Mean rank of each representation over the tasks that all of them were asked; ties share.

    Those that were asked most tasks decide which tasks: representations are added in the order
    of how much they were asked while three tasks in common are left.

    Returns
    -------
    dict and list
        Mean rank, 1 the best, by representation; the tasks, as ``task (dataset)``.
    """
    of_task = pl.format("{} ({})", "task", "dataset").alias("asked")
    rows = standing.filter(~pl.col("is_control")).select(of_task, "representation", "value")
    asked = {name: set(one["asked"]) for (name,), one in rows.group_by("representation")}
    chosen: list[str] = []
    common: set[str] = set()
    for name in representations(standing):
        left = common & asked[name] if chosen else asked[name]
        if len(left) >= min(3, len(common) or 3):
            chosen, common = [*chosen, name], left
    shared = rows.filter(pl.col("asked").is_in(sorted(common)))
    taking = shared.filter(pl.col("representation").is_in(chosen))
    ranked = taking.with_columns(
        rank=pl.col("value").rank("average", descending=True).over("asked")
    )
    means = ranked.group_by("representation").agg(pl.mean("rank")).sort("rank", "representation")
    return dict(means.iter_rows()), sorted(common)


def apart(comparisons: pl.DataFrame) -> Callable[[str, str], bool]:
    """Whether two representations are told apart: on some task, and on none the other way round.

    GenePT-w in a space counts for the space.
    """
    plain = (
        pl.col(side).str.strip_suffix(":genept-w").alias(side)
        for side in ("representation", "other")
    )
    real = comparisons.filter("separable").with_columns(plain)
    ahead: set[tuple[str, str]] = set()
    for a, b, difference in real.select("representation", "other", "difference").iter_rows():
        ahead.add((a, b) if difference > 0 else (b, a))

    def told(a: str, b: str) -> bool:
        return ((a, b) in ahead) != ((b, a) in ahead)

    return told
