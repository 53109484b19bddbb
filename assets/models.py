"""Group `models`: training of diagnosis models, and of models of the response to drugs."""

from typing import Any

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`

from assets.declarations import EVALUATION_INPUTS, MEMORY, declared_outs, described, inputs
from assets.partitions import MODELS, record_partitions
from assets.results import (
    Context,
    PartitionResult,
    PlatformResource,
    TableResults,
    partition_result,
    table_result,
)
from genept.client import Platform
from genept.common import StoreError
from genept.models import SEED, ModelRegistry, bulk_trainings, model_reports, train
from genept.models.drug_response import evaluate_screens
from genept.release import shown_pictures
from genept.storage import StoredTable

MODEL = dg.AssetKey("trained_model")

_READ = (*EVALUATION_INPUTS, "sample_embeddings", "drug_responses")
_OUT = (
    *("diagnosis_predictions", "drug_response_predictions", "model_evaluations"),
    *("model_folds", "gate_verdicts"),
)


@dg.asset(
    key=MODEL,
    **described(
        "models",
        "One model: trained, evaluated, judged by the promotion gate. Materialise one to train "
        "only that model; the tables take the parts over.",
        "model_evaluations",
    ),
    partitions_def=MODELS,
    ins=inputs(*_READ),
    pool=MEMORY,
)
def trained_model(
    context: Context,
    platform: PlatformResource,
    registry: dg.ResourceParam[ModelRegistry],
    **tables: StoredTable,
) -> PartitionResult:
    """Train one model."""
    of, name = platform.collection_tables(tables), context.partition_key
    trainings, impossible = bulk_trainings(of, platform.diagnosis_tasks)
    if name not in trainings:
        reason = impossible.get(name, f"there is no such model; there are {sorted(trainings)}")
        raise StoreError(f"model {name} cannot be trained: {reason}")
    retraining = train(registry, trainings[name])
    return partition_result(platform.lake, retraining.parts, retraining=retraining.summary)


@dg.multi_asset(outs=declared_outs(_OUT), ins=inputs(*_READ), deps=[MODEL], pool=MEMORY)
def trained_models(
    context: Context,
    platform: PlatformResource,
    registry: dg.ResourceParam[ModelRegistry],
    **tables: StoredTable,
) -> TableResults:
    """One diagnosis model per task of a bulk collection, one model per drug screen."""
    of = platform.collection_tables(tables)
    trainings, impossible = bulk_trainings(of, platform.diagnosis_tasks)
    trained = {name: train(registry, training) for name, training in trainings.items()}
    context.instance.add_dynamic_partitions(str(MODELS.name), list(trained))
    by_model = {name: retraining.parts for name, retraining in trained.items()}
    record_partitions(context, platform.lake, MODEL, by_model)
    parts = [part for parts in by_model.values() for part in parts]
    if platform.settings.full_models:
        parts += evaluate_screens(of, platform.structures, seed=SEED)
    remarks = {f"without/{name}": reason for name, reason in impossible.items()}
    remarks |= {f"retraining/{name}": result.summary for name, result in trained.items()}
    for name in _OUT:
        stored = platform.lake.assemble(name, parts)
        reports = _reports(platform, stored) if name == "gate_verdicts" else {}
        yield table_result(stored, **remarks, **reports)


def _reports(platform: Platform, verdicts: StoredTable) -> dict[str, Any]:
    """Cards and reports on forgetting as text, figures as pictures."""
    reports = model_reports(platform.lake, platform.registry, verdicts)
    metadata: dict[str, Any] = {}
    for model, report in reports.items():
        metadata[f"card of {model}"] = dg.MetadataValue.md(report.card)
        metadata[f"forgetting of {model}"] = dg.MetadataValue.md(report.forgetting)
    pictures = {f"what {model} forgot": report.picture for model, report in reports.items()}
    pictures |= {f"{model} on its holdout": report.figure for model, report in reports.items()}
    placed = {title: ("in the release, under audit/", png) for title, png in pictures.items()}
    return metadata | {"pictures": dg.MetadataValue.md(shown_pictures(placed))}
