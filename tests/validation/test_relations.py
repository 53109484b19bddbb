"""Genes in a table must be in the reference; expression must fit its axis and observations."""

import polars as pl
import pytest
from declared_rows import declared_frame

from genept.schema.tables import TABLES
from genept.storage.lake import Lake
from genept.storage.provenance import NewPart, Origin, StoredTable
from validation.checks import duplicate_targets, expression_findings, unknown_genes


def stored(lake: Lake, name: str, rows: pl.DataFrame, *partition: str) -> StoredTable:
    origin = Origin(("genept.schema.tables",), {"rows": str(rows.hash_rows().to_list())})
    parts = lake.build(f"{name}/planted", origin, lambda: [NewPart(name, rows, partition)])
    return lake.assemble(name, parts)


def axis(lake: Lake, *genes: str) -> StoredTable:
    rows = declared_frame(TABLES["gene_axis"], len(genes)).with_columns(
        pl.lit("c").alias("collection_id"),
        pl.Series("gene_index", range(len(genes)), pl.UInt32),
        pl.Series("ensembl_gene_id", genes),
    )
    return stored(lake, "gene_axis", rows, "c")


@pytest.fixture
def genes(lake: Lake) -> StoredTable:
    rows = declared_frame(TABLES["genes"], 3)
    return stored(lake, "genes", rows)


def test_known_genes_pass(lake: Lake, genes: StoredTable) -> None:
    known = lake.read(genes)["ensembl_gene_id"].to_list()
    assert unknown_genes(lake, axis(lake, *known), genes) == []
    assert duplicate_targets(lake, axis(lake, *known)) == []


def test_a_gene_that_the_reference_lacks_is_named(lake: Lake, genes: StoredTable) -> None:
    known = lake.read(genes)["ensembl_gene_id"].to_list()
    (finding,) = unknown_genes(lake, axis(lake, known[0], "ENSG99999999999"), genes)
    assert finding == "c: 1 genes are not in the reference, such as ENSG99999999999"


def test_a_gene_that_is_on_an_axis_twice_is_named(lake: Lake, genes: StoredTable) -> None:
    known = lake.read(genes)["ensembl_gene_id"].to_list()
    (finding,) = duplicate_targets(lake, axis(lake, known[0], known[1], known[0]))
    assert finding == f"c: 2 positions share a gene, such as {known[0]}"


def expression(lake: Lake, *lists: tuple[list[int], list[float]]) -> StoredTable:
    rows = declared_frame(TABLES["expression"], len(lists)).with_columns(
        pl.lit("c").alias("collection_id"),
        pl.Series("observation_id", [f"o{i}" for i in range(len(lists))]),
        pl.Series("gene_index", [row[0] for row in lists], pl.List(pl.UInt32)),
        pl.Series("value", [row[1] for row in lists], pl.List(pl.Float32)),
    )
    return stored(lake, "expression", rows, "c")


def observations(lake: Lake, *ids: str) -> StoredTable:
    rows = declared_frame(TABLES["observations"], len(ids)).with_columns(
        pl.lit("c").alias("collection_id"), pl.Series("observation_id", ids)
    )
    return stored(lake, "observations", rows, "c")


@pytest.mark.parametrize(
    "wrong", [([0, 2], [1.0, 1.0]), ([1, 0], [1.0, 1.0]), ([0, 0], [1.0, 1.0]), ([0], [1.0, 2.0])]
)
def test_lists_that_are_not_csr_rows_are_counted(lake: Lake, genes: StoredTable, wrong) -> None:
    two_genes = axis(lake, *lake.read(genes)["ensembl_gene_id"].to_list()[:2])
    right = ([0, 1], [1.0, 2.0])
    observed = observations(lake, "o0", "o1")
    assert expression_findings(lake, expression(lake, right, right), two_genes, observed) == []
    (finding,) = expression_findings(lake, expression(lake, right, wrong), two_genes, observed)
    assert finding.startswith("c: 1 rows whose gene_index is not ascending")


def test_expression_and_observations_must_be_of_the_same_ids(
    lake: Lake, genes: StoredTable
) -> None:
    two_genes = axis(lake, *lake.read(genes)["ensembl_gene_id"].to_list()[:2])
    rows = expression(lake, ([0], [1.0]), ([1], [1.0]))
    (finding,) = expression_findings(lake, rows, two_genes, observations(lake, "o0", "o2"))
    assert "differ from those in table observations" in finding
