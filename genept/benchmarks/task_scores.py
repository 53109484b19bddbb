"""Scores per task beside their controls, mean ranks, and what each part of a description adds.

Reads published tables. An ablation compares two spaces of one embedder whose recipes differ by one
part or by their masks; a masked recipe that scores separably worse had been reading its labels.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import Final, NamedTuple

import polars as pl

from genept.benchmarks import cells
from genept.benchmarks.resampling import is_common_control, is_own_control
from genept.benchmarks.task_registry import all_tasks
from genept.benchmarks.term_weights import TFIDF
from genept.text import Recipe

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
    several labels. Versions and splits of one model differ in `split`; of each representation the
    first row in their order is kept. Representations under heads other than the usual one
    (``expression, knn``) are for the model's card; the regimes of a screen
    (``drug-response-gdsc-leave-drug-out-ridge``) are not one task with each other.

    Parameters
    ----------
    evaluations
        Table `model_evaluations`.

    Returns
    -------
    pl.DataFrame
        Columns of `OF_SCORE`, representation, value, ci_low, ci_high, n, is_control.
    """
    task = pl.col("metric").replace_strict(SAMPLE_TASKS, default=None, return_dtype=pl.String)
    usual = ~pl.col("representation").str.contains(", ", literal=True)
    scored = evaluations.filter(usual).with_columns(task=task).drop_nulls("task")
    named = scored.with_columns(
        dataset=pl.col("model").str.strip_prefix(pl.col("task") + "-")
    ).filter((pl.col("task") == "diagnosis") | (pl.col("dataset") == pl.col("cohort")))
    rows = named.sort("model", "model_version", "split").select(_SHOWN)
    return rows.unique([*OF_SCORE, "representation"], keep="first", maintain_order=True)


def deciding(results: pl.DataFrame) -> pl.DataFrame:
    """The rows of `benchmark_results` that decide: one score per representation and task."""
    conditions = [_is(of.id, of.model, of.clean, of.metrics[0]) for of in all_tasks().values()]
    conditions += [
        _is(cells.CLUSTERS, "k-means", cells.WHOLE, "ami"),
        _is(cells.MIXING, cells.NEIGHBOURS, cells.WHOLE, "knn_type_purity"),
        _is(cells.ZERO_SHOT, cells.NEAREST_NAME, cells.WHOLE, cells.DECIDING),
    ]
    samples = pl.col("task").is_in(list(SAMPLE_TASKS.values()))
    chosen = [results.filter(pl.any_horizontal(conditions)), results.filter(samples)]
    return pl.concat([*chosen, annotated_cells(results, cells.DECIDING)])


def annotated_cells(results: pl.DataFrame, metric: str) -> pl.DataFrame:
    """Scores of cell types on the split that decides: groups left out, where there are groups.

    Parameters
    ----------
    results, metric
        Table `benchmark_results`; such as ``macro_f1``.

    Returns
    -------
    pl.DataFrame
        The rows with this metric on the deciding split of each data set.
    """
    annotated = results.filter(_is(cells.TASK, cells.NEIGHBOURS, None, metric))
    by_group = pl.col("split").str.starts_with("leave-group-out")
    return annotated.filter(by_group | ~by_group.any().over("dataset"))


def beside_controls(results: pl.DataFrame) -> pl.DataFrame:
    """Every score with the best control that it must beat, and whether it is below that.

    Parameters
    ----------
    results
        Rows of table `benchmark_results`, one per representation and `OF_SCORE`.

    Returns
    -------
    pl.DataFrame
        The rows, with `best_control` and `best_control_value` (null for a control) and
        `is_below`.
    """
    frames = []
    shown = results.select(_SHOWN)
    for scores in shown.partition_by(OF_SCORE, maintain_order=True) or [shown]:
        values = dict(scores.select("representation", "value").iter_rows())
        control = dict(scores.select("representation", "is_control").iter_rows())
        best = [
            None if control[name] else max(controls_of(name, control), key=values.get, default=None)  # type: ignore[arg-type]
            for name in scores["representation"]
        ]
        best_values = [values.get(name or "") for name in best]
        named = pl.Series("best_control", best, pl.String)
        value = pl.Series("best_control_value", best_values, pl.Float64)
        frames.append(scores.with_columns(named, value))
    below = (pl.col("value") < pl.col("best_control_value")).fill_null(value=False)
    return pl.concat(frames).with_columns(is_below=below)


