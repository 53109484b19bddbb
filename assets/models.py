"""Group `models`: diagnosis of patients, response of cell lines to drugs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from assets.results import (
    MEMORY,
    OWNERS,
    READ,
    column_schema,
    declared,
    declared_outs,
    ingested,
    parts_of,
    shown_pictures,
    table_result,
)
from genept.client import Platform
from genept.embeddings import representation_name
from genept.models import (
    SEED,
    SERVED,
    SHADOW,
    BatchInference,
    BulkCollection,
    ModelManifest,
    agreement,
    batch_inference,
    begin_shadow,
    challenger,
    model_reports,
    train,
)
from genept.models.diagnosis import DiagnosisTraining
from genept.models.drug_response import (
    UNMEASURED,
    DrugTraining,
    Screen,
    is_drug_model,
    unmeasured_responses,
)
from genept.storage import Part, StoredTable

_READ = (*READ, "sample_embeddings", "drug_responses")
_MADE = (
    *("diagnosis_predictions", "drug_response_predictions", "model_evaluations"),
    *("model_folds", "gate_verdicts"),
)
_ASKED = ("gene_axis", "expression", "gene_embeddings", "gate_verdicts")


@dg.multi_asset(outs=declared_outs(_MADE), ins={name: dg.AssetIn() for name in _READ}, pool=MEMORY)
def trained_models(
    platform: dg.ResourceParam[Platform], **tables: StoredTable
) -> Iterator[dg.MaterializeResult[StoredTable]]:
    """One diagnosis model per task of a bulk collection, one model per drug screen."""
    parts: list[Part] = []
    said: dict[str, str] = {}
    screens: list[Screen] = []
    registry = platform.models
    for collection in ingested(platform, tables["expression"]):
        if collection.kind != "bulk":
            continue
        space, unit = platform.spaces[0], collection.unit
        read = parts_of(platform, collection, tables)
        observations = platform.lake.read(read.observations)
        caveats = (collection.caveat,) if collection.caveat else ()
        bulk = (platform.lake, collection.id, unit, space, read, caveats)
        for task in platform.diagnosis_tasks(collection.id):
            if why := task.impossible(observations):
                said[f"without/{task.model}"] = why
                continue
            retraining = train(registry, DiagnosisTraining(*bulk, task))
            parts += retraining.parts
            said[f"retraining/{task.model}"] = retraining.summary
        for responses in tables["drug_responses"].matching(collection.id):
            drugs = train(registry, DrugTraining(*bulk, responses))
            parts += drugs.parts
            said[f"retraining/drug-response-{collection.id}"] = drugs.summary
            if platform.settings.full_models:
                screen = Screen(
                    platform.lake,
                    collection.id,
                    unit,
                    read,
                    responses,
                    space=representation_name(space),
                    smiles=platform.structures(collection),
                )
                parts += screen.evaluate(seed=SEED)
                # Of the same lines: what is learnt on one screen is tested on the other.
                for other in screens:
                    if other.has_lines_of(screen):
                        parts += other.evaluate_transfer(screen, seed=SEED)
                screens.append(screen)
    made = {name: platform.lake.assemble(name, parts) for name in _MADE}
    shown = _papers(platform, made["gate_verdicts"])
    for name, stored in made.items():
        yield table_result(stored, **said, **(shown if name == "gate_verdicts" else {}))


def _papers(platform: Platform, verdicts: StoredTable) -> dict[str, Any]:
    """Cards and what was forgotten as text, figures as pictures."""
    papers = model_reports(platform.lake, platform.models, verdicts)
    shown: dict[str, Any] = {}
    for model, one in papers.items():
        shown[f"card of {model}"] = dg.MetadataValue.md(one.card)
        shown[f"forgetting of {model}"] = dg.MetadataValue.md(one.forgetting)
    pictures = {f"what {model} forgot": one.picture for model, one in papers.items()}
    pictures |= {f"{model} on its holdout": one.figure for model, one in papers.items()}
    return shown | {"pictures": dg.MetadataValue.md(shown_pictures(pictures))}


@dg.asset(**declared(SERVED), ins={name: dg.AssetIn() for name in _ASKED})
def sample_diagnoses(
    platform: dg.ResourceParam[Platform], **tables: StoredTable
) -> dg.MaterializeResult[StoredTable]:
    """Every champion asked about every bulk collection that it was not trained on."""
    registry = platform.models
    champions = [registry.champion(name) for name in _models(platform, tables["gate_verdicts"])]
    asked = _ask(platform, [one for one in champions if one is not None], tables, SERVED)
    stored = platform.lake.assemble(SERVED, asked.parts)
    return table_result(stored, **{f"not asked/{name}": why for name, why in asked.skipped.items()})


@dg.asset(**declared(UNMEASURED), ins={name: dg.AssetIn() for name in (*_ASKED, "drug_responses")})
def unmeasured_drug_responses(
    platform: dg.ResourceParam[Platform], **tables: StoredTable
) -> dg.MaterializeResult[StoredTable]:
    """Every drug-response champion asked about every collection of cell lines."""
    responses = tables["drug_responses"]
    lines = [one for one in _bulk(platform, tables) if responses.matching(one.id)]
    parts: list[Part] = []
    said: dict[str, str] = {}
    for name in _named(platform, tables["gate_verdicts"]):
        manifest = platform.models.champion(name) if is_drug_model(name) else None
        if manifest is None:
            continue
        measured = {one.id: responses.matching(one.id) for one in lines}
        vectors = tables["gene_embeddings"].part(manifest.space)
        asked = (platform.lake, platform.models, manifest, lines, measured, vectors)
        found, not_asked = unmeasured_responses(*asked)
        parts += found
        said |= {f"not asked/{pair}": why for pair, why in not_asked.items()}
    return table_result(platform.lake.assemble(UNMEASURED, parts), **said)


@dg.asset(
    name=SHADOW,
    group_name="models",
    description="What challengers would say of every bulk collection; recorded, never published.",
    kinds={"parquet", "s3"},
    owners=OWNERS,
    metadata={"dagster/column_schema": column_schema(SHADOW)},
    ins={name: dg.AssetIn() for name in (*_ASKED, SERVED)},
)
def shadow_diagnoses(
    platform: dg.ResourceParam[Platform], **tables: StoredTable
) -> dg.MaterializeResult[StoredTable]:
    """Every challenger asked what the champions are asked, and how far the two agree."""
    registry = platform.models
    found = [challenger(registry, name) for name in _models(platform, tables["gate_verdicts"])]
    challengers = [one for one in found if one is not None]
    asked = _ask(platform, challengers, tables, SHADOW)
    since = {one.model: begin_shadow(registry, one).since for one in challengers}
    stored = platform.lake.assemble(SHADOW, asked.parts)
    said: dict[str, Any] = {f"shadows/{model}": f"since {when}" for model, when in since.items()}
    if stored.parts and tables[SERVED].parts:
        read = platform.lake.read
        agreed = agreement(read(tables[SERVED]), read(stored))
        records = [dg.TableRecord(row) for row in agreed.iter_rows(named=True)]
        said["agreement with the champions"] = (
            dg.MetadataValue.table(records) if records else "none"
        )
    return table_result(stored, **(said or {"shadows": "no challenger waits for its night"}))


def _models(platform: Platform, verdicts: StoredTable) -> list[str]:
    return [name for name in _named(platform, verdicts) if not is_drug_model(name)]


def _named(platform: Platform, verdicts: StoredTable) -> list[str]:
    if not verdicts.parts:
        return []
    return sorted(platform.lake.read(verdicts, ["model"])["model"].unique())


def _bulk(platform: Platform, tables: dict[str, StoredTable]) -> list[BulkCollection]:
    return [
        BulkCollection(
            one.id,
            one.unit,
            tables["gene_axis"].part(one.id),
            tuple(tables["expression"].matching(one.id)),
        )
        for one in ingested(platform, tables["expression"])
        if one.kind == "bulk"
    ]


def _ask(
    platform: Platform,
    manifests: Sequence[ModelManifest],
    tables: dict[str, StoredTable],
    table: str,
) -> BatchInference:
    vectors = {space.id: tables["gene_embeddings"].part(space.id) for space in platform.spaces}
    return batch_inference(
        platform.lake, platform.models, manifests, _bulk(platform, tables), vectors, table=table
    )
