"""Cells of the Census by query: a real SOMA experiment in a real S3, and what is refused."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import polars as pl
import pytest
from all_commands import app
from installations import PROJECT
from typer.testing import CliRunner

from genept.client.census import CensusQuery, drawn_cells
from genept.common.errors import SourceError
from genept.storage.object_store import ObjectStore

PACKAGES: Final = (
    "tiledbsoma==2.3.0", "somacore==1.0.29", "more-itertools", "pyarrow-hotfix", "shapely",
)  # fmt: skip
"""The extra `census` without what the tests have, and without scanpy: reading needs none."""


def test_a_query_names_terms_and_quotes_them() -> None:
    query = CensusQuery({"disease": ("MONDO:2", "MONDO:1"), "tissue": ()}, ("it's", "b"))
    assert query.filter == (
        "disease_ontology_term_id in ['MONDO:1', 'MONDO:2'] and dataset_id in "
        "['b', \"it's\"] and is_primary_data == True"
    )
    with pytest.raises(SourceError, match="say which cells are sought: tissue, disease"):
        CensusQuery({"tissue": ()})


def test_a_draw_is_the_same_again_and_in_the_order_of_the_census() -> None:
    cells = pl.DataFrame({"soma_joinid": range(100)})
    drawn = drawn_cells(cells, 10, 3)
    assert drawn.equals(drawn_cells(cells, 10, 3))
    assert drawn["soma_joinid"].is_sorted()
    assert not drawn.equals(drawn_cells(cells, 10, 4))
    assert drawn_cells(cells, 100, 3).equals(cells)


def test_without_the_extra_the_command_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tiledbsoma", None)  # importing it raises
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["collections", "census", "--dataset", "d1"])
    assert isinstance(result.exception, SourceError)
    assert "pip install 'genept-platform[census]'" in str(result.exception)


@pytest.mark.slow
@pytest.mark.index
def test_cells_are_found_drawn_and_read_from_s3(object_store: ObjectStore, tmp_path: Path) -> None:
    overlay = tmp_path / "census"
    pip = [sys.executable, "-m", "pip", "install", "-qq", "--no-deps", "--target"]
    subprocess.run([*pip, str(overlay), *PACKAGES], check=True)
    access = object_store.access
    settings = {
        "vfs.s3.endpoint_override": urlsplit(str(access.endpoint_url)).netloc,
        "vfs.s3.scheme": "http",
        "vfs.s3.use_virtual_addressing": "false",
        "vfs.s3.region": "us-east-1",
        "vfs.s3.aws_access_key_id": access.access_key,
        "vfs.s3.aws_secret_access_key": access.secret_key,
    }
    address = f"s3://{object_store.bucket}/census-{secrets.token_hex(4)}/soma/"
    file = tmp_path / "cells.h5ad"
    program = PROJECT / "tests" / "support" / "soma_census.py"
    paths = os.pathsep.join([str(PROJECT), str(overlay)])
    done = subprocess.run(
        [sys.executable, str(program), address, json.dumps(settings), str(file)],
        env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)
    assert read["found"] == 32
    assert read["types"] == {"T cell": 16, "CD4-positive, alpha-beta T cell": 16}
    assert read["repeated"] == 60
    assert (read["chosen"], read["equal"]) == (20, True)
    assert "the Census cannot be read" in read["refused"]
    assert read["query"].startswith("cell_type_ontology_term_id in ['CL:0000084', 'CL:0000624']")
    shown = CliRunner().invoke(app, ["collections", "validate", str(file)])
    assert "20 observations" in shown.output
    assert "counts" in shown.output
