"""Gene Ontology's files: what is read, on which day it was said, and what says nothing."""

import datetime
import json
from functools import partial
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from planted import made_archives
from sources_layouts import GAF

from genept.common.errors import SourceError
from genept.datasources.download.streams import open_bytes
from genept.datasources.gene_ontology import (
    ONTOLOGIES,
    ONTOLOGIES_SOURCE,
    WITHOUT_CONTENT,
    OntologyTerm,
    has_content,
    most_specific_first,
    read_gaf,
    read_obo,
    read_ontology,
)

LINE = (
    "UniProtKB\tP04637\tTP53\tenables\tGO:0003677\tPMID:{}\t{}\t\tF\tp53\tTP53|P53\tprotein\t"
    "taxon:9606\t{}\tUniProt\t\t\n"
)


def opener_of(folder: Path, text: str):
    path = folder / "goa_human.gaf"
    path.write_text(text, encoding="utf-8")
    return partial(open_bytes, path, None, path.name)


def test_annotations_but_not_what_is_denied_or_of_complexes(tmp_path):
    table, release = read_gaf(opener_of(tmp_path, GAF))
    assert table.rows() == [("P04637", "GO:0003677", "IDA", datetime.date(2020, 1, 1))]
    assert release == "2024-06-10"


def test_the_day_of_an_annotation_is_the_first_on_which_it_was_made(tmp_path):
    later = LINE.format(2, "IDA", "20240229") + LINE.format(3, "IDA", "19991231")
    table, _ = read_gaf(opener_of(tmp_path, GAF + later + LINE.format(4, "IEA", "20250101")))
    assert table.rows() == [
        ("P04637", "GO:0003677", "IDA", datetime.date(1999, 12, 31)),
        ("P04637", "GO:0003677", "IEA", datetime.date(2025, 1, 1)),
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (GAF + "UniProtKB\tP1\n", "line 7 has 2 columns, a GAF line has 17"),
        (
            GAF + LINE.format(2, "IDA", "2024"),
            "line 7 has the date '2024' in column 14; expected Y",
        ),
        (GAF + LINE.format(2, "IDA", "20240230"), "line 7 has the date '20240230'"),
        (GAF.replace("UniProtKB", "RNAcentral"), "says nothing about human genes"),
    ],
)
def test_what_is_no_annotation_is_refused(tmp_path, text, reason):
    with pytest.raises(SourceError, match=reason):
        read_gaf(opener_of(tmp_path, text))


def test_an_ontology_as_published(tmp_path):
    obo = (
        "format-version: 1.2\ndata-version: releases/2024-06-10\n\n[Term]\nid: GO:0003677\n"
        "name: DNA binding\nnamespace: molecular_function\n\n[Typedef]\nid: part_of\n"
    )
    table = read_obo(opener_of(tmp_path, obo), "go-basic.obo")
    assert table.rows() == [("GO:0003677", "DNA binding", "molecular_function", False)]


def test_roots_binding_and_what_has_no_data_say_nothing():
    rows = pl.DataFrame(
        {
            "go_id": [*WITHOUT_CONTENT, "GO:0003677", "GO:0003677", "GO:0003677"],
            "evidence": ["IDA"] * len(WITHOUT_CONTENT) + ["IDA", None, "ND"],
        }
    )
    assert rows.filter(has_content()).rows() == [("GO:0003677", "IDA"), ("GO:0003677", None)]


def test_genes_are_counted_in_the_rows_alone():
    rows = pl.DataFrame({"ensembl_gene_id": ["A", "A", "B"], "item": ["b", "c", "b"]}).with_columns(
        aspect=pl.lit("process"), evidence=pl.lit(None, pl.String)
    )
    assert most_specific_first(rows)["item"].to_list() == ["c", "b", "b"]
    assert most_specific_first(rows.head(2))["item"].to_list() == ["b", "c"]


def packaged_ontology(tmp_path, content: bytes):
    member = f"cellxgene_ontology_guide/data/{ONTOLOGIES['CL']}"
    with pa.BufferOutputStream() as stream:
        with pa.CompressedOutputStream(stream, "zstd") as packed:
            packed.write(content)
        packed_bytes = stream.getvalue().to_pybytes()
    return made_archives(tmp_path, **{ONTOLOGIES_SOURCE: {member: packed_bytes}})


def test_terms_of_an_ontology_without_those_given_up(tmp_path):
    entries = {
        "CL:1": {"label": "cell", "ancestors": {}, "deprecated": False},
        "CL:2": {
            "label": "B cell", "ancestors": {"CL:1": 1}, "deprecated": False,
            "description": "It makes antibodies.", "synonyms": ["B lymphocyte"],
        },
        "CL:3": {"label": "old", "ancestors": {}, "deprecated": True},
    }  # fmt: skip
    archives = packaged_ontology(tmp_path, json.dumps(entries).encode())
    assert read_ontology(archives, "CL") == {
        "CL:1": OntologyTerm("cell", "", (), {}),
        "CL:2": OntologyTerm("B cell", "It makes antibodies.", ("B lymphocyte",), {"CL:1": 1}),
    }


@pytest.mark.parametrize("content", [b"no json", b'{"CL:1": {"label": "cell"}}', b"[]"])
def test_a_damaged_ontology_is_refused(tmp_path, content):
    with pytest.raises(SourceError, match="CL-ontology"):
        read_ontology(packaged_ontology(tmp_path, content), "CL")
