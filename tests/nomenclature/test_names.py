"""Who a name belongs to: the ladder of claims, ambiguity, and the wording of the reason."""

import itertools

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted import gene, reference_of

from genept.nomenclature.names import CLAIM_SCHEMA, INDEX_SCHEMA, gene_claims, name_index

ONE, TWO, THREE = (f"ENSG{number:011d}" for number in (1, 2, 3))
LADDER = [
    *("ensembl_id", "exact", "entrez_id", "previous", "alias", "synonym"),
    *("retired_successor", "withdrawn"),
]  # fmt: skip


def claim(kind, ensembl=ONE, *, name="X", symbol="A", source="HGNC"):
    return (name, kind, symbol, ensembl, source)


def settled(*claims):
    return name_index(pl.DataFrame(claims, schema=CLAIM_SCHEMA, orient="row"))


def meaning(*claims):
    return settled(*claims).select("outcome", "ensembl_gene_id", "candidates").row(0)


@pytest.mark.parametrize(("strong", "weak"), list(itertools.combinations(LADDER, 2)))
def test_a_stronger_claim_wins_whoever_makes_the_weaker(strong, weak):
    assert meaning(claim(weak, TWO), claim(strong, ONE)) == meaning(claim(strong, ONE))


@pytest.mark.parametrize("kind", LADDER[:-1])
def test_equally_strong_claims_of_two_genes_are_ambiguous(kind):
    assert meaning(claim(kind, TWO), claim(kind, ONE)) == ("ambiguous", None, [ONE, TWO])
    assert meaning(claim(kind), claim(kind)) == meaning(claim(kind))


@pytest.mark.parametrize("name", ["X", "SEPT2", "MARCH11", "DEC1"])
def test_what_was_approved_once_beats_what_was_only_seen_in_use(name):
    old, alias = claim("previous", name=name), claim("alias", TWO, name=name)
    assert meaning(alias, old) == ("previous", ONE, [])
    assert meaning(old, claim("exact", TWO, name=name)) == ("exact", TWO, [])
    assert meaning(old, claim("previous", TWO, name=name))[0] == "ambiguous"
    assert meaning(claim("synonym", name=name)) == ("alias", ONE, [])


@pytest.mark.parametrize("name", ["NA", "nan", "NONE"])
def test_what_tables_write_for_a_missing_value_is_nobodys_old_name(name):
    assert meaning(claim("previous", name=name)) == ("ambiguous", None, [ONE])
    assert "missing value" in settled(claim("alias", name=name))["evidence"][0]
    assert meaning(claim("exact", name=name)) == ("exact", ONE, [])
    assert meaning(claim("withdrawn", None, name=name)) == ("withdrawn", None, [])


def test_genes_that_share_an_id_agree_and_genes_without_one_do_not():
    assert meaning(claim("alias", symbol="A"), claim("alias", symbol="B")) == ("alias", ONE, [])
    assert meaning(claim("alias"), claim("alias", None)) == ("ambiguous", None, [ONE])
    assert meaning(claim("exact", None)) == ("without_ensembl_id", None, [])
    assert meaning(claim("exact", None), claim("alias", TWO)) == ("without_ensembl_id", None, [])


def test_withdrawn_and_retired():
    gone = ("X", "withdrawn", None, None, "NCBI")
    assert settled(gone).row(0) == ("X", "withdrawn", None, [], "withdrawn (NCBI)")
    assert meaning(gone, claim("retired_successor", TWO)) == ("retired_successor", TWO, [])


@pytest.mark.parametrize("kind", LADDER[:-1])
def test_the_evidence_names_gene_and_source(kind):
    (evidence,) = settled(claim(kind, symbol="TP53", source="HGNC June"))["evidence"]
    assert evidence.endswith("TP53 (HGNC June)")
    nameless = settled(("X", kind, None, ONE, "GENCODE"))["evidence"][0]
    assert nameless.endswith("a gene that has no name (GENCODE)")


def test_the_evidence_tells_of_everybody():
    first, second = claim("alias"), claim("alias", TWO, symbol="B", source="NCBI")
    assert settled(second, first)["evidence"].to_list() == ["alias of A (HGNC); alias of B (NCBI)"]
    weaker = claim("synonym", TWO, symbol="B", source="NCBI")
    assert settled(weaker, first)["evidence"].to_list() == [
        "alias of A (HGNC); also NCBI synonym of B (NCBI)"
    ]
    again = claim("synonym", source="NCBI")
    assert settled(again, first)["evidence"].to_list() == ["alias of A (HGNC)"]


def test_the_claims_of_a_genes_own_record():
    rows = gene_claims(
        reference_of(
            gene(1, "A", aliases=["", "B"], previous_symbols=["C"]),
            gene(2, "D", ensembl_gene_id=None, entrez_id=None),
        ),
        "HGNC",
    )
    assert sorted(rows.select("name", "kind", "gene").rows()) == [
        ("1", "entrez_id", "A"),
        ("A", "exact", "A"),
        ("B", "alias", "A"),
        ("C", "previous", "A"),
        ("D", "exact", "D"),
        (ONE, "ensembl_id", "A"),
    ]


CLAIMS = st.lists(
    st.builds(
        claim,
        st.sampled_from(LADDER[:-1]),
        st.sampled_from([ONE, TWO, THREE, None]),
        name=st.sampled_from(["X", "Y", "SEPT2", "b"]),
        symbol=st.sampled_from(["A", "B"]),
        source=st.sampled_from(["HGNC", "NCBI"]),
    ),
    max_size=12,
)


@given(CLAIMS, st.randoms(use_true_random=False))
def test_order_and_repetition_of_claims_change_nothing(claims, random):
    index = settled(*claims)
    doubled = [*claims, *claims]
    random.shuffle(doubled)
    assert settled(*doubled).equals(index)
    assert index.schema == pl.Schema(INDEX_SCHEMA)
    assert index["name"].to_list() == sorted({first[0] for first in claims})
    for _, outcome, ensembl, candidates, _ in index.iter_rows():
        assert (ensembl is None) or candidates == []
        assert (outcome == "ambiguous") == bool(candidates)
