"""Publishers' files in the lake: parsed once, loaded side by side, compared."""

from datetime import date

import polars as pl
import pytest
from gene_layouts import (
    GTF_HEAD,
    HGNC_HEADER,
    HISTORY_HEADER,
    INFO_HEADER,
    WITHDRAWN_HEADER,
    ensembl,
    gtf,
    hgnc,
    info,
    write,
)

from genept.common.errors import SourceError
from genept.nomenclature.publishers import reference_differences
from genept.nomenclature.snapshots import (
    GeneFile,
    build_snapshot,
    read_gene_file,
    read_snapshot,
    reference_from,
    touched_collections,
)
from genept.schema.tables import GENE_SNAPSHOTS, TABLES

DAY = date(2024, 10, 18)
FILES = {
    "hgnc.txt.gz": (
        HGNC_HEADER,
        hgnc(1, "TP53", alias='"P53|LFS1"', prev="OLD53"),
        hgnc(2, "SHOX"),
        hgnc(3, "NOID", id_="", entrez=""),
    ),
    "info": (INFO_HEADER, info(1, "TP53", synonyms="N53", xrefs="HGNC:HGNC:1"), info(9, "LOC9")),
    "history": (HISTORY_HEADER, "9606\t1\t900\tLOC900\t2020", "9606\t-\t901\t-\t2020"),
    "withdrawn": (WITHDRAWN_HEADER, "HGNC:90\tMerged/Split\tWAS\tHGNC:1|TP53|Approved"),
    "gencode.gtf.gz": (
        *GTF_HEAD,
        gtf(f"{ensembl(1)}.18", "TP53"),
        gtf(f"{ensembl(2)}.3", "SHOX"),
        gtf(f"{ensembl(2)}.3_PAR_Y", "SHOX"),
        gtf(f"{ensembl(30)}.1", ensembl(30), "lncRNA"),
    ),
    "types.csv": (
        "ensembl_id,gene_name,gene_type",
        f"{ensembl(80)},TP53,protein_coding",
        f"{ensembl(2)},RP1-2A3.4,lncRNA",
    ),
}


def stored(lake, path, name=None, release="2024-10"):
    return build_snapshot(lake, name or path.name, path, release=release, released=DAY)


GENE = (
    *("hgnc_id", "symbol", "ensembl_gene_id", "name", "biotype", "entrez_id"),
    *("uniprot_ids", "aliases", "previous_symbols"),
)
COLUMNS = {
    "hgnc": GENE,
    "gene_info": GENE,
    "gene_history": ("discontinued_entrez_id", "discontinued_symbol", "entrez_id"),
    "withdrawn": ("hgnc_id", "symbol", "successors"),
    "gencode": ("ensembl_gene_id", "version", "symbol", "biotype", "is_par_y"),
    "gene_types": ("ensembl_gene_id", "symbol", "biotype"),
}


def loaded(lake, part):
    """A part of the table as the parser returned it."""
    rows = lake.read(part)
    (format_,) = rows["format"].unique()
    if format_ == "gene_history":
        rows = rows.rename({"record": "discontinued_entrez_id", "symbol": "discontinued_symbol"})
    return GeneFile(format_, part.partition[0], rows.select(COLUMNS[format_]))


@pytest.mark.parametrize("name", FILES)
def test_what_comes_out_of_the_lake_is_what_the_parser_returned(lake, tmp_path, name):
    path = write(tmp_path / name, *FILES[name])
    table = stored(lake, path)
    expected = read_gene_file(path)
    (part,) = table.parts
    file = loaded(lake, part)
    assert (file.format, file.name) == (expected.format, name)
    key = file.rows.columns[0]
    expected_rows = expected.rows.select(file.rows.columns).sort(key)
    assert file.rows.sort(key).rows(named=True) == expected_rows.rows(named=True)
    rows = lake.read(part)
    assert set(rows["release"]) == {"2024-10"}
    assert set(rows["released"]) == {"2024-10-18"}
    assert part.partition == (name,)


def reference_of(lake, *tables):
    return reference_from([loaded(lake, part) for table in tables for part in table.parts])


def test_a_reference_out_of_the_lake_is_the_one_of_the_files(lake, tmp_path):
    paths = [write(tmp_path / name, *lines) for name, lines in FILES.items()]
    from_files = read_snapshot(paths)
    from_lake = reference_of(lake, *(stored(lake, path) for path in paths))
    assert from_lake.index.rows() == from_files.index.rows()
    assert from_lake.release == from_files.release


def test_a_file_is_parsed_once_and_another_release_is_another_part(lake, tmp_path, monkeypatch):
    path = write(tmp_path / "hgnc.txt", *FILES["hgnc.txt.gz"])
    first = stored(lake, path)
    assert stored(lake, path).data_version == first.data_version
    write(path, HGNC_HEADER, hgnc(1, "TP54", prev="TP53"))
    assert stored(lake, path).data_version != first.data_version


def test_two_references_side_by_side_are_compared(lake, tmp_path):
    before = write(tmp_path / "old.txt", HGNC_HEADER, hgnc(1, "A"), hgnc(2, "B"), hgnc(4, "D"))
    after = write(
        tmp_path / "new.txt", HGNC_HEADER, hgnc(1, "AA", prev="A"), hgnc(2, "B", prev="D")
    )
    old, new = (reference_of(lake, stored(lake, path, path.stem)) for path in (before, after))
    changes = reference_differences(old.genes, new.genes)
    assert changes.select("change", "symbol_before", "symbol_after").rows() == [
        ("merged", "D", "B"),
        ("renamed", "A", "AA"),
    ]
    mapping = pl.DataFrame(
        {
            "collection_id": ["c", "c"],
            "ensembl_gene_id": [ensembl(4), ensembl(9)],
            "expression_share": [0.25, 0.75],
        }
    )
    assert touched_collections(changes, mapping).rows() == [("c", "merged", 1, 0.25)]


def test_what_cannot_be_kept_is_refused_by_name(lake, tmp_path):
    with pytest.raises(SourceError, match=r"other\.tsv: is neither"):
        stored(lake, write(tmp_path / "other.tsv", "a\tb", "1\t2"))
    line = "HGNC:90\tEntry Withdrawn\tWAS\t"
    with pytest.raises(SourceError, match=r"gone: hgnc_id 'HGNC:90' occurs twice"):
        stored(lake, write(tmp_path / "gone", WITHDRAWN_HEADER, line, line))


def test_snapshots_are_in_no_release():
    assert GENE_SNAPSHOTS.name not in TABLES
