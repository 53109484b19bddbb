"""What each part of a description adds, and what masking takes away: steps between recipes.

Two spaces of one embedder are a step apart if the recipe of one tells what the other's tells and
one thing more, or differs by its masks alone. A masked recipe that scores separably worse had
been reading its labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from genept.text.descriptions.recipes import Recipe

MASKED = "words of mask "
"""What a step adds, if it takes a mask away: this, and the name of the mask."""


@dataclass(frozen=True)
class Step:
    """From the recipe that says less to the one that says more, and what it says more."""

    fewer: str
    more: str
    adds: str


def steps(recipes: Iterable[Recipe]) -> list[Step]:
    """Every pair of recipes that differ by one thing only."""
    every = list(recipes)
    found = (_step(fewer, more) for fewer in every for more in every if fewer.id != more.id)
    return sorted(filter(None, found), key=lambda one: (one.adds, one.fewer, one.more))


def _step(fewer: Recipe, more: Recipe) -> Step | None:
    if (fewer.biotypes, fewer.max_tokens) != (more.biotypes, more.max_tokens):
        return None
    told, tells = (tuple(use.label for use in one.parts) for one in (fewer, more))
    masked, free = ({mask.id for mask in one.masks} for one in (fewer, more))
    if told == tells and free < masked:
        return Step(fewer.id, more.id, f"{MASKED}{' and '.join(sorted(masked - free))}")
    if masked == free and set(told) < set(tells) and len(tells) == len(told) + 1:
        return Step(fewer.id, more.id, (set(tells) - set(told)).pop())
    return None


def added(comparisons: pl.DataFrame, recipes: Mapping[str, Recipe]) -> pl.DataFrame:
    """What each step adds on each task, paired.

    Parameters
    ----------
    comparisons
        Table `benchmark_comparisons`.
    recipes
        All recipes by id.

    Returns
    -------
    pl.DataFrame
        adds, embedder, task, fewer, more, difference (more less fewer), ci_low, ci_high, p_holm,
        separable. A budget's recipe (``full~8000-cl100k-base``) counts as its own.
    """
    found = []
    for step in steps(recipes.values()):
        for a, b, sign in ((step.more, step.fewer, 1), (step.fewer, step.more, -1)):
            chosen = comparisons.filter(
                _recipe("representation") == a,
                _recipe("other") == b,
                _embedder("representation") == _embedder("other"),
            )
            low, high = ("ci_low", "ci_high") if sign > 0 else ("ci_high", "ci_low")
            found.append(
                chosen.select(
                    pl.lit(step.adds).alias("adds"),
                    _embedder("representation").alias("embedder"),
                    "task",
                    pl.lit(step.fewer).alias("fewer"),
                    pl.lit(step.more).alias("more"),
                    pl.col("difference") * sign,
                    (pl.col(low) * sign).alias("ci_low"),
                    (pl.col(high) * sign).alias("ci_high"),
                    "p_holm",
                    "separable",
                )
            )
    return pl.concat(found).sort("adds", "embedder", "task") if found else pl.DataFrame()


def leaks(found: pl.DataFrame) -> pl.DataFrame:
    """The steps of `added` on which the unmasked text is separably ahead: it states the label."""
    if not found.width:
        return found
    masked = pl.col("adds").str.starts_with(MASKED)
    return found.filter(masked & pl.col("separable") & (pl.col("difference") > 0))


def _embedder(column: str) -> pl.Expr:
    return pl.col(column).str.split("/").list.first()


def _recipe(column: str) -> pl.Expr:
    """Recipe of a space; what pools it or mixes it up is another representation."""
    rest = pl.col(column).str.split("/").list.get(1, null_on_oob=True)
    return rest.str.strip_suffix(":genept-w")
