"""Spaces compared over tasks: ranks, quality against cost, what text adds over a name.

Reads published tables. What decides on a task is in `genept.benchmarks.task_scores`; the page of
the comparison is `genept.client.pages.comparison_page`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from scipy.stats import t as student

from genept.benchmarks.classifiers import LOGISTIC
from genept.benchmarks.pairs import FIXED
from genept.benchmarks.task_scores import beside_controls, mean_ranks, spaces_of
from genept.benchmarks.vector_costs import costs_of, points_above_chance

LEVEL: Final = 0.95
FEWEST_TASKS: Final = 3
"""Fewest tasks over which a mean difference gets an interval."""
NAME_ALONE: Final = "name"
"""Recipe of the name alone."""
COLUMNS: Final = (
    *("space", "rank", "points", "n_tasks", "dimensions"),
    *("tokens", "seconds", "dollars", "is_efficient"),
)


@dataclass(frozen=True)
class MeanDifference:
    """How far one space is ahead of another, over the tasks on which both were compared.

    Parameters
    ----------
    space, other
        Ids of the spaces; differences are of `space` less `other`.
    n_tasks, n_ahead, n_behind
        Tasks; those on which `space` is separably ahead, and behind.
    mean
        Mean difference of the deciding scores.
    low, high
        95 % interval of the mean, tasks as units (Student's t); None for fewer than three tasks.
    """

    space: str
    other: str
    n_tasks: int
    n_ahead: int
    n_behind: int
    mean: float
    low: float | None
    high: float | None

    @property
    def is_clear(self) -> bool:
        """Whether the interval of the mean leaves out 0."""
        return self.low is not None and self.high is not None and self.low * self.high > 0


def compared_spaces(
    scores: pl.DataFrame, results: pl.DataFrame, dimensions: Mapping[str, int]
) -> pl.DataFrame:
    """Every space with its rank, its points above chance, and what its vectors cost.

    Parameters
    ----------
    scores
        Rows of `leaderboard_figures.deciding_scores`.
    results
        Table `benchmark_results`, with the costs of spaces of texts.
    dimensions
        Length of the vectors, by space.

    Returns
    -------
    pl.DataFrame
        space, rank (mean over the tasks that all ranked spaces share), points (per cent above
        random vectors, mean over its own tasks), n_tasks, dimensions, tokens, seconds (CPU),
        dollars, is_efficient (see `efficient`). No controls; best rank first.
    """
    ranks, _ = mean_ranks(scores)
    names = scores.filter(~pl.col("is_control"))["representation"].unique()
    points = points_above_chance(scores).filter(pl.col("space").is_in(names.to_list()))
    rows = points.join(costs_of(results), on="space", how="left").with_columns(
        rank=pl.col("space").replace_strict(ranks, default=None, return_dtype=pl.Float64),
        dimensions=pl.col("space").replace_strict(
            dict(dimensions), default=None, return_dtype=pl.Int64
        ),
    )
    marked = rows.with_columns(is_efficient=pl.Series(efficient(rows), dtype=pl.Boolean))
    order = ["rank", "points", "space"]
    return marked.select(COLUMNS).sort(order, descending=[False, True, False], nulls_last=True)


def publishers_tests(results: pl.DataFrame) -> pl.DataFrame:
    """Scores of pairs on the publisher's own split, which decides nothing.

    Parameters
    ----------
    results
        Table `benchmark_results`.

    Returns
    -------
    pl.DataFrame
        Rows as those of `leaderboard_figures.deciding_scores`.
    """
    fixed = results.filter(split=FIXED, model=LOGISTIC, metric="auroc")
    return spaces_of(beside_controls(fixed))


def efficient(rows: pl.DataFrame) -> list[bool]:
    """Whether no other space has more points without costing more seconds or dollars.

    Parameters
    ----------
    rows
        points, seconds, dollars, a row per space; a service has dollars and no seconds.

    Returns
    -------
    list of bool
        One per row; False for a space whose cost is not known.
    """
    points, seconds, dollars = (
        rows[name].fill_null(0.0).to_numpy() for name in ("points", "seconds", "dollars")
    )
    known = (
        rows["seconds"].is_not_null() | (rows["dollars"] > 0).fill_null(value=False)
    ).to_numpy()
    flags = []
    for at in range(rows.height):
        as_cheap = known & (seconds <= seconds[at]) & (dollars <= dollars[at])
        flags.append(bool(known[at]) and not bool((points[as_cheap] > points[at]).any()))
    return flags


def mean_difference(comparisons: pl.DataFrame, space: str, other: str) -> MeanDifference | None:
    """The mean difference of two spaces over all tasks; None if they were not compared.

    Parameters
    ----------
    comparisons
        Table `benchmark_comparisons`.
    space, other
        Ids of spaces.

    Returns
    -------
    MeanDifference or None
        Differences of `space` less `other`.
    """
    forwards = comparisons.filter(representation=space, other=other)
    backwards = comparisons.filter(representation=other, other=space).with_columns(
        difference=-pl.col("difference")
    )
    rows = pl.concat([forwards, backwards])
    if not rows.height:
        return None
    by = rows["difference"].to_numpy()
    separable = rows["separable"].to_numpy()
    low = high = None
    if len(by) >= FEWEST_TASKS:
        error = float(by.std(ddof=1)) / np.sqrt(len(by))
        reach = float(student.ppf((1 + LEVEL) / 2, len(by) - 1)) * error
        low, high = float(by.mean() - reach), float(by.mean() + reach)
    return MeanDifference(
        space,
        other,
        n_tasks=len(by),
        n_ahead=int((separable & (by > 0)).sum()),
        n_behind=int((separable & (by < 0)).sum()),
        mean=float(by.mean()),
        low=low,
        high=high,
    )


def text_gains(comparisons: pl.DataFrame, spaces: Iterable[str]) -> list[MeanDifference]:
    """What each text adds over the name alone, and the name over random vectors.

    Parameters
    ----------
    comparisons
        Table `benchmark_comparisons`.
    spaces
        Ids of spaces, such as ``minilm-l6-v2/name-go``.

    Returns
    -------
    list of MeanDifference
        By embedder: its name-only space less random vectors, then every other recipe less the
        name-only space.
    """
    by_embedder: dict[str, list[str]] = {}
    for space in sorted(spaces):
        by_embedder.setdefault(space.partition("/")[0], []).append(space)
    random = sorted(
        {other for other in comparisons["other"].unique().to_list() if other.startswith("random-")}
    )
    gains = []
    for embedder, own in by_embedder.items():
        named = f"{embedder}/{NAME_ALONE}"
        pairs = [(named, other) for other in random if named in own]
        pairs += [(space, named) for space in own if space != named and named in own]
        gains += [mean_difference(comparisons, *pair) for pair in pairs]
    return [gain for gain in gains if gain is not None]


def is_larger_worth_it(models: pl.DataFrame, comparisons: pl.DataFrame) -> list[str]:
    """Two sentences on whether a costlier text embedder is worth it, as far as the scores say.

    Of the recipe that most embedders share, the space of the best rank is compared with that of the
    cheapest embedder.

    Parameters
    ----------
    models
        Rows of `compared_spaces`.
    comparisons
        Table `benchmark_comparisons`.

    Returns
    -------
    list of str
        Two sentences, or one that says why there are none.
    """
    shared = _of_shared_recipe(models)
    if shared.height < 2:
        return ["Fewer than two text embedders were scored on the same recipe and ranked."]
    recipe = shared["space"][0].partition("/")[2]
    cheapest = shared.sort("dollars", "seconds", nulls_last=True).row(0, named=True)
    best = shared.sort("rank", "seconds", nulls_last=True).row(0, named=True)
    first = (
        f"Of {shared.height} text embedders on recipe {recipe}, {_name(best)} has the best mean "
        f"rank ({best['rank']:.2f}), for {_cost(best)}"
    )
    if best["space"] == cheapest["space"]:
        return [f"{first}.", "It is also the cheapest of them: no larger model is worth its price."]
    first += f"; {_name(cheapest)} is the cheapest, for {_cost(cheapest)}."
    gain = mean_difference(comparisons, best["space"], cheapest["space"])
    if gain is None:
        return [first, "The two were not compared on the same genes: nothing is said of the price."]
    interval = "" if gain.low is None else f" [{gain.low:+.3f}, {gain.high:+.3f}]"
    verdict = "worth it here" if gain.is_clear and gain.mean > 0 else "not shown to be worth it"
    second = (
        f"Its mean difference from the cheapest over {gain.n_tasks} tasks is {gain.mean:+.3f}"
        f"{interval}, separably ahead on {gain.n_ahead} and behind on {gain.n_behind}: the "
        f"costlier model is {verdict}."
    )
    return [first, second]


def _of_shared_recipe(models: pl.DataFrame) -> pl.DataFrame:
    """Ranked spaces with a known cost, of the recipe that most of them share."""
    known = models.filter(
        pl.col("rank").is_not_null(),
        pl.col("seconds").is_not_null() | (pl.col("dollars") > 0),
    ).with_columns(recipe=pl.col("space").str.split("/").list.get(1, null_on_oob=True))
    counted = known.group_by("recipe").agg(pl.len(), pl.mean("rank").alias("mean_rank"))
    if not counted.height:
        return known
    recipe = counted.sort(["len", "mean_rank", "recipe"], descending=[True, False, False])["recipe"]
    return known.filter(recipe=recipe[0])


def _name(row: Mapping[str, object]) -> str:
    embedder = str(row["space"]).partition("/")[0]
    return f"{embedder} ({row['dimensions']} dimensions)" if row["dimensions"] else embedder


def _cost(row: Mapping[str, object]) -> str:
    seconds, dollars = row["seconds"], row["dollars"]
    if isinstance(seconds, float):
        return f"{seconds:,.0f} s of a processor"
    return f"US$ {dollars:,.2f}"


def unavailable_in_words(reasons: Mapping[str, str]) -> Sequence[str]:
    """What spaces that are not available need, a sentence for each need.

    Parameters
    ----------
    reasons
        Why a space is not available, by its id.

    Returns
    -------
    sequence of str
        Spaces with the same reason share a sentence.
    """
    by_reason: dict[str, list[str]] = {}
    for space, reason in sorted(reasons.items()):
        by_reason.setdefault(reason, []).append(space)
    return [f"{', '.join(spaces)}: {reason}" for reason, spaces in by_reason.items()]
