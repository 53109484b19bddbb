"""What is known of drugs, and which of them are one compound."""

from __future__ import annotations

import polars as pl
import pytest
from declared_rows import declared_frame

from genept.models.unscreened_drugs.known_drugs import Drugs
from genept.schema.tables import TABLES


def table(name: str, *rows: dict[str, object]) -> pl.DataFrame:
    """Rows of a table; columns that are not given are null."""
    return pl.DataFrame(list(rows), schema=declared_frame(TABLES[name], 1).schema)


DRUGS = table(
    "drugs",
    {
        "drug_id": "A-1", "compound": "Able", "synonyms": ["AB-1234"], "smiles": "CCO",
        "pathway": "Cell cycle",
    },
    {"drug_id": "B-1", "synonyms": [], "pathway": "Unclassified"},
)  # fmt: skip
TARGETS = table(
    "drug_targets",
    {"drug_id": "A-1", "token": "MEK1", "member": "MAP2K1", "ensembl_gene_id": "ENSG00000000001"},
    {"drug_id": "A-1", "token": "MAP2K1", "member": "MAP2K1", "ensembl_gene_id": "ENSG00000000001"},
    {"drug_id": "A-1", "token": "DNA", "member": "DNA", "group": "DNA crosslinking"},
    {"drug_id": "A-1", "token": "others", "member": "others"},
    {"drug_id": "B-1", "token": "others", "member": "others"},
)


def test_drugs_are_taken_from_their_tables_in_the_order_asked_for() -> None:
    drugs = Drugs.of(DRUGS, TARGETS, ["B-1", "nobody", "A-1"])
    assert drugs.names == ("B-1", "nobody", "A-1")
    assert drugs.targets == (
        frozenset(), frozenset(), frozenset({"ENSG00000000001", "DNA crosslinking"}),
    )  # fmt: skip
    assert drugs.smiles == (None, None, "CCO")
    assert drugs.pathways == (None, None, "Cell cycle"), "unclassified is no label"
    assert drugs.synonyms[2] == ("AB-1234", "Able")
    assert drugs.take([2, 0]).names == ("A-1", "B-1")
    assert drugs.take([2]).targets == drugs.targets[2:]
    more = drugs.with_drug("new", frozenset({"ENSG00000000002"}), None)
    assert more.names == (*drugs.names, "new")
    assert more.targets[3] == {"ENSG00000000002"}
    assert more.take(range(3)) == drugs


def named(*drugs: tuple[str, tuple[str, ...], str | None]) -> Drugs:
    names, synonyms, smiles = zip(*drugs, strict=True)
    return Drugs(names, synonyms, (frozenset(),) * len(drugs), smiles, (None,) * len(drugs))


def test_one_compound_by_a_name_a_synonym_or_a_structure() -> None:
    drugs = named(
        ("AZD-6244", (), None), ("Selumetinib", ("azd6244",), None), ("other", (), "CCO"),
        ("AZD 6244", (), None), ("X", (), "CCO"), ("Y", ("z-9",), "CCN"), ("Z9", ("",), None),
        ("alone", (), None),
    )  # fmt: skip
    groups = drugs.compounds.tolist()
    assert [groups.index(group) for group in groups] == [0, 0, 2, 0, 2, 5, 5, 7]


def test_a_structure_is_no_name() -> None:
    first, second = named(("CCO", (), None), ("X", (), "CCO")).compounds
    assert first != second


@pytest.mark.parametrize("name", ["–", "???"])
def test_a_name_without_letters_is_a_compound_of_its_own(name: str) -> None:
    groups = named((name, (), None), ("X", (), None)).compounds.tolist()
    assert groups == [name, "X"]


def test_drugs_share_a_target_by_gene_or_by_group() -> None:
    targets = (frozenset({"g1", "g2"}), frozenset({"g2"}), frozenset({"DNA"}), frozenset())
    drugs = Drugs(("a", "b", "c", "d"), ((),) * 4, targets, (None,) * 4, (None,) * 4)
    assert drugs.shares_target().astype(int).tolist() == [
        [1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1],
    ]  # fmt: skip
