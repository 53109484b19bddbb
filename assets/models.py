"""Group `models`: diagnosis of patients, response of cell lines to drugs."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from assets.pools import MEMORY
from assets.results import declared_outs, table_result
from assets.views import READ, parts_of
from genept.benchmarks.eligibility import too_few_groups
from genept.models.promotion import card_pages
from genept.models.screens import Screen
from genept.models.tasks import DiagnosisTask
from genept.models.training import SEED, train_diagnosis, train_drug_response
from genept.platform import Platform
from genept.store.lake import Part, StoredTable

_READ = (*READ, "sample_embeddings", "drug_responses")
_MADE = (
    *("diagnosis_predictions", "drug_response_predictions", "model_evaluations"),
    *("model_folds", "gate_verdicts"),
)


@dg.multi_asset(outs=declared_outs(_MADE), ins={name: dg.AssetIn() for name in _READ}, pool=MEMORY)
def trained_models(
    platform: dg.ResourceParam[Platform], **tables: StoredTable
) -> Iterator[dg.MaterializeResult[StoredTable]]:
    """One diagnosis model per bulk collection with diagnoses, one model per drug screen."""
    parts: list[Part] = []
    without: dict[str, str] = {}
    registry = platform.models
    for collection in platform.collections:
        if collection.kind != "bulk":
            continue
        space, unit = platform.spaces[0], collection.unit
        read = parts_of(platform, collection, tables)
        if why := too_few_groups(platform.lake, read.observations):
            without[f"without/{collection.id}"] = why
        else:
            task = DiagnosisTask(collection.id)
            task = task.full if platform.settings.full_models else task
            parts += train_diagnosis(platform.lake, task, unit, space, read, registry)
        for responses in tables["drug_responses"].matching(collection.id):
            parts += train_drug_response(platform.lake, collection.id, unit, space, read, responses)
            if platform.settings.full_models:
                parts += Screen(platform.lake, collection.id, read, responses).evaluate(seed=SEED)
    made = {name: platform.lake.assemble(name, parts) for name in _MADE}
    cards = card_pages(platform.lake, registry, made["gate_verdicts"])
    shown = {f"card of {model}": dg.MetadataValue.md(card) for model, card in cards.items()}
    for name, stored in made.items():
        yield table_result(stored, **without, **(shown if name == "gate_verdicts" else {}))
