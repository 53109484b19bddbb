"""The nomenclature on public files as their publishers ship them; skipped where they are not."""

from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest

from genept.nomenclature.differences import reference_differences
from genept.nomenclature.mapping import MappingResult, Nomenclature
from genept.nomenclature.reference import Reference, starter_reference
from genept.nomenclature.snapshots import read_snapshot
from genept.sources.archives import Archives
from genept.sources.gene_files import read_gene_info
from genept.sources.gene_lists import read_gene_names

MIRROR = Path(__file__).parents[3] / "shared" / "mirror"
HGNC = MIRROR / "hgnc" / "hgnc_complete_set_2024-10-18.txt.gz"
GENE_INFO = MIRROR / "ncbi" / "Homo_sapiens.gene_info.gz"
GENCODE = MIRROR / "gencode" / "gencode_v49_genes.csv.gz"
PBMC = MIRROR / "single_cell" / "pbmc3k.h5ad"
GENE2VEC = MIRROR / "gene2vec" / "predictionData"

pytestmark = [
    pytest.mark.index,
    pytest.mark.skipif(not MIRROR.exists(), reason="the mirror of public files is not here"),
]


@pytest.fixture(scope="module")
def starter(real_archives: Archives) -> Reference:
    return starter_reference(real_archives)


@pytest.fixture(scope="module")
def today(starter: Reference) -> Nomenclature:
    return Nomenclature(starter.index)


def test_gene2vec_symbols_under_hgnc_of_2024() -> None:
    words = " ".join(path.read_text() for path in sorted(GENE2VEC.glob("*_text.txt")))
    symbols = sorted(set(words.split()))
    assert len(symbols) == 12_472
    found = Nomenclature(read_snapshot([HGNC]).index).map(symbols)
    outcomes = Counter(found.rows["outcome"])
    # HGNC knows 12,462 of them. Fifteen of its genes have no Ensembl id in it, and three names
    # were the approved symbol of two genes; NA is not taken for XK.
    assert symbols_known_to(found) >= 12_462, found.unmapped.rows()
    assert outcomes["ambiguous"] <= 4
    assert outcomes["without_ensembl_id"] <= 15


def symbols_known_to(found: MappingResult) -> int:
    return found.rows.filter(pl.col("outcome") != "unknown").height


def published_ids_and_expression() -> pl.DataFrame:
    with h5py.File(PBMC) as file:
        published = file["var"]["ensembl_id_10x_hg19"].asstr()[:]
        matrix = file["X"]
        share = np.bincount(matrix["indices"][:], weights=matrix["data"][:], minlength=32_738)
    names, _ = read_gene_names(PBMC)
    return pl.DataFrame(
        {"input_id": names, "published": published.tolist(), "share": share / share.sum()}
    )


def test_pbmc_symbols_against_the_ids_that_came_with_them(today: Nomenclature) -> None:
    """Symbol and id of each gene are mapped on their own, and must meet.

    The file's ids are of 2013. Of the genes whose symbol is mapped, 2.6 % have an id that was
    retired since without one successor; there is nothing that such an id could agree with.
    """
    genes = published_ids_and_expression()
    by_symbol = today.map(genes["input_id"].to_list()).rows
    by_id = today.map(genes["published"].to_list()).rows
    both = pl.concat([genes.drop("input_id"), by_symbol], how="horizontal").with_columns(
        by_id["ensembl_gene_id"].alias("by_id")
    )
    reached = both.filter(pl.col("ensembl_gene_id").is_not_null())
    assert reached["share"].sum() >= 0.99
    comparable = reached.drop_nulls("by_id")
    assert comparable.height / reached.height >= 0.97
    agrees = pl.col("by_id") == pl.col("ensembl_gene_id")
    disagreements = Counter(comparable.filter(~agrees)["outcome"])
    assert comparable.filter(agrees).height / comparable.height >= 0.995, disagreements
    assert disagreements.total() <= 70, disagreements


def test_every_symbol_renamed_since_2020_reaches_the_gene_that_kept_its_hgnc_id(
    today: Nomenclature, starter: Reference
) -> None:
    before = read_gene_info(GENE_INFO)
    approved = starter.genes["symbol"].implode()
    renamed = reference_differences(before, starter.genes).filter(
        pl.col("change") == "renamed",
        pl.col("ensembl_after").is_not_null(),
        # Two symbols were given to another gene since: TRPC7-AS1 and its like mean that gene now.
        ~pl.col("symbol_before").is_in(approved),
    )
    wise = Nomenclature(starter.with_older(before, "gene_info of 2020").index)
    both = pl.concat([renamed, wise.map(renamed["symbol_before"].to_list()).rows], how="horizontal")
    strays = both.filter(pl.col("ensembl_gene_id").ne_missing(pl.col("ensembl_after")))
    assert renamed.height > 600
    # HGNC names C18orf21 as a previous symbol of RMP24 and of its pseudogene.
    assert strays["symbol_before"].to_list() == ["C18orf21"]
    assert strays["ensembl_after"][0] in strays["candidates"][0]
    alone = pl.concat(
        [renamed, today.map(renamed["symbol_before"].to_list()).rows], how="horizontal"
    )
    open_ = alone.filter(pl.col("ensembl_gene_id").is_null())
    assert alone.filter(pl.col("ensembl_gene_id") != pl.col("ensembl_after")).rows() == []
    assert open_.height <= 3, open_.rows()


def test_symbols_that_spreadsheets_spoilt_reach_their_gene(
    today: Nomenclature, starter: Reference
) -> None:
    spoilt = starter.genes.select(
        "ensembl_gene_id",
        was=pl.col("symbol")
        .str.replace(r"^SEPTIN(\d+)$", "SEPT$1")
        .str.replace(r"^MARCHF(\d+)$", "MARCH$1"),
    ).filter(pl.col("was").str.contains(r"^(SEPT|MARCH)\d+$"))
    assert spoilt.height >= 20
    found = today.map(spoilt["was"].to_list()).rows
    assert found["ensembl_gene_id"].to_list() == spoilt["ensembl_gene_id"].to_list()
    assert set(found["outcome"]) == {"previous"}


def test_gencode_and_gene_info_widen_what_is_known(starter: Reference) -> None:
    wide = Nomenclature(read_snapshot([HGNC, GENE_INFO, GENCODE]).index)
    assert wide.map_name("ENSG00000290825").outcome == "ensembl_id"
    assert wide.map_name("SOD2").ensembl_gene_id is not None
    for symbol in ("SHOX", "CRLF2", "CD99"):
        meaning = wide.map_name(symbol)
        assert (meaning.outcome, len(meaning.candidates)) == ("ambiguous", 2), symbol
    for many in ("Y_RNA", "Metazoa_SRP"):
        assert wide.map_name(many).ensembl_gene_id is None
