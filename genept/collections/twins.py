"""The same sample under two ids: equal profiles belong to one group, whatever they are called.

A split that put one in training and one in test would flatter every model. Nearly
equal profiles are the business of `genept.models.splits`.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from genept.sources.parsed import Quarantined

TELLING_GENES = 50
"""Profiles of fewer genes may well be equal by chance: shallow cells, small panels."""


def with_twins_grouped(observations: pl.DataFrame) -> tuple[pl.DataFrame, list[Quarantined]]:
    """Give groups that share a profile one `group_id`, the first of theirs.

    Parameters
    ----------
    observations
        With `observation_id`, `group_id`, `n_genes` and `profile`.

    Returns
    -------
    observations, list of Quarantined
        With joined groups; and one warning per observation that has a twin.
    """
    twins = (
        observations.filter(pl.col("n_genes") >= TELLING_GENES)
        .filter(pl.len().over("profile") > 1)
        .sort("profile", "observation_id")
        .with_columns(pl.col("observation_id").first().over("profile").alias("first"))
    )
    if not twins.height:
        return observations, []
    warnings = [
        Quarantined(
            "observation",
            twin,
            "same_profile",
            f"has the same expression as {first}; both are in one group",
            action="warned",
        )
        for twin, first in twins.select("observation_id", "first").iter_rows()
        if twin != first
    ]
    return observations.with_columns(_joined(observations["group_id"], twins)), warnings


def _joined(groups: pl.Series, twins: pl.DataFrame) -> pl.Series:
    """Groups as connected components over equal profiles."""
    names = groups.unique().sort()
    position = pl.Series(range(len(names)), dtype=pl.Int64)
    index = dict(zip(names, position, strict=True))
    pairs = twins.select(
        pl.col("group_id").replace_strict(index).alias("a"),
        pl.col("group_id").first().over("profile").replace_strict(index).alias("b"),
    )
    ones = np.ones(pairs.height)
    ends = pairs["a"].to_numpy(), pairs["b"].to_numpy()
    graph = coo_matrix((ones, ends), shape=(len(names), len(names)))
    _, component = connected_components(graph, directed=False)
    _, first = np.unique(component, return_index=True)
    joined = dict(zip(names, names.gather(first[component]), strict=True))
    return groups.replace_strict(joined).alias("group_id")
