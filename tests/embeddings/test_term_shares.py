"""What a text means of types by the names of ontology terms below and above them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from genept.datasources.gene_ontology import OntologyTerm
from genept.embeddings.text_readings import term_shares
from genept.embeddings.text_readings.label_meanings import LabelQuery
from genept.embeddings.text_readings.term_shares import shares_through_terms, type_terms

ONTOLOGY = {
    "CL:0": OntologyTerm("cell", "", (), {}),
    "CL:1": OntologyTerm("T cell", "", ("T lymphocyte",), {"CL:0": 1}),
    "CL:2": OntologyTerm("CD4 T cell", "", (), {"CL:1": 1, "CL:0": 2}),
    "CL:3": OntologyTerm("helper T cell", "", ("Th",), {"CL:2": 1, "CL:1": 2, "CL:0": 3}),
    "CL:4": OntologyTerm("regulatory T cell", "", (), {"CL:2": 1, "CL:1": 2, "CL:0": 3}),
    "CL:5": OntologyTerm("CD8 T cell", "", (), {"CL:1": 1, "CL:0": 2}),
    "CL:6": OntologyTerm("neuron", "", (), {"CL:0": 1}),
}
QUERIES = [
    LabelQuery("CD4", "CD4 T cell", ("CL:2",)),
    LabelQuery("Treg", "regulatory T cell", ("CL:4",)),
    LabelQuery("CD8", "CD8 T cell", ("CL:5",)),
    LabelQuery("mystery", "mystery cells"),
]


def shares_of(terms, name: str) -> list[float]:
    """Shares of a text that is a name, and unlike every other name."""
    vectors = np.eye(len(terms.names))
    return shares_through_terms([terms], [vectors], vectors[terms.names.index(name)])[0].tolist()


def test_terms_below_a_type_are_all_of_it_and_of_the_most_specific() -> None:
    terms = type_terms(QUERIES, ONTOLOGY)
    assert set(terms.terms) == {"CL:0", "CL:1", "CL:2", "CL:3", "CL:4", "CL:5", "mystery"}
    assert_allclose(terms.shares.sum(axis=1), 1)
    of = dict(zip(terms.terms, terms.shares.tolist(), strict=True))
    assert of["CL:3"] == [1, 0, 0, 0]
    assert of["CL:4"] == [0, 1, 0, 0]
    assert of["mystery"] == [0, 0, 0, 1]
    assert_allclose(of["CL:1"], [3 / 5, 1 / 5, 1 / 5, 0])  # terms in common: 3, 1 and 1


def test_a_text_means_the_type_above_the_term_that_it_names() -> None:
    terms = type_terms(QUERIES, ONTOLOGY)
    assert int(np.argmax(shares_of(terms, "Th"))) == 0
    assert int(np.argmax(shares_of(terms, "regulatory T cell"))) == 1
    assert int(np.argmax(shares_of(terms, "mystery cells"))) == 3
    assert shares_of(terms, "T lymphocyte")[0] > 0.5


def test_terms_of_all_collections_are_rivals_and_shared_ones_count_in_each() -> None:
    first = type_terms(QUERIES[:1], ONTOLOGY)
    second = type_terms([LabelQuery("neurons", "neuron", ("CL:6",))], ONTOLOGY)
    every = tuple(dict.fromkeys(first.names + second.names))
    texts = dict(zip(every, np.eye(len(every)), strict=True))
    names = [np.array([texts[name] for name in of.names]) for of in (first, second)]
    helper, neuron = shares_through_terms([first, second], names, texts["Th"])
    assert helper[0] > 0.9
    assert neuron[0] < 0.1
    helper, neuron = shares_through_terms([first, second], names, texts["cell"])
    assert helper[0] == pytest.approx(neuron[0], abs=0.01)


def test_of_many_terms_the_nearest_to_types_are_compared(monkeypatch) -> None:
    monkeypatch.setattr(term_shares, "MOST_TERMS", 4)
    terms = type_terms(QUERIES, ONTOLOGY)
    assert set(terms.terms) == {"CL:2", "CL:4", "CL:5", "mystery", "CL:1"}


def test_without_an_ontology_types_are_their_words() -> None:
    terms = type_terms(QUERIES, {})
    assert terms.terms == ("CD4", "Treg", "CD8", "mystery")
    assert terms.names == tuple(query.words for query in QUERIES)
    assert terms.shares.tolist() == np.eye(4).tolist()
