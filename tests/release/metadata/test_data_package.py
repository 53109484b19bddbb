"""`datapackage.json`: Frictionless finds no mistake in it, nor in the tables by it."""

from __future__ import annotations

import json
from typing import Any

import frictionless
import pytest

from genept.release.metadata.data_package import table_schema
from genept.schema.tables import TABLES

TO_DRUGS = {"resource": "drugs", "fields": ["drug_id"]}


@pytest.fixture(scope="module")
def package(copied) -> dict[str, Any]:
    return json.loads((copied.folder / "datapackage.json").read_text())


def test_it_is_valid_with_all_tables(copied) -> None:
    report = frictionless.validate(str(copied.folder / "datapackage.json"))
    assert report.flatten(["place", "rowNumber", "message"]) == []
    assert len(report.tasks) == len(TABLES)
    rows = {task.name: task.stats["rows"] for task in report.tasks}
    firsts = {name: table.files[0].rows for name, table in copied.manifest.tables.items()}
    assert rows == firsts, "a validator reads the first file of a table"


def test_the_further_files_of_a_table_are_valid_too(copied, package) -> None:
    for resource in package["resources"]:
        for file in resource["files"][1:]:
            only = {**resource, "path": file["path"]}
            only["schema"] = {**resource["schema"], "foreignKeys": []}
            report = frictionless.Resource(only, basepath=str(copied.folder)).validate()
            assert report.flatten(["message"]) == []
            assert report.tasks[0].stats["rows"] == file["rows"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"missingValues": ["symbol-0001"]}, "constraint-error"),
        ({"foreignKeys": [{"fields": ["symbol"], "reference": TO_DRUGS}]}, "foreign-key"),
    ],
)
def test_what_does_not_hold_is_found(copied, package, change: dict[str, Any], error: str) -> None:
    resources = [each for each in package["resources"] if each["name"] in ("genes", "drugs")]
    (genes,) = (each for each in resources if each["name"] == "genes")
    broken = {**genes, "schema": {**genes["schema"], **change}}
    others = [each for each in resources if each["name"] == "drugs"]
    drugs = [{**each, "schema": {**each["schema"], "foreignKeys": []}} for each in others]
    changed = frictionless.Package(
        {"name": "changed", "resources": [*drugs, broken]}, basepath=str(copied.folder)
    )
    assert error in {row[0] for row in changed.validate().flatten(["type"])}


def test_the_schema_says_what_is_declared() -> None:
    schema = table_schema(TABLES["observations"], {"collections": 2, "ontology_terms": 1})
    fields = {field["name"]: field for field in schema["fields"]}
    assert schema["primaryKey"] == ["collection_id", "observation_id"]
    assert fields["n_genes"]["unit"] == "genes"
    assert fields["n_genes"]["constraints"] == {"required": True, "minimum": 1}
    assert fields["n_genes"]["bounds"] == {"minimum": 1}
    assert fields["cell_type_ontology_term_id"]["constraints"]["pattern"] == r"^CL:\d{7}$"
    assert {
        "fields": ["cell_type_ontology_term_id"],
        "reference": {"resource": "ontology_terms", "fields": ["term_id"]},
    } in schema["foreignKeys"]
    assert schema["foreignKeysToSplitTables"] == [
        {
            "fields": ["collection_id"],
            "reference": {"resource": "collections", "fields": ["collection_id"]},
        }
    ]
    assert schema["missingValues"] == [], "an empty text is a text"


def test_numbers_that_may_be_null_have_types_and_bounds_that_hold_for_nan() -> None:
    fields = {field["name"]: field for field in table_schema(TABLES["genes"], {})["fields"]}
    assert fields["length"]["type"] == "number"
    assert fields["length"]["arrowType"] == "int64"
    assert "constraints" not in fields["length"]
    assert fields["length"]["bounds"] == {"minimum": 1}


def test_sources_have_versions_checksums_and_citations(package) -> None:
    (source,) = package["sources"]
    assert source["version"] == "src 1 (2026-01-02)"
    assert source["hash"] == "sha256:" + "0" * 64
    assert "doi:10.1000/a_b" in source["citation"]
    (licence,) = package["licenses"]
    assert licence == {"path": "licences.json", "title": "src: MIT (package); CC-BY-4.0 (data)"}
