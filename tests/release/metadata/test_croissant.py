"""`croissant.json`: MLCommons' own reader finds no mistake, and loads every table by it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import mlcroissant
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from genept.release.metadata.croissant import croissant
from genept.release.metadata.release_description import DescribedRelease
from genept.schema.tables import TABLES

pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")
"""rdflib's; mlcroissant 1.1.1 uses it."""

LOADED = {
    pa.string(): bytes, pa.bool_(): bool, pa.int64(): np.int64, pa.uint32(): np.uint32,
    pa.float64(): np.float64, pa.float32(): np.float32,
}  # fmt: skip
"""Type of a value that mlcroissant loads, by the type of the column."""


@pytest.fixture(scope="module")
def dataset(copied) -> mlcroissant.Dataset:
    return mlcroissant.Dataset(jsonld=str(copied.folder / "croissant.json"))


def values(value: Any) -> Iterator[Any]:
    yield from value if isinstance(value, list) else () if value is None else (value,)


def test_it_has_no_errors_and_no_warnings(dataset: mlcroissant.Dataset) -> None:
    issues = dataset.metadata.ctx.issues
    assert not issues.errors
    assert not issues.warnings
    assert dataset.metadata.ctx.is_v1_1()


def test_there_is_one_record_set_per_table(dataset: mlcroissant.Dataset) -> None:
    assert [each.uuid for each in dataset.metadata.record_sets] == list(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_loads_with_the_declared_types(copied, dataset, name: str) -> None:
    table, released = TABLES[name], copied.manifest.tables[name]
    records = list(dataset.records(name))
    assert len(records) == released.rows
    for column in table.columns:
        loaded = [record[f"{name}/{column.name}"] for record in records]
        types = {type(value) for each in loaded for value in values(each)}
        assert types <= {LOADED[column.element]}, column.name
        assert (None in loaded) == column.nullable, column.name
        assert all(isinstance(each, list) == column.is_list for each in loaded if each is not None)
    if table.vector:
        lengths = {len(record[f"{name}/{table.vector.name}"]) for record in records}
        assert lengths == {4, 6}


def test_values_are_those_of_the_files(copied, dataset) -> None:
    paths = [file.path for file in copied.manifest.tables["gene_embeddings"].files]
    rows = [
        row for path in paths for row in pq.ParquetFile(copied.folder / path).read().to_pylist()
    ]
    records = list(dataset.records("gene_embeddings"))
    for row, record in zip(rows, records, strict=True):
        assert record["gene_embeddings/space"] == row["space"].encode()
        assert record["gene_embeddings/embedding"] == pytest.approx(row["embedding"])


def test_every_file_is_listed_with_its_checksum(copied) -> None:
    document = json.loads((copied.folder / "croissant.json").read_text())
    listed = {
        node["contentUrl"]: (node["sha256"], node["contentSize"])
        for node in document["distribution"]
        if node["@type"] == "cr:FileObject"
    }
    found = {
        str(path.relative_to(copied.folder)): path.read_bytes()
        for path in copied.folder.rglob("*.parquet")
    }
    assert listed == {
        path: (hashlib.sha256(body).hexdigest(), f"{len(body)} B") for path, body in found.items()
    }


def test_it_says_how_to_cite_it_and_under_which_licences(copied) -> None:
    described = DescribedRelease(copied.manifest, "s3://lake/x/", doi="10.1234/genept")
    document = croissant(described)
    assert document["url"] == "https://doi.org/10.1234/genept"
    assert document["version"].startswith(f"{copied.manifest.schema_version}+")
    assert "doi = {10.1234/genept}" in document["citeAs"]
    (licence,) = document["license"]
    assert licence["name"] == "src: MIT (package); CC-BY-4.0 (data)"
    assert licence["url"] == "https://spdx.org/licenses/MIT.html"
