"""Spaces compared over tasks: ranks, efficient ones, what text adds, whether larger is better."""

from __future__ import annotations

import polars as pl
import pytest

from genept.benchmarks.reports.model_comparison import (
    compared_spaces,
    efficient,
    is_larger_worth_it,
    mean_difference,
    text_gains,
    unavailable_in_words,
)

TASKS = ("a", "b", "c", "d")
SMALL, LARGE, NAMED = "small/go", "large/go", "large/name"
VALUES = {
    SMALL: (0.70, 0.72, 0.71, 0.69),
    LARGE: (0.80, 0.83, 0.80, 0.80),
    NAMED: (0.60, 0.61, 0.62, 0.60),
    "random-8": (0.50, 0.50, 0.50, 0.50),
}
SECONDS = {SMALL: 10.0, LARGE: 400.0, NAMED: 300.0}


def scores(values: dict[str, tuple[float, ...]] = VALUES) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"task": task, "dataset": task, "metric": "auroc", "representation": name,
             "value": value, "is_control": name.startswith("random-")}
            for name, row in values.items() for task, value in zip(TASKS, row, strict=True)
        ]
    )  # fmt: skip


def results(dollars: float = 0.0) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"task": "embedding-cost", "representation": space, "metric": metric, "value": value}
            for space, seconds in SECONDS.items()
            for metric, value in (("tokens", 1e6), ("seconds", seconds), ("dollars", dollars))
        ]
    )


def comparisons(values: dict[str, tuple[float, ...]] = VALUES) -> pl.DataFrame:
    """Every pair, the second less the first, separable from .095 on."""
    names = list(values)
    rows = [
        {"task": task, "representation": one, "other": other, "difference": a - b,
         "separable": abs(a - b) > 0.095}
        for at, one in enumerate(names) for other in names[at + 1 :]
        for task, a, b in zip(TASKS, values[one], values[other], strict=True)
    ]  # fmt: skip
    return pl.DataFrame(rows)


def test_spaces_are_ranked_beside_what_they_cost() -> None:
    models = compared_spaces(scores(), results(), {SMALL: 64, LARGE: 768})
    assert models["space"].to_list() == [LARGE, SMALL, NAMED]
    assert models["rank"].to_list() == [1.0, 2.0, 3.0]
    assert models["points"].to_list() == pytest.approx([30.75, 20.5, 10.75])
    assert models["dimensions"].to_list() == [768, 64, None]
    assert models["seconds"].to_list() == [400.0, 10.0, 300.0]
    assert models["is_efficient"].to_list() == [True, True, False]


def test_a_space_of_unknown_cost_is_not_efficient_and_dominates_nobody() -> None:
    rows = pl.DataFrame(
        {"points": [9.0, 5.0, 7.0], "seconds": [None, 3.0, None], "dollars": [0.0, 0.0, 1.0]}
    )
    assert efficient(rows) == [False, True, True]


def test_mean_differences_take_tasks_as_units() -> None:
    gain = mean_difference(comparisons(), LARGE, SMALL)
    assert gain is not None
    assert (gain.n_tasks, gain.n_ahead, gain.n_behind) == (4, 3, 0)
    assert gain.mean == pytest.approx(0.1025)
    # Differences .10 .11 .09 .11: standard error .00479, Student's t of three degrees 3.182.
    assert (gain.low, gain.high) == (
        pytest.approx(0.0873, abs=1e-4),
        pytest.approx(0.1177, abs=1e-4),
    )
    assert gain.is_clear
    backwards = mean_difference(comparisons(), SMALL, LARGE)
    assert backwards is not None
    assert (backwards.mean, backwards.n_behind) == (pytest.approx(-gain.mean), 3)
    assert mean_difference(comparisons(), LARGE, "other/go") is None


def test_two_tasks_have_no_interval() -> None:
    gain = mean_difference(comparisons().filter(pl.col("task").is_in(["a", "b"])), LARGE, SMALL)
    assert gain is not None
    assert (gain.n_tasks, gain.low, gain.high, gain.is_clear) == (2, None, None, False)


def test_text_is_compared_with_the_name_and_the_name_with_chance() -> None:
    gains = text_gains(comparisons(), [SMALL, LARGE, NAMED])
    assert [(gain.space, gain.other) for gain in gains] == [(NAMED, "random-8"), (LARGE, NAMED)]
    assert [gain.mean for gain in gains] == pytest.approx([0.1075, 0.2])


def test_a_larger_model_is_worth_it_where_its_gain_is_clear() -> None:
    models = compared_spaces(scores(), results(), {SMALL: 64, LARGE: 768})
    first, second = is_larger_worth_it(models, comparisons())
    assert "large (768 dimensions) has the best mean rank (1.00), for 400 s" in first
    assert "small (64 dimensions) is the cheapest, for 10 s" in first
    assert "over 4 tasks is +0.103 [+0.087, +0.118], separably ahead on 3" in second
    assert second.endswith("the costlier model is worth it here.")


def test_a_gain_that_is_not_clear_is_not_shown_to_be_worth_it() -> None:
    values = VALUES | {LARGE: (0.80, 0.60, 0.74, 0.70)}
    models = compared_spaces(scores(values), results(), {})
    _, second = is_larger_worth_it(models, comparisons(values))
    assert second.endswith("the costlier model is not shown to be worth it.")


def test_the_cheapest_may_be_the_best_and_one_model_is_no_comparison() -> None:
    values = VALUES | {SMALL: (0.9, 0.9, 0.9, 0.9)}
    models = compared_spaces(scores(values), results(), {})
    assert is_larger_worth_it(models, comparisons(values))[1].startswith("It is also the cheapest")
    alone = models.filter(space=SMALL)
    (only,) = is_larger_worth_it(alone, comparisons(values))
    assert only.startswith("Fewer than two text embedders")


def test_spaces_that_need_the_same_thing_share_a_sentence() -> None:
    assert unavailable_in_words({"b/go": "no key", "a/go": "no key", "c/x": "no folder"}) == [
        "a/go, b/go: no key",
        "c/x: no folder",
    ]
