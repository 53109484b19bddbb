"""Mean ranks over tasks, and what can be told apart: nothing is ranked that is not separable."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from genept.benchmarks.standing import representations


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
