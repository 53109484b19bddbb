"""Group `models`: diagnosis of patients, response of cell lines to drugs."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from assets.results import declared_outs, table_result
from assets.views import READ, parts_of
from genept.benchmarks.eligibility import too_few_groups
from genept.models.training import train_diagnosis, train_drug_response
from genept.platform import Platform
from genept.store.lake import StoredTable

_READ = (*READ, "sample_embeddings", "drug_responses")
_MADE = ("diagnosis_predictions", "drug_response_predictions", "model_evaluations")


@dg.multi_asset(outs=declared_outs(_MADE), ins={name: dg.AssetIn() for name in _READ})
def trained_models(
    platform: dg.ResourceParam[Platform], **tables: StoredTable
) -> Iterator[dg.MaterializeResult[StoredTable]]:
    """One diagnosis model per bulk collection with diagnoses, one model per drug screen."""
    parts, without = [], {}
    for collection in platform.collections:
        if collection.kind != "bulk":
            continue
        task = (platform.lake, collection.id, collection.unit, platform.spaces[0])
        read = parts_of(platform, collection, tables)
        if why := too_few_groups(platform.lake, read.observations):
            without[f"without/{collection.id}"] = why
        else:
            parts += train_diagnosis(*task, read)
        for responses in tables["drug_responses"].matching(collection.id):
            parts += train_drug_response(*task, read, responses)
    for name in _MADE:
        yield table_result(platform.lake.assemble(name, parts), **without)
