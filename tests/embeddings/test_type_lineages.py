"""Lineages of types and texts: relatives are alike, and what has no term is like nothing."""

import numpy as np
from numpy.testing import assert_allclose

from genept.datasources.gene_ontology import OntologyTerm
from genept.embeddings.text_readings.type_lineages import (
    LENGTH,
    beside_lineages,
    lineage_of_text,
    lineage_vectors,
)

ONTOLOGY = {
    "CL:0": OntologyTerm("cell", "", (), {}),
    "CL:1": OntologyTerm("T cell", "", (), {"CL:0": 1}),
    "CL:2": OntologyTerm("CD4 T cell", "", (), {"CL:1": 1, "CL:0": 2}),
    "CL:3": OntologyTerm("CD8 T cell", "", (), {"CL:1": 1, "CL:0": 2}),
    "CL:4": OntologyTerm("neuron", "", (), {"CL:0": 1}),
    "UBERON:0": OntologyTerm("lung", "", (), {}),
    "UBERON:1": OntologyTerm("lobe of lung", "", (), {"UBERON:0": 1}),
}
TERMS = [("CL:2",), ("CL:3",), ("CL:4",), (), ("UBERON:1",), ("CL:gone",)]


def test_relatives_are_alike_and_roots_say_nothing() -> None:
    vectors = lineage_vectors(TERMS, ONTOLOGY)
    alike = vectors @ vectors.T
    assert_allclose(np.diag(alike), [1, 1, 1, 0, 1, 0])
    specific, shared = np.log(5 / 1), np.log(5 / 3)  # of five cells one is at CD4, three at T
    assert_allclose(alike[0, 1], shared**2 / (specific**2 + shared**2))
    assert_allclose(alike[0, 2:], 0, atol=1e-12)  # the root is above both, and weighs nothing


def test_a_text_stands_where_the_terms_that_it_may_mean_stand() -> None:
    types, text = lineage_of_text({"CL:2": 0.9, "CL:3": 0.1, "a label": 0.0}, TERMS, ONTOLOGY)
    near = types @ text
    assert near.argmax() == 0
    assert near[0] > near[1] > near[2]
    assert near[0] > 0.9
    _, vague = lineage_of_text(dict.fromkeys(["CL:2", "CL:4", "UBERON:1"], 1 / 3), TERMS, ONTOLOGY)
    assert not vague.any()


def test_similarities_of_texts_and_lineages_add_up() -> None:
    texts, lineages = np.eye(2), np.array([[1.0, 0.0], [0.6, 0.8]])
    both = beside_lineages(texts, lineages)
    assert_allclose(both @ both.T, texts @ texts.T + LENGTH**2 * lineages @ lineages.T)
    assert_allclose(beside_lineages(texts, lineages[:, :0]), texts)
