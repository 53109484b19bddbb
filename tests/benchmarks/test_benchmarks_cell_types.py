"""The cell task: planted types are found, noise stays at chance, ties and bad input are settled."""

import numpy as np
import polars as pl
import pytest
from scipy.sparse import csr_matrix
from sklearn.neighbors import NearestNeighbors

from genept.benchmarks.cell_types import (
    _nearest,
    _vote,
    annotate_cells,
    cell_type_scores,
    centred,
    expression_pca,
    split_cells,
)
from genept.tables import TABLES

TYPES = np.array(["B", "Mono", "NK", "T"])


def planted(n=400, d=30, strength=2.0, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, len(TYPES), n)
    centres = rng.normal(size=(len(TYPES), d))
    vectors = strength * centres[codes] + rng.normal(size=(n, d))
    return vectors.astype(np.float32), list(TYPES[codes])


def test_planted_types_are_found_and_noise_is_at_chance():
    signal, labels = planted()
    noises = {f"noise-{seed}": planted(strength=0.0, seed=seed)[0] for seed in range(1, 11)}
    frame = cell_type_scores({"signal": signal} | noises, labels, "pbmc", noises)
    recall = frame.filter(metric="macro_recall").rows_by_key(
        "representation", named=True, unique=True
    )
    assert recall["signal"]["ci_low"] > 0.9
    assert recall["majority-class"]["value"] == 0.25
    # A 95 % interval misses now and then: of ten, eight must hold chance.
    assert sum(recall[name]["ci_low"] < 0.25 < recall[name]["ci_high"] for name in noises) >= 8


def test_rows_are_those_of_the_declared_table():
    signal, labels = planted(n=80)
    frame = cell_type_scores({"space": signal, "random": signal[::-1]}, labels, "c", ["random"])
    declared = TABLES["benchmark_results"]
    assert frame.schema == pl.from_arrow(declared.schema().empty_table()).schema
    assert not frame.select(declared.key).is_duplicated().any()
    controls = frame.filter("is_control")["representation"].unique()
    assert set(controls) == {"random", "majority-class"}
    assert set(frame["n"]) == {16}
    assert set(frame["split"]) == {"random-80-20-seed-2023"}
    assert frame.null_count().sum_horizontal().item() == 0


def test_neighbours_are_exact():
    vectors, labels = planted(n=300)
    train, test = split_cells(300)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    exact = NearestNeighbors(n_neighbors=10, metric="cosine", algorithm="brute")
    expected = exact.fit(vectors[train]).kneighbors(vectors[test], return_distance=False)
    assert (np.sort(expected) == _nearest(unit[test] @ unit[train].T)).all()
    assert (annotate_cells(vectors, labels).test_index == test).all()


def test_what_all_cells_share_hides_their_types_until_it_is_taken_out():
    vectors, labels = planted(strength=0.7)
    shared = vectors + np.float32(2e5)  # cosines of 1 to the last digits of float32
    train, _ = split_cells(len(vectors))

    def accuracy(rows):
        found = annotate_cells(rows, labels)
        return (found.true == found.predicted).mean()

    assert accuracy(shared) < accuracy(centred(shared, train)) - 0.1
    assert accuracy(centred(shared, train)) > accuracy(vectors) - 0.1


def test_scale_of_a_vector_does_not_matter():
    vectors, labels = planted(strength=0.5)
    scaled = vectors * np.random.default_rng(0).uniform(0.1, 9, (len(vectors), 1)).astype("f4")
    same = annotate_cells(vectors, labels).predicted == annotate_cells(scaled, labels).predicted
    assert same.mean() > 0.97


def test_equal_similarities_take_the_first_training_cells():
    similarity = np.full((1, 30), 0.5, dtype=np.float32)
    similarity[0, 20] = 0.9
    assert _nearest(similarity).tolist() == [[*range(9), 20]]


