"""Gene vectors in memory: looked up, centred, read from a lake."""

import numpy as np
import pytest
from planted import MINILM, RANDOM, embedded

from genept.embeddings import KnownVectors, read_spaces
from genept.storage.lake import Lake

A, B, C, UNKNOWN = (f"ENSG{number:011d}" for number in (1, 2, 3, 9))
VECTORS = np.array([[3.0, 0.0], [0.0, 4.0], [1.0, 1.0]], np.float32)


@pytest.fixture
def space() -> KnownVectors:
    return KnownVectors.of([A, B, C], VECTORS)


def test_the_centre_is_the_mean_of_the_genes_that_have_a_vector(space: KnownVectors) -> None:
    assert space.centre([A, B, UNKNOWN]).tolist() == [1.5, 2.0]
    assert space.centre([UNKNOWN]).tolist() == [0.0, 0.0]
    assert space.centre([]).tolist() == [0.0, 0.0]


def test_centred_vectors_have_unit_length_and_unknown_genes_are_zero(space: KnownVectors) -> None:
    centred = space.centred([B, UNKNOWN, A], np.zeros(2))
    assert centred.tolist() == [[0.0, 1.0], [0.0, 0.0], [1.0, 0.0]]
    assert centred.dtype == np.float32
    shifted = space.centred([A], np.array([0.0, 4.0]))
    np.testing.assert_allclose(shifted, [[0.6, -0.8]], rtol=1e-6)
    assert space.centred([A], np.array([3.0, 0.0])).tolist() == [[0.0, 0.0]], "it is the centre"


def test_spaces_are_read_in_the_order_asked_for_and_without_those_that_lack(lake: Lake) -> None:
    parts = {space.id: embedded(lake, space, [A, B, C]) for space in (MINILM, RANDOM)}
    spaces = read_spaces(lake, parts, [RANDOM.id, "lsa-384/name-ncbi-go", MINILM.id])
    assert list(spaces) == [RANDOM.id, MINILM.id]
    stored = lake.read(parts[MINILM.id])
    own = spaces[MINILM.id]
    for gene, vector in stored.select("ensembl_gene_id", "embedding").iter_rows():
        assert own.vectors[own.number[gene]].tolist() == list(vector)
    assert set(own.number) == {A, B, C}
    assert read_spaces(lake, {}, [MINILM.id]) == {}