def controls_of(name: str, is_control: Mapping[str, bool]) -> Iterator[str]:
    """Controls that a representation must beat, among those that were scored.

    Chance (random vectors, majority, gene frequency) and expression; its own shuffled and
    permuted variants; TF-IDF of the same texts, sparse and as LSA; the name alone.
    """
    base, centred = name.removesuffix(cells.CENTRED), name.endswith(cells.CENTRED)
    space, method = base.removesuffix(_METHOD), base.endswith(_METHOD)
    embedder, _, recipe = space.partition("/")
    suffix = _METHOD * method + cells.CENTRED * centred
    same_text = {
        f"{TFIDF}/{recipe}{suffix}",
        f"minilm-l6-v2/name{suffix}",
        f"{embedder}/name{suffix}",
    }
    for other, control in is_control.items():
        if other == name:
            continue
        is_common = control and is_common_control(space, other)
        if is_common or is_own_control(name, other) or other in same_text:
            yield other


def representations(scores: pl.DataFrame, *, controls: bool = False) -> list[str]:
    """Names by the number of tasks that they were scored on, then by name; controls last."""
    counted = scores.group_by("representation", "is_control").agg(pl.len().alias("n"))
    shown = counted if controls else counted.filter(~pl.col("is_control"))
    ordered = shown.sort(["is_control", "n", "representation"], descending=[False, True, False])
    return ordered["representation"].to_list()


def spaces_of(scores: pl.DataFrame) -> pl.DataFrame:
    """The same rows by space: GenePT-w counts for its space; centred vectors are left out."""
    named = scores.filter(~pl.col("representation").str.ends_with(cells.CENTRED))
    return named.with_columns(pl.col("representation").str.strip_suffix(_METHOD))


def _is(task: str, model: str, split: str | None, metric: str) -> pl.Expr:
    columns = {"task": task, "model": model, "metric": metric} | ({"split": split} if split else {})
    return pl.all_horizontal(pl.col(name) == value for name, value in columns.items())


def mean_ranks(scores: pl.DataFrame) -> tuple[dict[str, float], list[str]]:
    """Mean rank of each representation over the tasks that all of them were scored on; ties share.

    Representations are added in the order of the number of their tasks, as long as three tasks (or
    all, where there are fewer) remain in common.

    Returns
    -------
    dict and list
        Mean rank, 1 the best, by representation; the tasks, as ``task (dataset)``.
    """
    of_task = pl.format("{} ({})", "task", "dataset").alias("of_task")
    rows = scores.filter(~pl.col("is_control")).select(of_task, "representation", "value")
    tasks_of = {name: set(part["of_task"]) for (name,), part in rows.group_by("representation")}
    chosen: list[str] = []
    common: set[str] = set()
    for name in representations(scores):
        left = common & tasks_of[name] if chosen else tasks_of[name]
        if len(left) >= min(3, len(common) or 3):
            chosen, common = [*chosen, name], left
    shared = rows.filter(
        pl.col("of_task").is_in(sorted(common)), pl.col("representation").is_in(chosen)
    )
    rank = pl.col("value").rank("average", descending=True).over("of_task")
    means = (
        shared.with_columns(rank=rank)
        .group_by("representation")
        .agg(pl.mean("rank"))
        .sort("rank", "representation")
    )
    return dict(means.iter_rows()), sorted(common)


def apart(comparisons: pl.DataFrame) -> Callable[[str, str], bool]:
    """Whether two representations differ: one is ahead on some task, the other on none.

    GenePT-w in a space counts for the space.
    """
    plain = pl.col("representation", "other").str.strip_suffix(_METHOD)
    real = comparisons.filter("separable").with_columns(plain)
    ahead: set[tuple[str, str]] = set()
    for a, b, difference in real.select("representation", "other", "difference").iter_rows():
        ahead.add((a, b) if difference > 0 else (b, a))
    return lambda a, b: ((a, b) in ahead) != ((b, a) in ahead)


