"""Models over collections of the lake: what they read, what they are compared with, what is kept.

The fitting itself is in `genept.models.diagnosis` and `genept.models.drug_response`.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from genept.embeddings.representations import (
    BOTH,
    EXPRESSION,
    CollectionParts,
    ObservationViews,
    read_views,
    representation_name,
)
from genept.embeddings.weights import expression_weights
from genept.models.diagnosis import run_diagnosis
from genept.models.drug_response import run_drug_response
from genept.store.lake import Lake, NewPart, Part
from genept.store.provenance import Origin, sha256_of
from genept.text.spaces import Space

SEED: Final = 2023
_CODE: Final = ("genept.benchmarks", "genept.embeddings", "genept.models", "genept.tables")
_LIBRARIES: Final = ("numpy", "scikit-learn", "scipy")


def train_diagnosis(
    lake: Lake, collection: str, unit: str, space: Space, parts: CollectionParts
) -> list[Part]:
    """One diagnosis model of one bulk collection: predictions and evaluations."""
    origin = Origin(
        _CODE, parts.inputs, {"seed": SEED, "unit": unit, "space": space.id}, _LIBRARIES
    )
    model = f"diagnosis-{collection}"

    def compute() -> list[NewPart]:
        views = read_views(lake, parts).labelled("diagnosis")
        predictions, evaluations = run_diagnosis(
            _representations(views, unit, space),
            views.observations["diagnosis"].to_list(),
            views.observations["group_id"].to_list(),
            views.observations["observation_id"].to_list(),
            collection,
            published=BOTH,
            controls=[*views.controls, EXPRESSION],
            model=model,
            model_version=sha256_of(origin.as_dict()),
            seed=SEED,
        )
        return [
            NewPart("diagnosis_predictions", predictions, (model,)),
            NewPart("model_evaluations", evaluations, (model,)),
        ]

    return lake.build(f"models/{model}", origin, compute)


def train_drug_response(
    lake: Lake, collection: str, unit: str, space: Space, parts: CollectionParts, responses: Part
) -> list[Part]:
    """One drug-response model of one screen: predictions and evaluations."""
    inputs = {**parts.inputs, "drug_responses": responses.sha256}
    origin = Origin(_CODE, inputs, {"seed": SEED, "unit": unit, "space": space.id}, _LIBRARIES)
    model = f"drug-response-{collection}"

    def compute() -> list[NewPart]:
        views = read_views(lake, parts)
        predictions, evaluations = run_drug_response(
            _representations(views, unit, space),
            views.observations["observation_id"].to_list(),
            views.observations["group_id"].to_list(),
            lake.read(responses, ["observation_id", "drug_id", "value"]),
            collection,
            published=BOTH,
            controls=[*views.controls, EXPRESSION],
            model=model,
            model_version=sha256_of(origin.as_dict()),
            seed=SEED,
        )
        return [
            NewPart("drug_response_predictions", predictions, (model,)),
            NewPart("model_evaluations", evaluations, (model,)),
        ]

    return lake.build(f"models/{model}", origin, compute)


def _representations(
    views: ObservationViews, unit: str, space: Space
) -> dict[str, npt.NDArray[np.float32]]:
    """Expression alone, every space alone, and expression with the chosen space."""
    values = expression_weights(views.expression, unit) if unit == "counts" else views.expression
    expression = values.toarray().astype(np.float32, copy=False)
    both = np.hstack([expression, views.spaces[representation_name(space)]])
    return {EXPRESSION: expression, **views.spaces, BOTH: both}