@pytest.mark.parametrize(
    ("neighbours", "similarity", "winner"),
    [
        ([0, 1, 1], [1.0, 0.1, 0.1], 1),  # votes before similarity
        ([0, 0, 1, 1], [0.1, 0.1, 0.1, 0.2], 1),  # then summed similarity
        ([2, 1, 1, 2], [0.5, 0.5, 0.5, 0.5], 1),  # then label order
    ],
)
def test_tied_votes_are_settled(neighbours, similarity, winner):
    assert _vote(np.array([neighbours]), np.array([similarity], np.float32), 3).tolist() == [winner]


def test_the_same_seed_gives_the_same_annotation():
    vectors, labels = planted(strength=0.3)
    first, again = annotate_cells(vectors, labels), annotate_cells(vectors, labels)
    assert (first.predicted == again.predicted).all()
    assert (annotate_cells(vectors, labels, seed=7).test_index != first.test_index).any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused_by_row(bad):
    vectors, labels = planted(n=60)
    vectors[17, 2] = bad
    with pytest.raises(ValueError, match="row 17"):
        annotate_cells(vectors, labels)


def test_zero_vectors_missing_labels_few_cells_and_unknown_controls_are_refused():
    vectors, labels = planted(n=60)
    with pytest.raises(ValueError, match="among the representations"):
        cell_type_scores({"space": vectors}, labels, "c", {"rnadom"})
    with pytest.raises(ValueError, match="row 3"):
        annotate_cells(vectors, [*labels[:3], None, *labels[4:]])
    with pytest.raises(ValueError, match="60 cells but 59 labels"):
        annotate_cells(vectors, labels[1:])
    with pytest.raises(ValueError, match="too few"):
        annotate_cells(vectors[:12], labels[:12])
    vectors[5] = 0
    with pytest.raises(ValueError, match="row 5"):
        annotate_cells(vectors, labels)


def counts(n=120, genes=90, seed=0):
    return csr_matrix(np.random.default_rng(seed).poisson(0.7, (n, genes)).astype(np.float32))


def test_expression_pca_is_fitted_on_the_training_cells_only():
    matrix, train = counts(), np.arange(96)
    changed = matrix.toarray()
    changed[110] *= 0
    changed[110, 3] = 5000
    before = expression_pca(matrix, train, unit="counts", n_components=10, seed=0)
    after = expression_pca(csr_matrix(changed), train, unit="counts", n_components=10, seed=0)
    others = np.arange(120) != 110
    np.testing.assert_allclose(before[others], after[others], atol=1e-5)
    assert before.shape == (120, 10)
    assert before.dtype == np.float32


def test_counts_are_scaled_to_a_common_depth_and_other_units_are_not():
    matrix, train = counts(), np.arange(96)
    deeper = csr_matrix(matrix.multiply(np.arange(1, 121)[:, None]))

    def components(values, unit):
        return expression_pca(values, train, unit=unit, n_components=5, seed=0)

    np.testing.assert_allclose(
        components(matrix, "counts"), components(deeper, "counts"), rtol=1e-3, atol=1e-3
    )
    for unit in ("log2", "zscore"):
        assert np.abs(components(matrix, unit) - components(deeper, unit)).max() > 1


def test_expression_pca_leaves_its_input_alone_and_repeats():
    matrix = counts()
    before = matrix.copy()
    first, again = (
        expression_pca(matrix, np.arange(96), unit="counts", n_components=8, seed=1)
        for _ in range(2)
    )
    np.testing.assert_allclose(first, again, atol=1e-6)
    assert (matrix != before).nnz == 0


def test_bad_expression_is_refused_by_cell():
    train = np.arange(96)
    for value, complaint in ((np.nan, "not finite"), (-1.0, "negative")):
        matrix = counts()
        matrix.data[matrix.indptr[42]] = value
        with pytest.raises(ValueError, match=f"cell 42 .*{complaint}"):
            expression_pca(matrix, train, unit="counts", n_components=5, seed=0)
    dense = counts().toarray()
    dense[31] = 0
    with pytest.raises(ValueError, match="cell 31 has no counts"):
        expression_pca(csr_matrix(dense), train, unit="counts", n_components=5, seed=0)
    with pytest.raises(ValueError, match="need more than 50"):
        expression_pca(counts(), np.arange(50), unit="counts", seed=0)
