"""Group `models`: diagnosis of patients, response of cell lines to drugs."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`

from assets.partitions import MODELS, PartitionTables, partition_result, record_partitions
from assets.results import (
    EVALUATION_INPUTS,
    MEMORY,
    declared,
    declared_outs,
    described,
    ingested,
    inputs,
    parts_of,
    shown_pictures,
    table_result,
)
from genept.client import Platform
from genept.common import StoreError
from genept.datasources import Collection
from genept.embeddings import representation_name
from genept.models import (
    SEED,
    SERVED,
    SHADOW,
    BulkCollection,
    DiagnosisTraining,
    ModelManifest,
    ModelRegistry,
    agreement,
    batch_inference,
    begin_shadow,
    challenger,
    model_reports,
    train,
)
from genept.models.drug_response import (
    UNMEASURED,
    DrugTraining,
    Screen,
    is_drug_model,
    unmeasured_responses,
)
from genept.storage import Part, StoredTable

_READ = (*EVALUATION_INPUTS, "sample_embeddings", "drug_responses")
_OUT = (
    *("diagnosis_predictions", "drug_response_predictions", "model_evaluations"),
    *("model_folds", "gate_verdicts"),
)
_PREDICT = ("gene_axis", "expression", "gene_embeddings", "gate_verdicts")


MODEL = dg.AssetKey("trained_model")


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
    context: dg.AssetExecutionContext,
    platform: dg.ResourceParam[Platform],
    registry: dg.ResourceParam[ModelRegistry],
    **tables: StoredTable,
) -> dg.MaterializeResult[PartitionTables]:
    """Train one model."""
    trainings, impossible = _trainings(platform, tables)
    name = context.partition_key
    if name not in trainings:
        reason = impossible.get(name, f"there is no such model; there are {sorted(trainings)}")
        raise StoreError(f"model {name} cannot be trained: {reason}")
    retraining = train(registry, trainings[name])
    return partition_result(platform.lake, retraining.parts, retraining=retraining.summary)


@dg.multi_asset(outs=declared_outs(_OUT), ins=inputs(*_READ), deps=[MODEL], pool=MEMORY)
def trained_models(
    context: dg.AssetExecutionContext,
    platform: dg.ResourceParam[Platform],
    registry: dg.ResourceParam[ModelRegistry],
    **tables: StoredTable,
) -> Iterator[dg.MaterializeResult[StoredTable]]:
    """One diagnosis model per task of a bulk collection, one model per drug screen."""
    trainings, impossible = _trainings(platform, tables)
    remarks: dict[str, str] = {f"without/{name}": reason for name, reason in impossible.items()}
    trained: dict[str, Sequence[Part]] = {}
    for name, training in trainings.items():
        retraining = train(registry, training)
        trained[name] = retraining.parts
        remarks[f"retraining/{name}"] = retraining.summary
    context.instance.add_dynamic_partitions(str(MODELS.name), list(trained))
    record_partitions(context, platform.lake, MODEL, trained)
    parts = [part for parts in trained.values() for part in parts]
    if platform.settings.full_models:
        parts += _screened(platform, tables)
    for name in _OUT:
        stored = platform.lake.assemble(name, parts)
        reports = _reports(platform, stored) if name == "gate_verdicts" else {}
        yield table_result(stored, **remarks, **reports)


def _trainings(
    platform: Platform, tables: dict[str, StoredTable]
) -> tuple[dict[str, DiagnosisTraining | DrugTraining], dict[str, str]]:
    """Trainings by model, and the reasons why other models cannot be trained."""
    trainings: dict[str, DiagnosisTraining | DrugTraining] = {}
    impossible: dict[str, str] = {}
    for collection in _chosen_bulk(platform, tables):
        collection_parts = parts_of(platform, collection, tables)
        caveats = (collection.caveat,) if collection.caveat else ()
        bulk = (
            *(platform.lake, collection.id, collection.unit, platform.spaces[0]),
            *(collection_parts, caveats),
        )
        observations = platform.lake.read(collection_parts.observations)
        for task in platform.diagnosis_tasks(collection.id):
            if reason := task.impossible(observations):
                impossible[task.model] = reason
            else:
                trainings[task.model] = DiagnosisTraining(*bulk, task)
        for responses in tables["drug_responses"].matching(collection.id):
            trainings[f"drug-response-{collection.id}"] = DrugTraining(*bulk, responses)
    return trainings, impossible


def _screened(platform: Platform, tables: dict[str, StoredTable]) -> list[Part]:
    """Full evaluation of every drug screen: by regime, and on the lines of other screens."""
    parts: list[Part] = []
    screens: list[Screen] = []
    for collection in _chosen_bulk(platform, tables):
        for responses in tables["drug_responses"].matching(collection.id):
            screen = Screen(
                platform.lake,
                collection.id,
                collection.unit,
                parts_of(platform, collection, tables),
                responses,
                space=representation_name(platform.spaces[0]),
                smiles=platform.structures(collection),
            )
            parts += screen.evaluate(seed=SEED)
            # Of the same cell lines: a model of one screen is tested on the other.
            for other in screens:
                if other.has_lines_of(screen):
                    parts += other.evaluate_transfer(screen, seed=SEED)
            screens.append(screen)
    return parts


def _reports(platform: Platform, verdicts: StoredTable) -> dict[str, Any]:
    """Cards and reports on forgetting as text, figures as pictures."""
    reports = model_reports(platform.lake, platform.registry, verdicts)
    metadata: dict[str, Any] = {}
    for model, report in reports.items():
        metadata[f"card of {model}"] = dg.MetadataValue.md(report.card)
        metadata[f"forgetting of {model}"] = dg.MetadataValue.md(report.forgetting)
    pictures = {f"what {model} forgot": report.picture for model, report in reports.items()}
    pictures |= {f"{model} on its holdout": report.figure for model, report in reports.items()}
    return metadata | {"pictures": dg.MetadataValue.md(shown_pictures(pictures))}


@dg.asset(**declared(SERVED), ins=inputs(*_PREDICT))
def sample_diagnoses(
    platform: dg.ResourceParam[Platform],
    registry: dg.ResourceParam[ModelRegistry],
    **tables: StoredTable,
) -> dg.MaterializeResult[StoredTable]:
    """Predictions of every champion for every bulk collection that it was not trained on."""
    champions = map(registry.champion, _models(platform, tables["gate_verdicts"]))
    parts, skipped = _predict(platform, filter(None, champions), tables, SERVED)
    stored = platform.lake.assemble(SERVED, parts)
    return table_result(stored, **{f"skipped/{name}": reason for name, reason in skipped.items()})


@dg.asset(**declared(UNMEASURED), ins=inputs(*_PREDICT, "drug_responses"))
def unmeasured_drug_responses(
    platform: dg.ResourceParam[Platform],
    registry: dg.ResourceParam[ModelRegistry],
    **tables: StoredTable,
) -> dg.MaterializeResult[StoredTable]:
    """Predictions of every drug-response champion for every collection of cell lines."""
    responses = tables["drug_responses"]
    bulk = _bulk(platform, tables)
    matching = {collection.id: responses.matching(collection.id) for collection in bulk}
    measured = {id_: parts for id_, parts in matching.items() if parts}
    lines = [collection for collection in bulk if collection.id in measured]
    parts: list[Part] = []
    remarks: dict[str, str] = {}
    for manifest in map(
        registry.champion, _models(platform, tables["gate_verdicts"], of_drugs=True)
    ):
        if manifest is not None:
            vectors = tables["gene_embeddings"].part(manifest.space)
            predicted, skipped = unmeasured_responses(
                platform.lake, registry, manifest, lines, measured, vectors
            )
            parts += predicted
            remarks |= {f"skipped/{pair}": reason for pair, reason in skipped.items()}
    return table_result(platform.lake.assemble(UNMEASURED, parts), **remarks)


@dg.asset(
    name=SHADOW,
    **described(
        "models",
        "Predictions of challengers for every bulk collection; recorded, never published.",
        SHADOW,
    ),
    ins=inputs(*_PREDICT, SERVED),
)
def shadow_diagnoses(
    platform: dg.ResourceParam[Platform],
    registry: dg.ResourceParam[ModelRegistry],
    **tables: StoredTable,
) -> dg.MaterializeResult[StoredTable]:
    """Predictions of every challenger, and how far they agree with those of the champions."""
    names = _models(platform, tables["gate_verdicts"])
    candidates = (challenger(registry, name) for name in names)
    challengers = [manifest for manifest in candidates if manifest is not None]
    parts, _ = _predict(platform, challengers, tables, SHADOW)
    stored = platform.lake.assemble(SHADOW, parts)
    remarks: dict[str, Any] = {
        f"shadows/{manifest.model}": f"since {begin_shadow(registry, manifest).since}"
        for manifest in challengers
    }
    if stored.parts and tables[SERVED].parts:
        agreed = agreement(platform.lake.read(tables[SERVED]), platform.lake.read(stored))
        records = [dg.TableRecord(row) for row in agreed.iter_rows(named=True)]
        remarks["agreement with the champions"] = (
            dg.MetadataValue.table(records) if records else "none"
        )
    return table_result(stored, **(remarks or {"shadows": "there is no challenger"}))


def _models(platform: Platform, verdicts: StoredTable, *, of_drugs: bool = False) -> list[str]:
    """Names of the models that the gate has judged: of diagnosis, or of drug response."""
    names = platform.lake.read(verdicts, ["model"])["model"] if verdicts.parts else ()
    return sorted({name for name in names if is_drug_model(name) == of_drugs})


def _chosen_bulk(platform: Platform, tables: dict[str, StoredTable]) -> list[Collection]:
    collections = ingested(platform, tables["expression"])
    return [collection for collection in collections if collection.kind == "bulk"]


def _bulk(platform: Platform, tables: dict[str, StoredTable]) -> list[BulkCollection]:
    return [
        BulkCollection(
            collection.id,
            collection.unit,
            tables["gene_axis"].part(collection.id),
            tuple(tables["expression"].matching(collection.id)),
        )
        for collection in _chosen_bulk(platform, tables)
    ]


def _predict(
    platform: Platform,
    manifests: Iterable[ModelManifest],
    tables: dict[str, StoredTable],
    table: str,
) -> tuple[list[Part], dict[str, str]]:
    vectors = {space.id: tables["gene_embeddings"].part(space.id) for space in platform.spaces}
    return batch_inference(
        platform.lake,
        platform.registry,
        list(manifests),
        _bulk(platform, tables),
        vectors,
        table=table,
    )
