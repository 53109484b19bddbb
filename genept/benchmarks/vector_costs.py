"""Cost of a space: tokens, seconds and dollars for the vectors of its genes, also per point.

Seconds are CPU time, measured once on a sample of the texts on the first machine that computes
them. Hosted services have a price and no time.
"""

from collections.abc import Callable
from time import process_time
from typing import Final

import numpy as np
import polars as pl

from genept.storage import Lake, NewPart, Origin, Part
from genept.text import (
    LSA,
    MeteredEmbedder,
    SlowEmbedder,
    Space,
    TextEmbedder,
    genes_in_time,
)

TASK: Final = "embedding-cost"
SPEED: Final = "embedding-speed"
"""Its rows are not published: CPU seconds per token on the first machine that measured them."""

SAMPLE: Final = 128
MILLION: Final = 1_000_000
METRICS: Final = ("tokens", "seconds", "dollars")
_CODE: Final = ("genept.benchmarks.vector_costs",)


def space_costs(
    lake: Lake,
    space: Space,
    descriptions: Part,
    open_embedder: Callable[[], TextEmbedder],
    number: int = 0,
) -> Part:
    """Rows of table `benchmark_results` with what the vectors of a space of texts cost.

    Parameters
    ----------
    lake
        Where parts of tables are kept.
    space
        The space of texts.
    descriptions
        The recipe's part of table `gene_descriptions`.
    open_embedder
        Opens the embedder of the space; called only if something is to be measured.
    number
        Of the piece of table `benchmark_results` that holds them.

    Returns
    -------
    Part
        Part of table `benchmark_results`.
    """
    settings = {"space": space.id, "number": number}
    origin = Origin(_CODE, {"gene_descriptions": descriptions.sha256}, settings)

    def compute() -> list[NewPart]:
        rows = lake.read(descriptions, ["ensembl_gene_id", "text", "n_tokens"])
        costs = _costs(lake, space, rows, open_embedder)
        return [NewPart("benchmark_results", costs, (TASK, space.recipe), number=number)]

    (part,) = lake.build(f"benchmarks/{TASK}/{space.id}", origin, compute)
    return part


def _costs(
    lake: Lake, space: Space, rows: pl.DataFrame, open_embedder: Callable[[], TextEmbedder]
) -> pl.DataFrame:
    tokens = int(rows["n_tokens"].sum())
    costs = {"tokens": float(tokens), "dollars": 0.0}
    if space.is_lsa:
        started = process_time()
        LSA.fit(rows["text"].to_list(), int(space.embedder.rpartition("-")[2]))
        costs["seconds"] = process_time() - started
    else:
        embedder = open_embedder()
        rows = genes_in_time(rows, embedder)
        tokens = int(rows["n_tokens"].sum())
        costs["tokens"] = float(tokens)
        costs["dollars"] = tokens * embedder.dollars_per_million_tokens / MILLION
        if not isinstance(embedder, MeteredEmbedder):
            costs["seconds"] = tokens * _seconds_per_token(lake, space, rows, embedder)
    return _rows(space, rows.height, TASK, costs)


def _rows(space: Space, n: int, task: str, costs: dict[str, float]) -> pl.DataFrame:
    return pl.DataFrame({"metric": list(costs), "value": list(costs.values())}).with_columns(
        pl.lit(None, pl.Float64).alias("ci_low"),
        pl.lit(None, pl.Float64).alias("ci_high"),
        task=pl.lit(task),
        dataset=pl.lit(space.recipe),
        representation=pl.lit(space.id),
        model=pl.lit(space.embedder),
        split=pl.lit("all-genes"),
        n=pl.lit(n, pl.Int64),
        is_control=pl.lit(value=False),
    )


def _seconds_per_token(
    lake: Lake, space: Space, rows: pl.DataFrame, embedder: TextEmbedder
) -> float:
    """Seconds for a token of a sample of the texts; not measured anew when some texts change."""
    origin = Origin(_CODE, settings={"space": space.id, "embedder": embedder.identity})

    def compute() -> list[NewPart]:
        size = embedder.texts_at_once if isinstance(embedder, SlowEmbedder) else SAMPLE
        sample = rows[np.random.default_rng(0).permutation(rows.height)[:size].tolist()]
        started = process_time()
        embedder.embed(sample["text"].to_list())
        speed = {"seconds": (process_time() - started) / int(sample["n_tokens"].sum())}
        row = _rows(space, sample.height, SPEED, speed)
        return [NewPart("benchmark_results", row, (SPEED, space.recipe))]

    (part,) = lake.build(f"benchmarks/{SPEED}/{space.id}", origin, compute)
    return float(lake.read(part, ["value"])["value"][0])


def per_point(results: pl.DataFrame, scores: pl.DataFrame) -> pl.DataFrame:
    """Cost of a space beside its points: how far it is above random vectors, per cent.

    Parameters
    ----------
    results
        Table `benchmark_results`.
    scores
        Rows of `leaderboard_figures.deciding_scores`.

    Returns
    -------
    pl.DataFrame
        space, tokens, seconds, dollars, points (mean over the tasks that it was scored on) and
        n_tasks, and each cost divided by points where there are any.
    """
    measured = costs_of(results)
    if not measured.height:
        return pl.DataFrame()
    joined = measured.join(points_above_chance(scores), on="space").sort("points", descending=True)
    gained = pl.when(pl.col("points") > 0).then(pl.col("points"))
    return joined.select(
        "space",
        *METRICS,
        "points",
        "n_tasks",
        *((pl.col(metric) / gained).alias(f"{metric}_per_point") for metric in METRICS),
    )


def costs_of(results: pl.DataFrame) -> pl.DataFrame:
    """What each space of texts costs: space, tokens, seconds (CPU) and dollars.

    Parameters
    ----------
    results
        Table `benchmark_results`.

    Returns
    -------
    pl.DataFrame
        A row per space; seconds are null for services.
    """
    measured = results.filter(task=TASK)
    return measured.group_by(space="representation").agg(
        pl.col("value").filter(metric=metric).max().alias(metric) for metric in METRICS
    )


def points_above_chance(scores: pl.DataFrame) -> pl.DataFrame:
    """How far each space is above random vectors, per cent, mean over the tasks that it has.

    Parameters
    ----------
    scores
        Rows of `leaderboard_figures.deciding_scores`.

    Returns
    -------
    pl.DataFrame
        space, points, n_tasks: the tasks on which random vectors were scored, too.
    """
    of_task = ("task", "dataset", "metric")
    chance = scores.filter(pl.col("representation").str.starts_with("random-")).select(
        *of_task, chance="value"
    )
    above = scores.join(chance.unique(of_task), on=of_task)
    return above.group_by(space="representation").agg(
        (100 * (pl.col("value") - pl.col("chance"))).mean().alias("points"),
        pl.len().cast(pl.Int64).alias("n_tasks"),
    )
