"""Observations with ontology ids, and the tables that say how they came about."""

from __future__ import annotations

import json

import polars as pl
import pytest
from planted import a_collection

from genept.collections.labels.label_mapping import LabelMapper
from genept.collections.labels.labelled_observations import (
    Ontologies,
    label_observations,
    with_terms,
)
from genept.collections.labels.ontology_table import build_ontology_terms, term_rows
from genept.datasources import OntologyTerm
from genept.schema.tables import STORED, TABLES
from genept.storage.lake import Lake
from genept.storage.provenance import NewPart, Origin, Part

ONTOLOGY = {
    "CL": {
        "CL:0000000": OntologyTerm("cell", "", (), {}),
        "CL:0000084": OntologyTerm(
            "T cell", "It has a receptor.", ("T lymphocyte",), {"CL:0000000": 1}
        ),
        "CL:0000236": OntologyTerm("B cell", "", (), {"CL:0000000": 1}),
    },
    "UBERON": {"UBERON:0002048": OntologyTerm("lung", "", (), {})},
    "MONDO": {
        "MONDO:0005233": OntologyTerm("NSCLC", "", (), {}),
        "MONDO:0005105": OntologyTerm("melanoma", "", (), {}),
    },
    "PATO": {"PATO:0000461": OntologyTerm("normal", "", (), {})},
    "CVCL": {"CVCL_0023": OntologyTerm("A-549", "", (), {})},
}  # fmt: skip
MAPPER = LabelMapper(ONTOLOGY)
IDS = ["a", "b", "c", "d"]


def read(**labels: list[str | None]) -> pl.DataFrame:
    empty = dict.fromkeys(("batch", "cell_type", "tissue", "tissue_subtype", "diagnosis"))
    columns = {
        "collection_id": ["mine"] * 4, "observation_id": IDS, "group_id": ["g1", "g1", "g2", "g3"],
        **{name: [None] * 4 for name in empty}, **labels,
        "n_genes": [3] * 4, "total": [1.0] * 4,
    }  # fmt: skip
    schema = pl.DataFrame(STORED["read_observations"].schema().empty_table()).schema
    return pl.DataFrame(columns, schema=schema)


def fields(**columns: list[str | None]) -> pl.DataFrame:
    return pl.DataFrame({"observation_id": IDS, **columns})


def by_label(mapping: pl.DataFrame) -> dict[tuple[str, str], tuple[str, str | None, int]]:
    columns = ["field", "label_text", "outcome", "term_id", "n_observations"]
    return {row[:2]: row[2:] for row in mapping.select(columns).iter_rows()}


def test_every_label_has_an_outcome_and_its_observations_are_counted() -> None:
    rows = read(
        cell_type=["T cells", "T cells", "B cell", "Unknown"], tissue=["lung", None, "x", "x"]
    )
    observations, mapping = with_terms("mine", rows, None, MAPPER)
    assert by_label(mapping) == {
        ("cell_type", "T cells"): ("spelling", "CL:0000084", 2),
        ("cell_type", "B cell"): ("name", "CL:0000236", 1),
        ("cell_type", "Unknown"): ("explained", None, 1),
        ("tissue", "lung"): ("name", "UBERON:0002048", 1),
        ("tissue", "x"): ("unmapped", None, 2),
    }
    assert observations["cell_type_ontology_term_id"].to_list() == [
        "CL:0000084", "CL:0000084", "CL:0000236", None,
    ]  # fmt: skip
    assert observations.columns == [column.name for column in TABLES["observations"].columns]
    assert mapping.filter(label_text="B cell")["term_name"].to_list() == ["B cell"]


def test_a_tissue_that_names_a_disease_gives_the_disease() -> None:
    rows = read(
        tissue=["lung_NSCLC", "melanoma", "lung", "lung"],
        diagnosis=[None, None, None, "normal"],
        tissue_subtype=[None, None, "melanoma", "melanoma"],
    ).with_columns(collection_id=pl.lit("gdsc"))
    observations, _ = with_terms("gdsc", rows, None, MAPPER)
    assert observations["tissue_ontology_term_id"].to_list() == [
        "UBERON:0002048", None, "UBERON:0002048", "UBERON:0002048",
    ]  # fmt: skip
    assert observations["disease_ontology_term_id"].to_list() == [
        "MONDO:0005233", "MONDO:0005105", "MONDO:0005105", "PATO:0000461",
    ]  # fmt: skip
    assert observations["tissue_subtype_ontology_term_id"].to_list()[2:] == ["MONDO:0005105"] * 2


