"""Group `models`: predictions of champions and challengers for every collection of bulk samples."""

from collections.abc import Iterable
from typing import Any

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`

from assets.declarations import declared, described, inputs
from assets.results import PlatformResource, TableResult, table_result
from genept.embeddings import CollectionTables
from genept.models import (
    SERVED,
    SHADOW,
    BulkCollection,
    ModelManifest,
    ModelRegistry,
    agreement,
    batch_inference,
    begin_shadow,
    challenger,
    judged_models,
)
from genept.models.drug_response import UNMEASURED, is_drug_model, unmeasured_responses
from genept.storage import Part, StoredTable

_READ = ("gene_axis", "expression", "gene_embeddings", "gate_verdicts")


@dg.asset(**declared(SERVED), ins=inputs(*_READ))
def sample_diagnoses(
    platform: PlatformResource, registry: dg.ResourceParam[ModelRegistry], **tables: StoredTable
) -> TableResult:
    """Predictions of every champion for every bulk collection that it was not trained on."""
    of = platform.collection_tables(tables)
    champions = filter(None, map(registry.champion, _models(of)))
    parts, skipped = _predict(of, registry, champions, SERVED)
    stored = platform.lake.assemble(SERVED, parts)
    return table_result(stored, **{f"skipped/{name}": reason for name, reason in skipped.items()})


@dg.asset(**declared(UNMEASURED), ins=inputs(*_READ, "drug_responses"))
def unmeasured_drug_responses(
    platform: PlatformResource, registry: dg.ResourceParam[ModelRegistry], **tables: StoredTable
) -> TableResult:
    """Predictions of every drug-response champion for every collection of cell lines."""
    of = platform.collection_tables(tables)
    champions = filter(None, map(registry.champion, _models(of, of_drugs=True)))
    parts, skipped = unmeasured_responses(of, registry, list(champions))
    stored = platform.lake.assemble(UNMEASURED, parts)
    return table_result(stored, **{f"skipped/{pair}": reason for pair, reason in skipped.items()})


@dg.asset(
    name=SHADOW,
    **described(
        "models",
        "Predictions of challengers for every bulk collection; recorded, never published.",
        SHADOW,
    ),
    ins=inputs(*_READ, SERVED),
)
def shadow_diagnoses(
    platform: PlatformResource, registry: dg.ResourceParam[ModelRegistry], **tables: StoredTable
) -> TableResult:
    """Predictions of every challenger, and how far they agree with those of the champions."""
    of = platform.collection_tables(tables)
    candidates = (challenger(registry, name) for name in _models(of))
    challengers = [manifest for manifest in candidates if manifest is not None]
    parts, _ = _predict(of, registry, challengers, SHADOW)
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


def _models(of: CollectionTables, *, of_drugs: bool = False) -> list[str]:
    """Names of the models that the gate has judged: of diagnosis, or of drug response."""
    names = judged_models(of.lake, of.tables["gate_verdicts"])
    return [name for name in names if is_drug_model(name) == of_drugs]


def _predict(
    of: CollectionTables, registry: ModelRegistry, manifests: Iterable[ModelManifest], table: str
) -> tuple[list[Part], dict[str, str]]:
    bulk = BulkCollection.all_of(of)
    return batch_inference(of.lake, registry, list(manifests), bulk, of.gene_vectors, table=table)
