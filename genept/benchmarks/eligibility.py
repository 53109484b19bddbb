"""Whether a collection has what a task needs; one that has not is told of, and takes no part.

A user's own collection may have no labels, or a handful of samples; that is no reason to
publish nothing. What a task does with one that has enough is its own module's; whether it has
what a diagnosis model needs is said by `genept.models.tasks`.
"""

from __future__ import annotations

from typing import Final

from genept.benchmarks.cell_types import N_NEIGHBOURS
from genept.store.lake import Lake, Part

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
