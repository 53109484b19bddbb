"""PBMC 3k and TCGA 11 of the mirror, through their catalogue entries alone, into a real lake."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from genept.collections.ingestion import ingest
from genept.datasources.catalogue import load_catalogue
from genept.datasources.download.archives import Archives
from genept.datasources.download.mirrors import SourceLocations
from genept.nomenclature.reference import Reference, starter_reference
from genept.storage.lake import Lake
from genept.storage.provenance import Part

MIRROR = Path(__file__).parents[3] / "shared" / "mirror"

pytestmark = [
    pytest.mark.index,
    pytest.mark.skipif(not MIRROR.exists(), reason="the mirror of public files is not here"),
]


@pytest.fixture(scope="module")
def reference(real_archives: Archives) -> Reference:
    return starter_reference(real_archives)


def ingested(lake: Lake, folder: Path, id_: str, reference: Reference) -> dict[str, list[Part]]:
    catalogue = load_catalogue()
    archives = Archives(catalogue, folder, locations=SourceLocations((str(MIRROR),)))
    parts = ingest(lake, archives, catalogue.collections[id_], lambda: reference, "starter")
    return {
        name: [part for part in parts if part.table == name] for name in {p.table for p in parts}
    }


def test_pbmc3k(lake: Lake, tmp_path: Path, reference: Reference) -> None:
    parts = ingested(lake, tmp_path, "pbmc3k", reference)
    cells = lake.read(parts["observations"])
    assert cells.height == 2700
    assert cells["cell_type"].null_count() == 62
    assert cells["cell_type"].drop_nulls().n_unique() >= 8
    (row,) = lake.read(parts["collections"]).rows(named=True)
    assert row["mapped_expression"] >= 0.97
    assert row["redistributable"]


def test_tcga11(lake: Lake, tmp_path: Path, reference: Reference) -> None:
    parts = ingested(lake, tmp_path, "tcga11", reference)
    samples = lake.read(parts["observations"])
    assert samples.height == 1204
    assert samples["group_id"].n_unique() == 602
    assert dict(samples["diagnosis"].value_counts().iter_rows()) == {"tumor": 602, "normal": 602}
    expression = lake.read(parts["expression"])
    lowest = (
        expression.join(samples, on="observation_id")
        .group_by("tissue_subtype")
        .agg(pl.col("value").explode().min())
    )
    assert lowest.height == 11
    assert lowest["value"].min() == -2, "the floor holds for every cohort"
    assert np.isfinite(expression["value"].explode().to_numpy()).all()
    noted = lake.read(parts["quarantine"]).filter(pl.col("action") == "fixed")
    fixed = dict(noted.select("reason", "n").iter_rows())
    assert fixed["imputed"] == 944
    assert fixed["floored"] > 0
