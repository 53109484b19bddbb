"""A collection as one file: what anndata and zarr read back, and what CELLxGENE's schema asks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import anndata
import numpy as np
import pandas as pd
import pytest
from all_commands import app
from labelled_release import (
    COLLECTION,
    COUNTS,
    DIMENSIONS,
    N_GENES,
    SPACE,
    TYPES,
    N,
    publish_labelled,
)
from typer.testing import CliRunner

from genept.client.exported_collections import export_collection
from genept.common.errors import StoreError
from genept.common.settings import Settings
from genept.datasources.download.archives import Archives
from genept.nomenclature.reference import starter_reference
from genept.storage.object_store import ObjectStore

VALIDATOR: Final = "cellxgene-schema==7.1.2"


@pytest.fixture(scope="module")
def settings(object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return publish_labelled(object_store, tmp_path_factory.mktemp("state"))


@pytest.mark.parametrize("ending", [".h5ad", ".zarr"])
def test_a_file_has_expression_labels_and_vectors(
    settings: Settings, tmp_path: Path, ending: str
) -> None:
    exported = export_collection(COLLECTION, settings=settings)
    path = tmp_path / f"cells{ending}"
    exported.write(path)
    read = anndata.read_h5ad(path) if ending == ".h5ad" else anndata.read_zarr(path)
    np.testing.assert_array_equal(read.X.toarray(), COUNTS)
    assert read.obs["author_cell_type"].tolist() == [TYPES[n % 4] for n in range(N)]
    key = "X_minilm-l6-v2_name-go"
    assert read.uns["spaces"] == {key: SPACE}
    assert read.obsm[key].shape == (N, DIMENSIONS)
    assert np.isfinite(read.obsm[key]).all()
    assert read.shape == (N, N_GENES)
    assert list(tmp_path.iterdir()) == [path], "nothing half written is left"


def test_what_the_schema_asks_for_is_there_or_named(settings: Settings) -> None:
    without = export_collection(COLLECTION, settings=settings, spaces=[])
    assert not without.data.obsm
    assert any(reason.startswith("assay of") for reason in without.lacking) == (
        "unknown" in set(without.data.obs["assay_ontology_term_id"])
    )
    given = export_collection(
        COLLECTION, settings=settings, spaces=[], assay="EFO:0009922", disease="PATO:0000461"
    )
    assert not [reason for reason in given.lacking if reason.startswith(("assay", "disease"))]
    obs = given.data.obs
    assert set(obs["donor_id"]) == {"unknown"}, "a group is no donor"
    assert not obs["is_primary_data"].any()
    assert not {"cell_type", "tissue", "assay", "sex"} & set(obs.columns)
    assert not obs.isna().any().any()
    assert not given.data.var["feature_is_filtered"].any()


def test_what_cannot_be_exported_says_why(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=f"no collection 'planted'; did you mean '{COLLECTION}'"):
        export_collection("planted", settings=settings)
    with pytest.raises(StoreError, match="has nothing for"):
        export_collection(COLLECTION, spaces=["no/such"], settings=settings)
    exported = export_collection(COLLECTION, settings=settings)
    with pytest.raises(StoreError, match=r"must be \.h5ad or \.zarr"):
        exported.write(tmp_path / "cells.csv")
    (tmp_path / "cells.zarr").mkdir()
    with pytest.raises(StoreError, match="exists"):
        exported.write(tmp_path / "cells.zarr")


def test_the_command_names_what_is_lacking(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = export_collection(COLLECTION, settings=settings)
    monkeypatch.setattr("genept.client.export_collection", lambda *_, **__: given)
    result = CliRunner().invoke(app, ["export", COLLECTION, "--out", str(tmp_path / "c.h5ad")])
    assert result.exit_code == 0, result.output
    shown = result.output.replace("\n", "")
    assert f"{N:,} observations, {N_GENES} genes and the vectors of 1 space are in" in shown
    assert "will be replaced" not in result.output
    assert ("not valid by CELLxGENE" in result.output) == bool(given.lacking)
    assert anndata.read_h5ad(tmp_path / "c.h5ad").n_obs == N
    again = CliRunner().invoke(app, ["export", COLLECTION, "--out", str(tmp_path / "c.h5ad")])
    assert f"{tmp_path / 'c.h5ad'} exists, and will be replaced" in again.output


@pytest.mark.slow
@pytest.mark.index
def test_cells_are_valid_by_cellxgenes_own_validator(
    settings: Settings, tmp_path: Path, real_archives: Archives
) -> None:
    """Its packages stay out of the lock: they are installed into an environment of their own."""
    published = starter_reference(real_archives).published
    known = published.drop_nulls("length").filter(biotype="protein_coding")
    exported = export_collection(
        COLLECTION, settings=settings, assay="EFO:0009922", disease="PATO:0000461"
    )
    exported.data.var_names = known["ensembl_gene_id"].sort().head(N_GENES).to_list()
    terms = {"cell_type": "CL:0000236", "tissue": "UBERON:0000178", "assay": "EFO:0009922"}
    for name, term in (terms | {"disease": "PATO:0000461"}).items():  # planted ids are no terms
        exported.data.obs[f"{name}_ontology_term_id"] = pd.Categorical([term] * N)
    for name in ("sex", "development_stage"):
        exported.data.obs[f"{name}_ontology_term_id"] = pd.Categorical(["unknown"] * N)
    exported.write(tmp_path / "cells.h5ad")
    pip = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    index = subprocess.run(pip, capture_output=True, text=True, check=False).stdout.strip()
    uv = Path(sys.executable).with_name("uv")
    tool = [str(uv), "tool", "run", "--python", sys.executable, "--from", VALIDATOR]
    result = subprocess.run(
        [*tool, "cellxgene-schema", "validate", str(tmp_path / "cells.h5ad")],
        env=os.environ | ({"UV_DEFAULT_INDEX": index} if index else {}),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]
    assert "is_valid=True" in result.stderr
