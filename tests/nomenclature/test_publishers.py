"""Two references side by side; and which retired id has one successor."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted import gene, reference_of

from genept.nomenclature.publishers import reference_differences, retired_successors
from genept.nomenclature.snapshots import touched_collections

ONE, TWO, THREE, FOUR = (f"ENSG{number:011d}" for number in (1, 2, 3, 4))


def changes(before, after):
    return reference_differences(reference_of(*before), reference_of(*after)).rows()


def successors(before, after):
    return retired_successors(reference_of(*before), reference_of(*after)).rows()


def with_id(number, ensembl):
    return gene(number, f"G{number}", ensembl_gene_id=ensembl)


def test_every_kind_of_change():
    before = [gene(1, "OLD"), with_id(2, None), gene(3, "SWALLOWED"), gene(4, "GONE"), gene(5, "E")]
    after = [
        gene(1, "NEW", previous_symbols=["OLD"]),
        with_id(2, TWO),
        gene(5, "E", aliases=["SWALLOWED"]),
        gene(6, "BORN"),
    ]
    five, six = "ENSG00000000005", "ENSG00000000006"
    assert changes(before, after) == [
        ("ensembl_changed", "HGNC:2", "G2", "G2", None, TWO),
        ("gained", "HGNC:6", None, "BORN", None, six),
        ("lost", "HGNC:4", "GONE", None, FOUR, None),
        ("merged", "HGNC:3", "SWALLOWED", "E", THREE, five),
        ("renamed", "HGNC:1", "OLD", "NEW", ONE, ONE),
    ]


def test_an_id_that_went_away_is_a_change_too():
    assert changes([with_id(1, ONE)], [with_id(1, None)]) == [
        ("ensembl_changed", "HGNC:1", "G1", "G1", ONE, None)
    ]
    assert changes([with_id(1, None)], [with_id(1, None)]) == []


def test_a_gene_can_change_in_two_ways():
    rows = changes([gene(1, "A")], [gene(1, "B", ensembl_gene_id=TWO)])
    assert [row[0] for row in rows] == ["ensembl_changed", "renamed"]


def test_a_lost_symbol_that_two_genes_list_was_not_merged():
    after = [gene(2, "B", aliases=["A"]), gene(3, "C", previous_symbols=["A"])]
    assert [row[0] for row in changes([gene(1, "A"), *after], after)] == ["lost"]


def test_genes_without_accession_are_not_compared():
    assert changes([gene(1, "A", hgnc_id=None)], []) == []


@given(st.lists(st.sampled_from("ABCDEF"), unique=True))
def test_a_reference_does_not_differ_from_itself(symbols):
    genes = reference_of(*(gene(i, s, aliases=["X"]) for i, s in enumerate(symbols)))
    assert reference_differences(genes, genes.reverse()).is_empty()
    assert retired_successors(genes, genes).is_empty()


def test_a_retired_id_has_a_successor_if_one_gene_moved():
    assert successors([with_id(1, ONE)], [with_id(1, TWO)]) == [(ONE, TWO, "G1")]
    assert successors([gene(1, "A")], [gene(1, "B", ensembl_gene_id=TWO)]) == [(ONE, TWO, "B")]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param([(1, ONE), (2, TWO)], [(1, TWO), (2, ONE)], id="two genes swap"),
        pytest.param([(1, ONE), (2, TWO)], [(1, THREE), (2, THREE)], id="two old, one new"),
        pytest.param([(1, ONE), (2, ONE)], [(1, TWO), (2, THREE)], id="one old, two new"),
        pytest.param([(1, ONE), (2, ONE)], [(1, TWO), (2, None)], id="the other lost the id"),
        pytest.param([(1, ONE), (2, ONE)], [(1, TWO)], id="the other is gone"),
        pytest.param([(1, ONE), (2, None)], [(1, TWO), (2, ONE)], id="old id in use elsewhere"),
        pytest.param([(1, ONE)], [(1, TWO), (3, ONE)], id="old id in use by a newcomer"),
        pytest.param([(1, ONE), (2, TWO)], [(1, TWO), (2, THREE)], id="a chain"),
        pytest.param([(1, ONE)], [(1, None)], id="to nothing"),
        pytest.param([(1, None)], [(1, ONE)], id="from nothing"),
        pytest.param([(1, ONE)], [], id="gene gone"),
    ],
)
def test_whatever_is_not_one_to_one_has_no_successor(before, after):
    retired = successors([with_id(*pair) for pair in before], [with_id(*pair) for pair in after])
    assert retired == []


def test_which_collections_the_changes_concern():
    differences = reference_differences(
        reference_of(gene(1, "A"), gene(2, "B")),
        reference_of(gene(1, "A", ensembl_gene_id=THREE), gene(2, "C")),
    )
    mapping = pl.DataFrame(
        [
            ("pbmc", "A", ONE, 0.25),
            ("pbmc", "also A", ONE, 0.125),
            ("pbmc", "B", TWO, 0.5),
            ("pbmc", "lost", None, 0.125),
            ("gdsc", "new", THREE, 0.25),
            ("brca", "other", FOUR, 1.0),
        ],
        schema=["collection_id", "input_id", "ensembl_gene_id", "expression_share"],
        orient="row",
    )
    assert touched_collections(differences, mapping).rows() == [
        ("gdsc", "ensembl_changed", 1, 0.25),
        ("pbmc", "ensembl_changed", 2, 0.375),
        ("pbmc", "renamed", 1, 0.5),
    ]
