"""The cell-type task on a collection of the lake: every space beside its controls."""

from __future__ import annotations

from typing import Final

from genept.benchmarks.cell_types import (
    TASK,
    cell_type_scores,
    centred,
    expression_pca,
    split_cells,
)
from genept.embeddings.representations import CollectionParts, read_views
from genept.store.lake import Lake, NewPart, Part
from genept.store.provenance import Origin

SEED: Final = 2023
EXPRESSION_CONTROL: Final = "expression-pca-50"


def annotate_cell_types(lake: Lake, collection: str, unit: str, parts: CollectionParts) -> Part:
    """Scores of one single-cell collection, unless the lake holds them already.

    Cells without a published type take no part. Every space is scored as it is, and centred.
    """
    origin = Origin(
        code=("genept.benchmarks", "genept.embeddings", "genept.tables"),
        inputs=parts.inputs,
        settings={"seed": SEED, "unit": unit},
        libraries=("numpy", "scikit-learn", "scipy"),
    )

    def compute() -> list[NewPart]:
        views = read_views(lake, parts).labelled("cell_type")
        train, _ = split_cells(views.observations.height, seed=SEED)
        control = expression_pca(views.expression, train, unit=unit, seed=SEED)
        shifted = {f"{name}:centred": centred(one, train) for name, one in views.spaces.items()}
        scores = cell_type_scores(
            {**views.spaces, **shifted, EXPRESSION_CONTROL: control},
            views.observations["cell_type"].to_list(),
            collection,
            [
                *views.controls,
                *(f"{name}:centred" for name in views.controls),
                EXPRESSION_CONTROL,
            ],
            seed=SEED,
        )
        return [NewPart("benchmark_results", scores, (TASK, collection))]

    (part,) = lake.build(f"benchmarks/{TASK}/{collection}", origin, compute)
    return part