MASKED: Final = "words of mask "
"""Begins the description of a step that takes a mask away; the name of the mask follows."""


class RecipeStep(NamedTuple):
    """Two recipes, and the part that the second has and the first lacks."""

    fewer: str
    more: str
    adds: str


def recipe_steps(recipes: Iterable[Recipe]) -> list[RecipeStep]:
    """Every pair of recipes that differ by one thing only."""
    every = list(recipes)
    pairs = (_step(fewer, more) for fewer in every for more in every if fewer.id != more.id)
    steps = [*filter(None, pairs), *_longer(every)]
    return sorted(steps, key=lambda step: (step.adds, step.fewer, step.more))


def _longer(recipes: Sequence[Recipe]) -> Iterator[RecipeStep]:
    """Steps from each length of a text to the next."""
    lengths: dict[tuple[object, ...], list[Recipe]] = {}
    for recipe in sorted(recipes, key=lambda recipe: recipe.max_tokens):
        of = (recipe.parts, recipe.masks, recipe.biotypes, recipe.counted_in)
        lengths.setdefault(of, []).append(recipe)
    for fewer, more in chain.from_iterable(map(pairwise, lengths.values())):
        if fewer.max_tokens < more.max_tokens:
            adds = f"up to {more.max_tokens} tokens instead of {fewer.max_tokens}"
            yield RecipeStep(fewer.id, more.id, adds)


def _step(fewer: Recipe, more: Recipe) -> RecipeStep | None:
    if (fewer.biotypes, fewer.max_tokens) != (more.biotypes, more.max_tokens):
        return None
    stated, states = (tuple(use.label for use in recipe.parts) for recipe in (fewer, more))
    masked, free = ({mask.id for mask in recipe.masks} for recipe in (fewer, more))
    if stated == states and free < masked:
        return RecipeStep(fewer.id, more.id, f"{MASKED}{' and '.join(sorted(masked - free))}")
    if masked == free and set(stated) < set(states) and len(states) == len(stated) + 1:
        return RecipeStep(fewer.id, more.id, (set(states) - set(stated)).pop())
    return None


def ablations(comparisons: pl.DataFrame, recipes: Mapping[str, Recipe]) -> pl.DataFrame:
    """What each step between `recipes` adds on each task, paired.

    Returns
    -------
    pl.DataFrame
        adds, embedder, task, fewer, more, difference (more less fewer), ci_low, ci_high, p_holm,
        separable. A budget's recipe (``full~8000-cl100k-base``) counts as its own.
    """
    schema = dict.fromkeys(RecipeStep._fields, pl.String)
    steps = pl.DataFrame(recipe_steps(recipes.values()), schema, orient="row")
    reversed_ = comparisons.with_columns(
        representation="other",
        other="representation",
        difference=-pl.col("difference"),
        ci_low=-pl.col("ci_high"),
        ci_high=-pl.col("ci_low"),
    )
    pairs = pl.concat([comparisons, reversed_]).with_columns(
        embedder=_embedder("representation"), fewer=_recipe("other"), more=_recipe("representation")
    )
    compared = pairs.filter(pl.col("embedder") == _embedder("other"))
    columns = ["adds", "embedder", "task", "fewer", "more", "difference", "ci_low", "ci_high"]
    rows = compared.join(steps, on=["fewer", "more"]).select(*columns, "p_holm", "separable")
    return rows.sort(columns[:5])


def leaks(differences: pl.DataFrame) -> pl.DataFrame:
    """Rows of `ablations` where the unmasked text is separably ahead: it states the label."""
    if not differences.width:
        return differences
    masked = pl.col("adds").str.starts_with(MASKED)
    return differences.filter(masked & pl.col("separable") & (pl.col("difference") > 0))


def _embedder(column: str) -> pl.Expr:
    return pl.col(column).str.split("/").list.first()


def _recipe(column: str) -> pl.Expr:
    """Recipe of a space; what pools it or mixes it up is another representation."""
    rest = pl.col(column).str.split("/").list.get(1, null_on_oob=True)
    return rest.str.strip_suffix(_METHOD)
