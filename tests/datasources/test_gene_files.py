"""Publishers' gene tables: what is read of them, and how damage is reported."""

import pytest
from gene_layouts import GTF_HEAD, HGNC_HEADER, HISTORY_HEADER, ensembl, gtf, hgnc, write

from genept.common.errors import SourceError
from genept.datasources.gene_files import (
    header_of,
    read_gencode,
    read_gene_history,
    read_gene_info,
    read_hgnc_complete_set,
    read_hgnc_withdrawn,
)

READERS = [
    read_hgnc_complete_set, read_hgnc_withdrawn, read_gene_info, read_gene_history, read_gencode,
]  # fmt: skip


def test_a_row_of_the_complete_set(tmp_path):
    rows = (hgnc(1, "A", alias='"X| Y |"', prev="Z"), hgnc(2, "B", id_="", entrez=""))
    genes = read_hgnc_complete_set(write(tmp_path / "h.txt.gz", HGNC_HEADER, *rows))
    assert genes.row(0, named=True) == {
        "hgnc_id": "HGNC:1",
        "symbol": "A",
        "ensembl_gene_id": ensembl(1),
        "name": "name of A",
        "biotype": "protein_coding",
        "entrez_id": "1",
        "uniprot_ids": ["P00001"],
        "aliases": ["X", "Y"],
        "previous_symbols": ["Z"],
    }
    assert genes.row(1, named=True)["ensembl_gene_id"] is None
    assert genes.row(1, named=True)["aliases"] == []


def test_the_gene_lines_of_a_gtf(tmp_path):
    path = write(
        tmp_path / "g.gtf.gz",
        *GTF_HEAD,
        gtf(f"{ensembl(1)}.18", "A"),
        gtf(f"{ensembl(1)}.18", "A", feature="exon"),
        gtf(f"{ensembl(2)}.3_PAR_Y", ensembl(2), "lncRNA"),
    )
    assert read_gencode(path).rows() == [
        (ensembl(1), "18", "A", "protein_coding", False),
        (ensembl(2), "3", None, "lncRNA", True),
    ]


def test_an_id_of_another_species_is_refused(tmp_path):
    path = write(tmp_path / "g.gtf", gtf(f"{ensembl(1)}.1", "A"), gtf("ENSMUSG00000000001.1", "B"))
    with pytest.raises(SourceError, match=r"g\.gtf: 'ENSMUSG00000000001\.1' is not a versioned"):
        read_gencode(path)


def test_a_doubled_id_is_refused(tmp_path):
    path = write(tmp_path / "h.txt", HGNC_HEADER, hgnc(1, "A"), hgnc(1, "B"))
    with pytest.raises(SourceError, match=r"h\.txt: hgnc_id 'HGNC:1' occurs more than once"):
        read_hgnc_complete_set(path)


@pytest.mark.parametrize("reader", READERS)
def test_a_missing_column_is_named(tmp_path, reader):
    with pytest.raises(SourceError, match=r"a\.txt: has no column '.+'; found \['x"):
        reader(write(tmp_path / "a.txt", "x\ty", "1\t2"))


@pytest.mark.parametrize("reader", [*READERS, header_of])
@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.txt", b"", "is empty"),
        ("a.txt", b"\n <html><body>503</body></html>", "web page"),
        ("a.txt.gz", b"", "is empty"),
        ("a.txt.gz", b"<!DOCTYPE html>", "web page"),
    ],
)
def test_what_is_not_a_table_is_refused(tmp_path, reader, name, content, says):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError, match=rf"{name}: .*{says}"):
        reader(path)


def truncated(data):
    return data[: len(data) // 2]


def bad_crc(data):
    return data[:-8] + bytes(4) + data[-4:]


def trailing(data):
    return data + b"more"


@pytest.mark.parametrize("damage", [truncated, bad_crc, trailing])
def test_a_damaged_gzip_is_refused(tmp_path, damage):
    rows = (f"9606\t-\t{i}\tLOC{i}\t20200101" for i in range(2000))
    path = write(tmp_path / "history.gz", HISTORY_HEADER, *rows)
    assert read_gene_history(path).height == 2000
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(SourceError, match=r"history\.gz"):
        read_gene_history(path)


def test_a_ragged_row_is_refused(tmp_path):
    path = write(tmp_path / "h", HISTORY_HEADER, "9606\t1\t2\tX\t2020\textra")
    with pytest.raises(SourceError, match="^h: "):
        read_gene_history(path)


def test_a_missing_file_is_named(tmp_path):
    for name in ("nix.txt", "nix.txt.gz"):
        with pytest.raises(SourceError, match=rf"{name}: No such file"):
            header_of(tmp_path / name)