def test_the_id_that_an_author_gives_decides_if_it_is_one() -> None:
    rows = read(cell_type=["T cells", "mystery", "both", "both"])
    given = ["CL:0000236", "CL:0000084", "CL:0000084", "CL:0000236"]
    _, mapping = with_terms("mine", rows, fields(cell_type_ontology_term_id=given), MAPPER)
    of_label = by_label(mapping)
    assert of_label["cell_type", "T cells"] == ("published", "CL:0000236", 1)
    assert (
        "by its name it would be CL:0000084" in mapping.filter(label_text="T cells")["evidence"][0]
    )
    assert of_label["cell_type", "mystery"] == ("published", "CL:0000084", 1)
    assert of_label["cell_type", "both"] == ("unmapped", None, 2)
    unknown = fields(cell_type_ontology_term_id=["CL:9999999"] * 4)
    _, mapping = with_terms("mine", rows, unknown, MAPPER)
    assert by_label(mapping)["cell_type", "T cells"] == ("spelling", "CL:0000084", 1)


def test_lines_are_named_by_a_field_or_by_their_group() -> None:
    metadata = fields(
        cell_line=["A549", None, None, None],
        modelid=["ACH-000681", "x", None, None],
        cosmic_id=["905949.0", None, None, None],
        sangermodelid=["SIDM00903", None, None, None],
    )
    observations, mapping = with_terms("mine", read(), metadata, MAPPER, lines=True)
    assert observations["cell_line"].to_list() == ["A549", "g1", "g2", "g3"]
    columns = ["cell_line_ontology_term_id", "depmap_id", "sanger_id", "cosmic_id"]
    assert observations.select(columns).row(0) == (
        "CVCL_0023", "ACH-000681", "SIDM00903", "905949",
    )  # fmt: skip
    assert observations.select(columns).row(1) == (None,) * 4
    assert mapping["field"].to_list() == ["cell_line"] * 4


@pytest.fixture
def parts(lake: Lake) -> list[Part]:
    metadata = pl.DataFrame(
        {"collection_id": ["planted"], "observation_id": ["a"], "field": ["Sex"], "value": ["F"]}
    )
    rows = read(cell_type=["T cells", "B cell", None, None])
    rows = rows.with_columns(collection_id=pl.lit("planted"))
    new = [
        NewPart("read_observations", rows, ("planted",)),
        NewPart("observation_metadata", metadata, ("planted",)),
    ]  # fmt: skip
    return lake.build("read", Origin(code=(), inputs={}, settings={}), lambda: new)


def test_ids_are_made_anew_when_the_ontologies_come(lake: Lake, parts: list[Part]) -> None:
    collection = a_collection()
    opened = []

    def mapper() -> LabelMapper:
        opened.append(True)
        return MAPPER

    without = label_observations(lake, collection, parts, Ontologies())
    assert set(lake.read(without[1])["outcome"]) == {"no_ontology"}
    with_them = label_observations(lake, collection, parts, Ontologies("v1", mapper))
    again = label_observations(lake, collection, parts, Ontologies("v1", mapper))
    assert with_them == again
    assert opened == [True]
    observations, mapping = map(lake.read, with_them)
    assert observations["sex"].to_list() == ["F", None, None, None]
    assert by_label(mapping)["cell_type", "T cells"][1] == "CL:0000084"

    table = lake.assemble("label_mapping", with_them)
    terms = lake.read(build_ontology_terms(lake, table, Ontologies("v1", mapper)))
    assert terms["term_id"].to_list() == ["CL:0000000", "CL:0000084", "CL:0000236"]
    below = terms.filter(pl.col("ancestors").list.contains("CL:0000000"))
    assert below["name"].to_list() == ["T cell", "B cell"]
    empty = lake.assemble("label_mapping", without)
    assert build_ontology_terms(lake, empty, Ontologies()).rows == 0


def test_terms_without_definition_or_unknown() -> None:
    rows = term_rows(MAPPER, ["CL:0000084", "CL:7"])
    assert json.loads(rows.write_json())[1] == {
        "term_id": "CL:0000084", "ontology": "CL", "name": "T cell",
        "definition": "It has a receptor.", "synonyms": ["T lymphocyte"],
        "ancestors": ["CL:0000000"],
    }  # fmt: skip
    assert rows["definition"].to_list() == [None, "It has a receptor."]
