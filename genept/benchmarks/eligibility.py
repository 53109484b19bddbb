"""Whether a collection has what a task needs; one that has not is told of, and takes no part.

A user's own collection may have no labels, or a handful of samples; that is no reason to
publish nothing. What a task does with one that has enough is its own module's.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from genept.benchmarks.cell_types import N_NEIGHBOURS
from genept.store.lake import Lake, Part

GROUPS_PER_LABEL: Final = 5
"""As many as the diagnosis models have folds."""
COMPONENTS: Final = 50
"""Of the control that every representation stands beside: principal components of expression."""
SHARE_TRAINED: Final = 0.8


def too_few_cells(lake: Lake, observations: Part, axis: Part) -> str | None:
    """Why cell types cannot be annotated on a collection; None if they can."""
    labels = lake.read(observations, ["cell_type"])["cell_type"].drop_nulls()
    if not labels.len():
        return "no cell has a type"
    if labels.len() * SHARE_TRAINED <= max(N_NEIGHBOURS, COMPONENTS):
        return f"only {labels.len()} cells have a type"
    if axis.rows <= COMPONENTS:
        return f"only {axis.rows} genes"
    return None if labels.n_unique() > 1 else "all cells are of one type"


def too_few_groups(lake: Lake, observations: Part) -> str | None:
    """Why no diagnosis model can be trained on a collection; None if one can."""
    rows = lake.read(observations, ["diagnosis", "group_id"]).drop_nulls("diagnosis")
    if not rows.height:
        return "no sample has a diagnosis"
    groups = rows.group_by("diagnosis").agg(pl.col("group_id").n_unique().alias("n"))
    if groups.height < 2:
        return "all samples have one diagnosis"
    rare = groups.filter(pl.col("n") < GROUPS_PER_LABEL).sort("diagnosis")
    listed = ", ".join(f"{label!r} {n}" for label, n in rare.iter_rows())
    return f"diagnoses in fewer than {GROUPS_PER_LABEL} groups: {listed}" if listed else None
