"""A user's CSV, added with one command, is in the release of the next run; on real archives.

`test_nightly` checks in every run of the tests that added collections get into a release.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from installations import Installation

from genept.client.api import load_table
from genept.client.release_lookup import open_releases

pytestmark = [pytest.mark.index, pytest.mark.soak, pytest.mark.timeout(900)]

LIMITS = {
    "GENEPT_COLLECTIONS": '["prostate", "mine"]',
    "GENEPT_SPACES": '["random-384/name-go"]',
    "GENEPT_MAX_GENES": "900",
}


def write(folder: Path, symbols: list[str]) -> None:
    """80 cells of two kinds, from five donors, distinguished by the first two genes."""
    counts = np.random.default_rng(0).poisson(4, (80, len(symbols)))
    counts[::2, 0] += 30
    counts[1::2, 1] += 30
    rows = [f"c{row},{','.join(map(str, values))}" for row, values in enumerate(counts.tolist())]
    (folder / "counts.csv").write_text("\n".join([f"cell,{','.join(symbols)}", *rows]) + "\n")
    kinds = [f"c{row},{('T cell', 'B cell')[row % 2]},d{row % 5}" for row in range(80)]
    (folder / "labels.csv").write_text("\n".join(["cell,cell_type,donor", *kinds]) + "\n")


@pytest.fixture
def symbols(real_reference: pl.DataFrame) -> list[str]:
    """Real symbols, of genes that the limited installation describes."""
    coding = real_reference.drop_nulls("ensembl_gene_id").sort("ensembl_gene_id").head(800)
    return coding.filter(biotype="protein_coding")["symbol"].head(70).to_list()


def test_a_collection_added_by_one_command_is_in_the_next_release(
    installation: Installation, tmp_path: Path, symbols: list[str]
) -> None:
    write(tmp_path, symbols)
    files = str(tmp_path / "counts.csv"), "--metadata", str(tmp_path / "labels.csv")
    added = installation.genept("collections", "add", *files, "--id", "mine", "--yes")
    assert added.returncode == 0, added.stderr
    assert "70 genes; 100.0% of the expression" in added.stdout
    run = installation.genept("run", env=LIMITS, timeout=600)
    assert run.returncode == 0, run.stderr
    settings = installation.settings
    cells = load_table("observations", settings=settings, collection_id="mine").collect()
    assert cells.height == 80
    assert cells["group_id"].n_unique() == 5
    vectors = load_table("cell_embeddings", settings=settings).collect()
    assert vectors.filter(collection_id="mine").height == 80
    scored = load_table("benchmark_results", settings=settings).collect()
    assert "mine" in scored["dataset"].to_list()
    manifest = open_releases(settings).current()
    assert manifest.sources["mine-file-1"].licence == "not stated"
    assert not manifest.sources["mine-file-1"].redistributable
