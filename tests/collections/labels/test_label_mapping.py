"""From a label to the term that it means."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest

from genept.collections.labels.label_mapping import (
    FIELDS,
    LabelMapper,
    MappedLabel,
    prefix_of,
)
from genept.collections.labels.label_terms import author_habits, declared_labels
from genept.datasources import OntologyTerm
from genept.datasources.download.archives import Archives
from genept.datasources.gene_ontology import ONTOLOGIES, read_ontology
from genept.schema.tables import LABEL_FIELDS, LABEL_OUTCOMES


def term(name: str, *synonyms: str, above: Sequence[str] = ()) -> OntologyTerm:
    return OntologyTerm(name, "", synonyms, dict.fromkeys(above, 1))


ONTOLOGY: Mapping[str, Mapping[str, OntologyTerm]] = {
    "CL": {
        "CL:1": term("T cell", "T lymphocyte"),
        "CL:2": term("CD4-positive, alpha-beta T cell"),
        "CL:3": term("CD14-positive monocyte"),
        "CL:4": term("endothelial cell", "shared name"),
        "CL:5": term("mast cell", "shared name"),
        "CL:6": term("effector memory CD8-positive, alpha-beta T cell"),
        "CL:7": term("B cell (Mmus)"),
        "CL:8": term("T lymphocyte of the gut", "T cell"),
    },
    "UBERON": {
        "UBERON:1": term("brain"),
        "UBERON:2": term("cerebellum", above=["UBERON:1"]),
        "UBERON:3": term("heart"),
        "UBERON:0002048": term("lung"),
    },
    "MONDO": {"MONDO:1": term("lung adenocarcinoma"), "MONDO:0005233": term("NSCLC")},
    "PATO": {
        "PATO:0000461": term("normal"),
        "PATO:0000384": term("male"),
        "PATO:9": term("brittle"),
    },
    "EFO": {
        "EFO:1": term("Smart-seq2", above=["EFO:0002772"]),
        "EFO:2": term("asthma"),
    },
    "CVCL": {
        "CVCL_1": term("PC-3"),
        "CVCL_2": term("PC3"),
        "CVCL_3": term("HH [Human lymphoma]"),
        "CVCL_4": term("HH [Bovine]"),
        "CVCL_5": term("NCI-H2369"),
        "CVCL_8": term("H236-9"),
        "CVCL_6": term("ML-1 [Human leukemia]"),
        "CVCL_7": term("ML-1 [Human bone marrow]"),
    },
}
MAPPER = LabelMapper(ONTOLOGY)


def mapped(field: str, label: str, collection: str = "mine") -> MappedLabel:
    (meaning,) = MAPPER.map_labels(collection, field, [label])
    assert meaning.label == label
    assert meaning.outcome in LABEL_OUTCOMES
    assert meaning.evidence
    return meaning


@pytest.mark.parametrize(
    ("field", "label", "outcome", "id_"),
    [
        ("cell_type", "t_cell", "name", "CL:1"),
        ("cell_type", "T lymphocyte", "synonym", "CL:1"),
        ("cell_type", "T cells", "spelling", "CL:1"),
        ("cell_type", "T_cells_CD4+", "abbreviation", "CL:2"),
        ("cell_type", "CD4 T", "abbreviation", "CL:2"),
        ("cell_type", "CD14 Mono", "abbreviation", "CL:3"),
        ("cell_type", "Endothelial", "abbreviation", "CL:4"),
        ("cell_type", "CD8 TEM", "abbreviation", "CL:6"),
        ("tissue", "Brain - Cerebellum", "spelling", "UBERON:2"),
        ("tissue", "other heart", "unmapped", None),
        ("tissue", "heart, other", "abbreviation", "UBERON:3"),
        ("tissue", "Heart - Cerebellum", "unmapped", None),
        ("tissue", "lung adenocarcinoma", "name", "MONDO:1"),
        ("diagnosis", "Healthy", "abbreviation", "PATO:0000461"),
        ("diagnosis", "brittle", "unmapped", None),
        ("sex", "M", "abbreviation", "PATO:0000384"),
        ("assay", "SmartSeq2", "spelling", "EFO:1"),
        ("assay", "asthma", "unmapped", None),
        ("cell_line", "HH", "spelling", "CVCL_3"),
        ("cell_line", "H2369", "spelling", "CVCL_5"),
        ("cell_line", "PC-3", "name", "CVCL_1"),
        ("cell_line", "697", "unmapped", None),
    ],
)
def test_the_first_rule_that_finds_a_term_decides(
    field: str, label: str, outcome: str, id_: str | None
) -> None:
    meaning = mapped(field, label)
    assert (meaning.outcome, meaning.term) == (outcome, id_)


@pytest.mark.parametrize("label", ["B cell", "T cel", "mastocyte", "endothelium", "CD14- Mono"])
def test_likeness_is_no_evidence(label: str) -> None:
    assert mapped("cell_type", label).outcome == "unmapped"


def test_a_synonym_of_several_terms_is_ambiguous() -> None:
    meaning = mapped("cell_type", "Shared name")
    assert (meaning.outcome, meaning.term) == ("ambiguous", None)
    assert meaning.candidates == ("CL:4", "CL:5")


def test_a_name_decides_where_it_is_a_synonym_of_another_term() -> None:
    assert mapped("cell_type", "T cell").term == "CL:1"


@pytest.mark.parametrize(
    "label",
    ["Unknown", "unassigned", "Cluster 12", "3", "Doublets", "Other cells", "cell line", "-"],
)
def test_labels_that_mean_no_term_are_explained(label: str) -> None:
    assert mapped("cell_type", label).outcome == "explained"


def test_names_of_lines_without_punctuation_are_not_taken_literally() -> None:
    written = ["PC3", "A549", "HT29", "K562", "MCF7"]
    assert MAPPER.map_labels("mine", "cell_line", written)[0].outcome == "ambiguous"
    with_signs = MAPPER.map_labels("mine", "cell_line", [*written, "U-2 OS"])
    assert (with_signs[0].outcome, with_signs[0].term) == ("name", "CVCL_2")


def test_lines_of_one_name_are_ambiguous() -> None:
    assert mapped("cell_line", "ML1").candidates == ("CVCL_6", "CVCL_7")


def test_what_a_collection_declares_comes_first() -> None:
    meaning = mapped("tissue", "lung_NSCLC", "gdsc")
    assert (meaning.outcome, meaning.ids) == ("declared", ("UBERON:0002048", "MONDO:0005233"))
    assert mapped("tissue", "soft_tissue", "gdsc").outcome == "explained"
    assert mapped("tissue", "lung_NSCLC").outcome == "unmapped"


def test_without_ontologies_every_label_says_so() -> None:
    for field in FIELDS:
        (meaning,) = LabelMapper({}).map_labels("gdsc", field, ["lung"])
        assert (meaning.outcome, meaning.term) == ("no_ontology", None)


def test_fields_are_those_of_the_table() -> None:
    assert tuple(FIELDS) == LABEL_FIELDS


def test_prefixes() -> None:
    assert [prefix_of(id_) for id_ in ("CL:0000236", "CVCL_0023")] == ["CL", "CVCL"]


# --- real ontologies ----------------------------------------------------------------------

FOLDER = Path(__file__).parent


@cache
def real_mapper(archives: Archives) -> LabelMapper:
    return LabelMapper({prefix: read_ontology(archives, prefix) for prefix in ONTOLOGIES})


def scores_of(mapper: LabelMapper, name: str) -> tuple[float, float, int]:
    """Precision, recall and number of labels of a list that was checked by hand."""
    by_field = defaultdict[str, dict[str, str]](dict)
    with (FOLDER / name).open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            by_field[row["field"]][row["label"]] = row["term"]
    pairs = [
        (meaning.term or "", labels[meaning.label])
        for field, labels in by_field.items()
        for meaning in mapper.map_labels("none", field, labels)
    ]
    right = sum(meaning == meant != "" for meaning, meant in pairs)
    n_mapped, n_meant = (sum(map(bool, column)) for column in zip(*pairs, strict=True))
    return right / n_mapped, right / n_meant, len(pairs)


@pytest.mark.index
@pytest.mark.parametrize(
    ("name", "n"), [("hand_checked_labels.tsv", 216), ("held_out_labels.tsv", 64)]
)
def test_labels_that_were_checked_by_hand(real_archives: Archives, name: str, n: int) -> None:
    precision, recall, n_labels = scores_of(real_mapper(real_archives), name)
    assert n_labels == n
    assert precision >= 0.97
    assert recall >= 0.9
    if name.startswith("hand"):
        assert precision >= 0.98


@pytest.mark.index
def test_every_declared_term_is_in_an_ontology(real_archives: Archives) -> None:
    mapper = real_mapper(real_archives)
    ids = {id_ for labels in declared_labels().values() for it in labels.values() for id_ in it.ids}
    ids |= {id_ for field in FIELDS for id_ in author_habits(field).codes.values()}
    assert not [id_ for id_ in sorted(ids) if id_ not in mapper.ontologies[prefix_of(id_)]]


@pytest.mark.index
def test_labels_by_which_nothing_can_be_meant_are_not_mapped(real_archives: Archives) -> None:
    """Random strings of letters, and names of fields, find no term by any rule."""
    mapper = real_mapper(real_archives)
    made_up = ["qzx", "n_counts", "percent.mt", "TRUE", "AAACATACAACCAC-1", "batch_7", "0.53"]
    for field in FIELDS:
        assert not [
            meaning for meaning in mapper.map_labels("none", field, made_up) if meaning.term
        ]
