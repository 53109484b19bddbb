"""The nomenclature on public files as their publishers ship them; skipped where they are not."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest

from genept.datasources.download.archives import Archives
from genept.datasources.gene_files import (
    read_gencode,
    read_gene_info,
    read_gene_types,
    read_hgnc_complete_set,
)
from genept.datasources.parsers import parse_collection
from genept.datasources.readers.gene_lists import gene_name_batches
from genept.nomenclature.mapping import MappingResult, Nomenclature
from genept.nomenclature.names import mixed_releases
from genept.nomenclature.publishers import older_claims, reference_differences
from genept.nomenclature.reference import Reference, starter_reference
from genept.nomenclature.snapshots import read_snapshot

MIRROR = Path(__file__).parents[3] / "shared" / "mirror"
HGNC = MIRROR / "hgnc" / "hgnc_complete_set_2024-10-18.txt.gz"
GENE_INFO = MIRROR / "ncbi" / "Homo_sapiens.gene_info.gz"
GENCODE = MIRROR / "gencode" / "gencode_v49_genes.csv.gz"
GENE_TYPES = MIRROR / "gene_properties" / "gene_types.csv.gz"
PBMC = MIRROR / "single_cell" / "pbmc3k.h5ad"
GENE2VEC = MIRROR / "gene2vec" / "predictionData"
STRAYS = {
    ("exact", "unknown"): 63,
    ("exact", "ensembl_id"): 49,
    ("previous", "unknown"): 40,
    ("alias", "unknown"): 36,
    ("alias", "ensembl_id"): 11,
    ("previous", "ensembl_id"): 8,
    ("case_or_space_fixed", "unknown"): 3,
    ("exact", "retired_successor"): 3,
    ("previous", "retired_successor"): 1,
}
"""PBMC's pairs that do not meet, by the outcome of the symbol and of the id."""

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


NEVER_IN_HGNC = {
    *("CRIPAK", "HDGFRP2", "L1RE1", "LOC100996750", "LOC344967", "MAGEA10-MAGEA5", "OCLM"),
    *("SPHAR", "TBC1D7-LOC100130357"),
}
CLAIMED_TWICE = {"MUM1", "QARS", "STRA13", "NA"}
WITHOUT_ENSEMBL_ID = {
    *("DUX1", "GAGE2D", "GAGE8", "IGHV3-9", "KIR2DL2", "KIR2DS2", "KIR2DS3", "KIR2DS5", "LILRA3"),
    *("LINC00473", "MUC3B", "OR8U8", "PRSS3P2", "RBMY1C", "SDIM1"),
}


def gene2vec_symbols() -> list[str]:
    words = " ".join(path.read_text() for path in sorted(GENE2VEC.glob("*_text.txt")))
    return sorted(set(words.split()))


def by_outcome(mapped: MappingResult, outcome: str) -> set[str]:
    return set(mapped.rows.filter(pl.col("outcome") == outcome)["input_id"])


def test_gene2vec_symbols_under_hgnc_of_2024() -> None:
    """HGNC knows all but nine of the 12,472 symbols; which of them have no Ensembl gene, and why.

    Three names were the approved symbol of two genes, and NA is what tables write for nothing:
    no id decides. Fifteen are approved genes to which HGNC gives no Ensembl id.
    """
    symbols = gene2vec_symbols()
    assert len(symbols) == 12_472
    mapped = Nomenclature(read_snapshot([HGNC]).index).map(symbols)
    assert by_outcome(mapped, "unknown") == NEVER_IN_HGNC
    assert by_outcome(mapped, "ambiguous") == CLAIMED_TWICE
    assert by_outcome(mapped, "without_ensembl_id") == WITHOUT_ENSEMBL_ID
    known_to_hgnc = mapped.rows.height - len(NEVER_IN_HGNC)
    assert known_to_hgnc >= 12_462
    assert mapped.mapped.height == known_to_hgnc - len(CLAIMED_TWICE) - len(WITHOUT_ENSEMBL_ID)


