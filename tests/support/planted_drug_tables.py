"""A planted screen as tables of a lake: ingested, its drugs listed, its gene vectors stored."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from declared_rows import declared_frame
from planted import a_collection, ingest_parsed, numbered_reference, parsed_of
from planted_drugs import GENES, Planted

from genept.schema.tables import TABLES
from genept.storage.lake import Lake
from genept.storage.provenance import NewPart, Origin, Part, StoredTable

REFERENCE = numbered_reference(40)


def stored(lake: Lake, name: str, rows: pl.DataFrame, *partition: str, **more: Any) -> Part:
    """A part with these rows; settings of its origin, such as what may be passed on."""
    dimension = len(rows["embedding"][0]) if TABLES[name].vector else None
    settings = {"rows": str(rows.hash_rows().sum()), **more}
    new = NewPart(name, rows, partition, dimension)
    return lake.build(f"test/{name}", Origin((), settings=settings), lambda: [new])[0]


def ingested(lake: Lake, screen: Planted, *, drugs: int) -> dict[str, StoredTable]:
    """The screen as a parser would give it."""
    pairs, rows = screen.screen.pairs, screen.screen
    responses = pl.DataFrame(
        {
            "observation_id": rows.ids[pairs.line], "drug_id": rows.drugs[pairs.drug],
            "value": pairs.value, "measure": "ln_ic50", "unit": "ln(µM)",
        }
    )  # fmt: skip
    responses = responses.with_columns(n_measured=pl.lit(1, pl.Int64))
    responses = responses.filter(pl.col("drug_id").is_in(rows.drugs[:drugs].tolist()))
    features = next(iter(rows.features.values()))
    parsed = parsed_of(
        features, REFERENCE["symbol"].to_list(), rows.ids.tolist(), responses=responses,
        labels={"tissue": rows.tissues.tolist()},
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as monkeypatch:
        parts = ingest_parsed(monkeypatch, lake, parsed, REFERENCE, a_collection("zscore"))
    return {name: StoredTable(name, (part,)) for name, part in parts.items()}


def listed(lake: Lake, screen: Planted, **settings: Any) -> tuple[StoredTable, StoredTable]:
    """Tables `drugs` and `drug_targets`: those of the screen, and some that it did not measure."""
    more = {
        "new": (GENES[0], None), "far": (GENES[60], None), "nothing": (None, None),
        "Drug Two": (GENES[1], "drug-02"),
    }  # fmt: skip
    acts_on: dict[str, str | None] = {
        name: min(targets)
        for name, targets in zip(screen.drugs.names, screen.drugs.targets, strict=True)
    } | {name: target for name, (target, _) in more.items()}
    compound = {name: more[name][1] if name in more else name for name in acts_on}
    drugs = pl.DataFrame(
        [
            {
                "drug_id": name, "compound": compound[name], "synonyms": [],
                "redistributable": True, "n_targets": 1, "screens": [],
            }
            for name in sorted(acts_on)
        ],
        schema=declared_frame(TABLES["drugs"], 1).schema,
    )  # fmt: skip
    targets = pl.DataFrame(
        [
            {
                "drug_id": name, "token": target, "member": target, "outcome": "gene",
                "ensembl_gene_id": target, "evidence": "planted", "source": "planted",
            }
            for name, target in sorted(acts_on.items())
            if target
        ],
        schema=declared_frame(TABLES["drug_targets"], 1).schema,
    )  # fmt: skip
    drugs_part = stored(lake, "drugs", drugs, **settings)
    targets_part = stored(lake, "drug_targets", targets, **settings)
    return StoredTable("drugs", (drugs_part,)), StoredTable("drug_targets", (targets_part,))


def vectors_of(lake: Lake, screen: Planted) -> dict[str, Part]:
    parts = {}
    for name, space in screen.spaces.items():
        rows = declared_frame(TABLES["gene_embeddings"], len(GENES), partition=(name,))
        length = np.linalg.norm(space.vectors, axis=1, keepdims=True)
        rows = rows.with_columns(
            ensembl_gene_id=pl.Series(GENES),
            embedding=pl.Series((space.vectors / length).tolist(), dtype=pl.List(pl.Float32)),
        )
        parts[name] = stored(lake, "gene_embeddings", rows, name)
    return parts
