"""Reading expression by text: planted genes of a text are found, dealt genes are not."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from genept.datasources.gene_ontology import OntologyTerm
from genept.embeddings.text_readings import readings
from genept.embeddings.text_readings.label_meanings import (
    MOST_TEXTS,
    LabelQuery,
    label_queries,
    similarity_matrix,
    words_of,
)
from genept.embeddings.text_readings.readings import (
    Reading,
    gene_weights,
    read_observations,
    structure_of,
)
from genept.embeddings.text_readings.similarities import text_similarity

ONTOLOGY = {
    "CL:1": OntologyTerm("cell", "", (), {}),
    "CL:2": OntologyTerm("lymphocyte", "A white cell.", ("lymph cell",), {"CL:1": 1}),
    "CL:3": OntologyTerm("B cell", "It makes antibodies.", (), {"CL:2": 1, "CL:1": 2}),
    "CL:4": OntologyTerm("T cell", "", (), {"CL:2": 1, "CL:1": 2}),
    "CL:5": OntologyTerm("neuron", "", (), {"CL:1": 1}),
}


def planted(n: int = 300, n_genes: int = 90, n_types: int = 3):
    """Counts in which a third of the genes is of each type, and vectors that say which."""
    rng = np.random.default_rng(0)
    types, of_gene = np.arange(n) % n_types, np.arange(n_genes) % n_types
    counts = rng.poisson(np.where(of_gene == types[:, None], 3.0, 1.0)).astype(np.float32)
    texts = rng.normal(size=(n_types, 20))
    vectors = texts[of_gene] + rng.normal(size=(n_genes, 20)) + 5.0
    queries = [(text + 5.0)[None, :].astype(np.float32) for text in texts]
    return csr_matrix(counts), types, vectors.astype(np.float32), queries


def test_observations_get_the_text_of_the_genes_that_they_express() -> None:
    counts, types, vectors, queries = planted()
    structure = structure_of(counts, "counts")
    similar = text_similarity(vectors, queries)
    assert (read_observations(structure, similar).best == types).mean() > 0.9
    rng = np.random.default_rng(1)
    dealt = [similar[rng.permutation(len(similar))] for _ in range(20)]
    by_chance = [(read_observations(structure, each).best == types).mean() for each in dealt]
    assert abs(np.mean(by_chance) - 1 / 3) < 0.15


def test_a_gene_without_a_description_counts_for_nothing() -> None:
    counts, types, vectors, queries = planted()
    similar = text_similarity(vectors, queries)
    similar[::4] = np.nan
    weights = gene_weights(similar)
    assert not weights[::4].any()
    assert (weights >= 0).all()
    np.testing.assert_allclose(np.linalg.norm(weights, axis=0), 1)
    reading = read_observations(structure_of(counts, "counts"), similar)
    assert (reading.best == types).mean() > 0.8


def test_without_any_description_nothing_is_read() -> None:
    counts, *_ = planted()
    reading = read_observations(structure_of(counts, "counts"), np.full((90, 3), np.nan))
    assert not reading.scores.any()
    assert (reading.answers == -1).all()


def test_what_does_not_stand_out_is_none_of_the_texts() -> None:
    reading = Reading(np.array([[2.0, 0.0, -1.0], [0.5, 0.5, 0.45]]))
    assert reading.answers.tolist() == [0, -1]
    np.testing.assert_allclose(reading.probabilities.sum(axis=1), 1)
    assert reading.probabilities[0, 0] > 0.99


def test_phrasings_are_averaged_and_the_mean_of_the_genes_is_taken_off() -> None:
    _, _, vectors, queries = planted()
    once = text_similarity(vectors, queries)
    twice = text_similarity(vectors, [np.vstack([query, query * 3]) for query in queries])
    np.testing.assert_allclose(once, twice, atol=1e-6)
    assert np.abs(once.mean()) < 0.2


def test_values_that_are_negative_are_read_in_their_unit() -> None:
    counts, types, vectors, queries = planted()
    dense = counts.toarray()
    scaled = csr_matrix((dense - dense.mean(axis=1, keepdims=True)).astype(np.float32))
    reading = read_observations(structure_of(scaled, "zscore"), text_similarity(vectors, queries))
    assert (reading.best == types).mean() > 0.9


def test_a_label_is_phrased_by_words_definition_and_synonyms() -> None:
    first, second, third = label_queries("mine", ["B_cells", "unheard of", "Lymph cell"], ONTOLOGY)
    assert first.texts(ONTOLOGY) == ["B cells", "B cell: It makes antibodies.", "B cell"]
    assert second == LabelQuery("unheard of", "unheard of", ())
    assert second.texts(ONTOLOGY) == ["unheard of"]
    assert third.terms == ("CL:2",)
    many = {"CL:9": OntologyTerm("x", "", tuple(f"name {n}" for n in range(50)), {})}
    assert len(LabelQuery("x", "x", ("CL:9",)).texts(many)) == MOST_TEXTS
    assert words_of("T_cells_CD4+") == "T cells CD4+"


def test_a_declared_label_means_what_is_declared() -> None:
    (query,) = label_queries("pbmc-hao", ["Tregs"])
    assert query.words == "regulatory T cell"
    assert query.terms == ("CL:0000815",)


def test_a_relative_is_nearer_than_a_stranger() -> None:
    queries = label_queries("mine", ["B cell", "T cell", "lymphocyte", "neuron", "?"], ONTOLOGY)
    alike = similarity_matrix(queries, ONTOLOGY)
    np.testing.assert_allclose(alike, alike.T)
    np.testing.assert_allclose(np.diag(alike), 1)
    assert alike[0, 2] == pytest.approx(2 / 3)
    assert alike[0, 2] > alike[0, 1] > alike[0, 3] > alike[0, 4] == 0


def test_of_many_observations_some_are_drawn_and_the_others_placed(monkeypatch) -> None:
    counts, types, vectors, queries = planted(n=600)
    similar = text_similarity(vectors, queries)
    whole = read_observations(structure_of(counts, "counts"), similar)
    monkeypatch.setattr(readings, "MOST_DECOMPOSED", 200)
    monkeypatch.setattr(readings, "PLACED_AT_ONCE", 64)
    structure = structure_of(counts, "counts")
    assert structure.scores.shape == (600, readings.COMPONENTS)
    some = read_observations(structure, similar)
    assert (some.best == types).mean() > 0.85
    assert (some.best == whole.best).mean() > 0.85
    again = structure_of(counts, "counts")
    np.testing.assert_array_equal(structure.scores, again.scores)


def test_a_label_may_be_the_id_of_a_term() -> None:
    (query,) = label_queries("mine", ["CL:3"], ONTOLOGY)
    assert query == LabelQuery("CL:3", "B cell", ("CL:3",))
    assert label_queries("mine", ["CL:3"])[0].terms == ()