def test_no_other_reference_has_an_ensembl_id_for_those_fifteen(starter: Reference) -> None:
    """NCBI's one id is another gene's, GENCODE has no such names, and older ids are not today's.

    An older gene table has ids for seven of them. Of such genes to which HGNC has given an id
    since, it was a different one for nearly all: so no id is borrowed from there.
    """
    lost = pl.col("symbol").is_in(list(WITHOUT_ENSEMBL_ID))
    info = read_gene_info(GENE_INFO).filter(lost).drop_nulls("ensembl_gene_id")
    genes = read_hgnc_complete_set(HGNC)
    owners = info.join(genes, on="ensembl_gene_id").select("symbol", "symbol_right").rows()
    assert owners == [("LINC00473", "PDE10A")]
    assert read_gencode(GENCODE).filter(lost).height == 0
    older = read_gene_types(GENE_TYPES).drop_nulls("symbol").filter(pl.col("symbol").is_unique())
    borrowed = (
        genes.filter(pl.col("ensembl_gene_id").is_null())
        .join(older, on="symbol")
        .join(starter.genes.drop_nulls("ensembl_gene_id"), on="hgnc_id", suffix="_today")
    )
    right = pl.col("ensembl_gene_id_right") == pl.col("ensembl_gene_id_today")
    assert borrowed.height >= 9
    assert borrowed.filter(right).height <= 2


def published_ids_and_expression() -> pl.DataFrame:
    with h5py.File(PBMC) as file:
        published = file["var"]["ensembl_id_10x_hg19"].asstr()[:]
        matrix = file["X"]
        share = np.bincount(matrix["indices"][:], weights=matrix["data"][:], minlength=32_738)
    names = [name for batch in gene_name_batches(PBMC)[1] for name in batch]
    return pl.DataFrame(
        {"input_id": names, "published": published.tolist(), "share": share / share.sum()}
    )


def compared(reference: Reference) -> pl.DataFrame:
    """PBMC's mapped symbols beside what their published id means: by_id, id_outcome.

    Each is mapped on its own; `share` is of the expression.
    """
    genes = published_ids_and_expression()
    names = Nomenclature(reference.index)
    by_symbol = names.map(genes["input_id"].to_list()).rows
    by_id = names.map(genes["published"].to_list()).rows
    return by_symbol.with_columns(
        genes["published"],
        genes["share"],
        by_id["ensembl_gene_id"].alias("by_id"),
        by_id["outcome"].alias("id_outcome"),
    ).filter(pl.col("ensembl_gene_id").is_not_null())


AGREES = pl.col("by_id").eq_missing(pl.col("ensembl_gene_id"))


def test_pbmc_symbols_against_the_ids_that_came_with_them() -> None:
    """What is compared is the gene of today that symbol and published id lead to.

    The ids are of 2013, and 2.6 % of them were retired since. An older gene table of Ensembl, which
    owes nothing to this file, tells by which name a retired id went; where that is one-to-one
    it leads to a gene. It also knows clone names of that time. Literal equality of the ids is
    97.4 %; every pair that does not meet is counted by the outcome of its symbol and of its id.
    """
    reference = read_snapshot([HGNC, GENE_INFO, GENE_TYPES])
    reached = compared(reference)
    assert reached["share"].sum() >= 0.97
    assert reached.filter(AGREES).height / reached.height >= 0.99
    literal = reached.filter(pl.col("published") == pl.col("ensembl_gene_id"))
    assert 0.97 <= literal.height / reached.height < 0.98
    strays = reached.filter(~AGREES)
    assert Counter(strays.select("outcome", "id_outcome").iter_rows()) == STRAYS
    assert compared_alive(reached) >= 0.996, "where the id is in use today"


def compared_alive(reached: pl.DataFrame) -> float:
    alive = reached.filter(pl.col("id_outcome") == "ensembl_id")
    return alive.filter(AGREES).height / alive.height


