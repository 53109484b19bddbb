"""Predictions of a stored drug-response model for samples without measured responses.

The model abstains on samples outside its domain, and on drugs with too few training lines.
Research use: nothing here chooses a treatment for people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import polars as pl

from genept.models.confidence import LEAST_MEASURED
from genept.models.drug_response.pipeline import WithinDrug, predict_pairs
from genept.models.evidence import ModelManifest
from genept.models.heads import STEPS
from genept.models.registry import ModelRegistry
from genept.models.serving import (
    ANSWERED,
    TOO_FEW_GENES,
    UNLIKE,
    BulkCollection,
    Served,
    VectorsOfSpace,
    published,
    space_vectors,
)
from genept.models.stored_models import LIBRARIES
from genept.models.user_samples import Samples
from genept.storage import Lake, NewPart, Origin, Part

UNMEASURED: Final = "unmeasured_drug_responses"
"""Table of predictions for pairs without a measured response."""

TOO_FEW_LINES: Final = "too few training lines for this drug"
_CODE: Final = (
    "genept.models.confidence",
    "genept.models.drug_response.pipeline",
    "genept.models.drug_response.drug_serving",
    "genept.models.user_samples",
    "genept.models.serving",
    "genept.embeddings",
    "genept.schema.tables",
)


def predict_drugs(served: Served, samples: Samples, vectors: VectorsOfSpace) -> pl.DataFrame:
    """Response of each sample to each drug of the model, with its 90 % interval.

    Parameters
    ----------
    served
        The model.
    samples
        The samples, in any unit that converts to that of the model.
    vectors
        Gives gene ids and vectors, shape (genes, dimensions), of a space.

    Returns
    -------
    pl.DataFrame
        observation_id, drug_id, prediction, low, high, difference (from the drug's mean over
        the training lines; below 0 is more sensitive), in ln(µM); distance, genes_measured,
        abstained, reason; one row a sample and drug, the most sensitive first.

    Raises
    ------
    ValueError
        If the samples cannot be brought to the unit that the model reads.
    """
    features, distances, measured = served.read(samples, vectors)
    head: WithinDrug = served.model.pipeline.named_steps[STEPS[2]]
    n, k = len(samples.ids), len(head.codes_)
    line, drug = np.repeat(np.arange(n), k), np.tile(np.arange(k), n)
    codes = head.codes_[drug]
    response, reach, few, _ = predict_pairs(served.model.pipeline, features, line, codes)
    reason = np.select(
        [measured < LEAST_MEASURED, distances[line] > 1, few],
        [TOO_FEW_GENES, UNLIKE, TOO_FEW_LINES],
        ANSWERED,
    )
    return pl.DataFrame(
        {
            "observation_id": np.asarray(samples.ids, dtype=np.str_)[line],
            "drug_id": head.drugs_[drug],
            "prediction": response,
            "low": response - reach,
            "high": response + reach,
            "difference": response - head.mean_[drug],
            "distance": distances[line],
            "genes_measured": measured,
            "abstained": reason != ANSWERED,
            "reason": reason,
        }
    ).sort("observation_id", "difference", "drug_id", maintain_order=True)


def unmeasured_responses(
    lake: Lake,
    registry: ModelRegistry,
    manifest: ModelManifest,
    collections: Sequence[BulkCollection],
    measured: Mapping[str, Sequence[Part]],
    vectors: Part,
) -> tuple[list[Part], dict[str, str]]:
    """Parts of ``unmeasured_drug_responses``: predictions of a champion for cell lines.

    Parameters
    ----------
    lake
        Where parts of tables are kept.
    registry
        Where models are kept.
    manifest
        Manifest of the champion.
    collections
        Collections of cell lines.
    measured
        Parts of ``drug_responses``, by collection: these pairs are left out.
    vectors
        Part of ``gene_embeddings`` of the model's space.

    Returns
    -------
    parts : list of Part
        Predictions in ln(µM), one part per collection.
    skipped : dict
        Why a collection has no predictions, by ``model, collection``.
    """
    parts: list[Part] = []
    skipped: dict[str, str] = {}
    for collection in collections:
        known = measured.get(collection.id, ())

        def compute(
            collection: BulkCollection = collection, known: Sequence[Part] = known
        ) -> list[NewPart]:
            served, keys = Served.of(registry, manifest), ["observation_id", "drug_id"]
            samples = collection.samples(lake)
            rows = predict_drugs(served, samples, lambda _: space_vectors(lake, vectors))
            if known:
                rows = rows.join(lake.read(list(known), keys), on=keys, how="anti")
            if not len(rows):
                return []
            return [published(manifest, collection, UNMEASURED, rows.sort(keys))]

        inputs = {
            "model": manifest.stored_sha256,
            "axis": collection.axis.sha256,
            "vectors": vectors.sha256,
            **{f"expression {n}": part.sha256 for n, part in enumerate(collection.expression)},
            **{f"measured {n}": part.sha256 for n, part in enumerate(known)},
        }
        origin = Origin(_CODE, inputs, {"unit": collection.unit}, LIBRARIES)
        try:
            parts += lake.build(f"{UNMEASURED}/{manifest.model}/{collection.id}", origin, compute)
        except ValueError as error:
            skipped[f"{manifest.model}, {collection.id}"] = str(error)
    return parts, skipped
