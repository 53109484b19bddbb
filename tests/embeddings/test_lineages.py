"""Lineages: own terms rank above those of others where genes say so, and not for shuffled genes."""

import numpy as np
import pytest
import scipy.sparse as sp

from genept.datasources.gene_ontology import OntologyTerm
from genept.embeddings.text_readings.group_effects import GroupEffects
from genept.embeddings.text_readings.group_terms import GeneSets
from genept.embeddings.text_readings.label_meanings import LabelQuery
from genept.embeddings.text_readings.lineages import Lineages, aurocs, lineage_bar

LYMPHOCYTE = {"CL:2": 1, "CL:1": 2}
ONTOLOGY = {
    "CL:1": OntologyTerm("cell", "", (), {}),
    "CL:2": OntologyTerm("lymphocyte", "", (), {"CL:1": 1}),
    "CL:3": OntologyTerm("B cell", "", (), LYMPHOCYTE),
    "CL:4": OntologyTerm("natural killer cell", "", (), LYMPHOCYTE),
    "CL:5": OntologyTerm("neuron", "", (), {"CL:1": 1}),
    **{f"CL:{at}": OntologyTerm(f"kind {at}", "", (), {"CL:1": 1}) for at in range(10, 40)},
}
B, NK, NEURON = (LabelQuery(id_, "", (id_,)) for id_ in ("CL:3", "CL:4", "CL:5"))


def test_a_lineage_is_what_is_above_a_label_and_is_not_general() -> None:
    lineages = Lineages(ONTOLOGY)
    assert lineages.of(B) == {"CL:2", "CL:3"}
    assert lineages.of(LabelQuery("x", "odd cell", ("CL:99",))) == {"odd cell"}
    assert Lineages({}).of(LabelQuery("B", "B cell", ("CL:3",))) == {"B cell"}


def test_candidates_are_the_lineages_of_own_and_declared_labels() -> None:
    known = ONTOLOGY | {"CL:0000236": OntologyTerm("declared B cell", "", (), {"CL:2": 1})}
    found = Lineages(known).candidates("cell_type", [NEURON, LabelQuery("x", "odd cell")])
    assert [query.label for query in found] == ["CL:0000236", "CL:2", "CL:5", "odd cell"]
    assert found[2] == LabelQuery("CL:5", "neuron", ("CL:5",))
    assert [it.label for it in Lineages(known).candidates("diagnosis", [B])] == ["CL:2", "CL:3"]
    assert [it.label for it in Lineages({}).candidates("cell_type", [B])] == [""]


def test_terms_are_named_after_the_longest_name_in_them() -> None:
    names = ["B cells in T cell zones", "Natural killer cell death", "killer cell", "sub-B cell"]
    named = Lineages(ONTOLOGY).named([B, NK, NEURON], names)
    assert named.tolist() == [[True, False, False, False], [False, True, False, False], [False] * 4]
    assert Lineages({}).named([], names).shape == (0, 4)


def planted(strength: float, n_genes: int = 300) -> tuple[GroupEffects, GeneSets, np.ndarray]:
    """Three groups with four terms each, whose genes are higher in the group."""
    rng = np.random.default_rng(0)
    matrix, own = sp.lil_matrix((12, n_genes)), np.zeros((3, 12), np.bool_)
    effect = rng.standard_normal((3, n_genes))
    for term in range(12):
        genes = rng.choice(n_genes, 15, replace=False)
        matrix[term, genes] = 1
        own[term % 3, term] = True
        effect[term % 3, genes] += strength
    residuals = rng.standard_normal((100, n_genes)).astype(np.float32)
    effects = GroupEffects(np.arange(n_genes), np.full(3, 30), 90, effect, effect, residuals)
    names = tuple(str(term) for term in range(12))
    return effects, GeneSets(names, sp.csr_matrix(matrix), np.ones(n_genes, np.bool_)), own


def test_own_terms_rank_above_and_shuffled_genes_do_not() -> None:
    effects, sets, own = planted(1.5)
    bar = lineage_bar(effects, sets, own, ["a", "b", "c"])
    assert bar is not None
    assert bar.labels == ("a", "b", "c")
    scores = bar.scores
    assert scores["own"][1] > 0.9
    assert (bar.others < 0.5).all()
    mean, low, high = scores["shuffled"]
    assert abs(mean - 0.5) < 0.05
    assert low < 0.5 < high < scores["own"][1]


def test_without_a_difference_nothing_ranks_above() -> None:
    effects, sets, own = planted(0.0)
    bar = lineage_bar(effects, sets, own, ["a", "b", "c"])
    assert bar is not None
    assert 0.25 < bar.scores["own"][0] < 0.75


def test_terms_of_all_groups_or_of_none_are_not_compared() -> None:
    effects, sets, own = planted(1.5)
    own[:, 0], own[:, 1] = True, False
    bar = lineage_bar(effects, sets, own, ["a", "b", "c"])
    assert bar is not None
    assert bar.n_terms == 10
    own[2] = False  # two groups are too few
    assert lineage_bar(effects, sets, own, ["a", "b", "c"]) is None


@pytest.mark.parametrize(
    ("scores", "expected"), [([3, 2, 1], 1.0), ([1, 2, 3], 0.0), ([1, 1, 1], 0.5)]
)
def test_aurocs_count_pairs(scores: list[float], expected: float) -> None:
    own = np.array([[True, False, False]])
    assert aurocs(np.array([scores], float), own).tolist() == [expected]