def test_the_starter_reference_maps_pbmc_and_errs_only_where_ids_are_of_two_genes(
    starter: Reference,
) -> None:
    reached = compared(starter)
    assert reached["share"].sum() >= 0.99
    comparable = reached.drop_nulls("by_id")
    assert comparable.filter(AGREES).height / comparable.height >= 0.993
    strays = comparable.filter(~AGREES)
    named = pl.col("by_id").is_in(starter.genes["ensembl_gene_id"].drop_nulls().implode())
    assert strays.filter(named).height <= 70
    assert strays.filter(~named).height <= 75, "in GENCODE today, for another gene than HGNC's"


def test_the_starter_reference_knows_gencode_49_but_for_what_is_newer(starter: Reference) -> None:
    ids = read_gencode(GENCODE)["ensembl_gene_id"].unique().sort()
    mapped = Nomenclature(starter.index).map(ids.to_list()).rows
    assert (ids.len(), mapped["ensembl_gene_id"].null_count()) == (78_691, 11)
    reached = mapped.drop_nulls("ensembl_gene_id")
    assert reached["ensembl_gene_id"].equals(reached["input_id"])
    unknown = mapped.filter(pl.col("ensembl_gene_id").is_null())["evidence"]
    assert unknown.str.contains("of a newer annotation than the reference's").all()


def test_ids_of_two_releases_are_distinguished_from_ids_of_one() -> None:
    names = Nomenclature(read_snapshot([HGNC, GENE_INFO, GENCODE, GENE_TYPES]).index)
    old = published_ids_and_expression()["published"].to_list()
    new = read_gencode(GENCODE)["ensembl_gene_id"].unique().sort().to_list()
    assert mixed_releases(names.map(old).rows) is None
    assert mixed_releases(names.map(new).rows) is None
    why = mixed_releases(names.map([*new, *set(old).difference(new)]).rows)
    assert why is not None
    assert "were retired and replaced" in why
    annexed = mixed_releases(names.map([*old, *new[-2_000:]]).rows)
    assert annexed is not None, "an old matrix with a few new ids is mixed, too"


def test_what_rectanglepys_unknown_names_are(real_archives: Archives, starter: Reference) -> None:
    """Of 3,372 names that HGNC does not know, 3,357 are clone names of an older Ensembl."""
    collection = real_archives.catalogue.collections["pbmc-hao"]
    symbols = parse_collection(real_archives, collection).symbols
    unknown = Nomenclature(starter.index).map(symbols).rows.filter(pl.col("outcome") == "unknown")
    kinds = Counter(unknown["evidence"].str.replace(r"of [\w.-]+,", "of …,"))
    assert kinds == {
        "a clone-based name of an older Ensembl release": 3_357,
        "no source knows it": 9,  # of ten, GENCODE names one
        "may be a further column of …, numbered to be unique": 5,
    }
    wide = Nomenclature(read_snapshot([HGNC, GENE_INFO, GENCODE, GENE_TYPES]).index)
    mapped = wide.map(unknown["input_id"].to_list())
    assert mapped.mapped.height >= 1_000, "by the name that one Ensembl id alone had or has"
    assert set(mapped.mapped["outcome"]) <= {"alias", "exact", "previous"}


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
    older = older_claims(before, starter.genes, "gene_info of 2020")
    wise = Nomenclature(replace(starter, further=pl.concat([starter.further, older])).index)
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
    mapped = today.map(spoilt["was"].to_list()).rows
    assert mapped["ensembl_gene_id"].to_list() == spoilt["ensembl_gene_id"].to_list()
    assert set(mapped["outcome"]) == {"previous"}


def test_gencode_and_gene_info_widen_what_is_known(starter: Reference) -> None:
    wide = Nomenclature(read_snapshot([HGNC, GENE_INFO, GENCODE]).index)
    assert wide.map_name("ENSG00000290825").outcome == "ensembl_id"
    assert wide.map_name("SOD2").ensembl_gene_id is not None
    for symbol in ("SHOX", "CRLF2", "CD99"):
        meaning = wide.map_name(symbol)
        assert (meaning.outcome, len(meaning.candidates)) == ("ambiguous", 2), symbol
    for many in ("Y_RNA", "Metazoa_SRP"):
        assert wide.map_name(many).ensembl_gene_id is None
