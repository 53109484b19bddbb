"""The cell task: planted types are found, noise is at chance, ties broken, bad input refused."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score
from sklearn.neighbors import NearestNeighbors

from genept.benchmarks.cells.cell_types import (
    _vote,
    adjusted_mutual_information,
    adjusted_rand,
    annotate,
    centred,
    group_split,
    majority,
    nearest,
    random_split,
)
from genept.benchmarks.cells.expression_control import expression_pca
from genept.benchmarks.resampling import resampled_labels

TYPES = np.array(["B", "Mono", "NK", "T"])


def planted(n=400, d=30, strength=2.0, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, len(TYPES), n)
    centres = rng.normal(size=(len(TYPES), d))
    vectors = strength * centres[codes] + rng.normal(size=(n, d))
    return vectors.astype(np.float32), list(TYPES[codes])


def split_of(n):
    split = random_split([f"c{number:04}" for number in range(n)])
    return split, *split.folds[0]


def recall(vectors, labels):
    split, train, test = split_of(len(labels))
    truth = np.array(labels)[split.tested]
    predicted = annotate(vectors, labels, train, test)
    scores = resampled_labels(truth, predicted, split.units[test], ["macro_recall"], seed=0)
    return scores["macro_recall"]


def test_planted_types_are_found_and_noise_is_at_chance():
    signal, labels = planted()
    assert recall(signal, labels).interval[0] > 0.9
    noises = [recall(planted(strength=0.0, seed=seed)[0], labels) for seed in range(1, 11)]
    # A 95 % interval misses now and then: of ten, eight must hold chance.
    assert sum(noise.interval[0] < 0.25 < noise.interval[1] for noise in noises) >= 8
    _, train, test = split_of(len(labels))
    assert set(majority(labels, train, test)) == {
        max(TYPES, key=np.array(labels)[train].tolist().count)
    }


def test_groups_are_left_out_completely_and_once():
    groups = [f"d{row % 7}" for row in range(70)]
    split = group_split(groups)
    assert split.name == "leave-group-out-5-fold"
    assert sorted(split.tested) == list(range(70))
    for train, test in split.folds:
        assert not {groups[row] for row in train} & {groups[row] for row in test}
    assert group_split([f"c{row}" for row in range(70)]) is None, "every cell is a group of its own"
    assert group_split(["d"] * 70) is None
    assert group_split(["a"] * 60 + ["b"] * 5) is None, "too few to learn from"


def test_neighbours_are_exact():
    vectors, _ = planted(n=300)
    _, train, test = split_of(300)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    exact = NearestNeighbors(n_neighbors=10, metric="cosine", algorithm="brute")
    expected = exact.fit(vectors[train]).kneighbors(vectors[test], return_distance=False)
    assert (np.sort(expected) == nearest(unit[test] @ unit[train].T)).all()


def test_a_shared_component_hides_cell_types_until_it_is_removed():
    vectors, labels = planted(strength=0.7)
    shared = vectors + np.float32(2e5)  # cosines of 1 to the last digits of float32
    _, train, test = split_of(len(vectors))

    def accuracy(rows):
        return (annotate(rows, labels, train, test) == np.array(labels)[test]).mean()

    assert accuracy(shared) < accuracy(centred(shared, train)) - 0.1
    assert accuracy(centred(shared, train)) > accuracy(vectors) - 0.1


def test_scale_of_a_vector_does_not_matter():
    vectors, labels = planted(strength=0.5)
    scaled = vectors * np.random.default_rng(0).uniform(0.1, 9, (len(vectors), 1)).astype("f4")
    _, *fold = split_of(len(vectors))
    same = annotate(vectors, labels, *fold) == annotate(scaled, labels, *fold)
    assert same.mean() > 0.97


def test_equal_similarities_take_the_first_training_cells():
    similarity = np.full((1, 30), 0.5, dtype=np.float32)
    similarity[0, 20] = 0.9
    assert nearest(similarity).tolist() == [[*range(9), 20]]


@pytest.mark.parametrize(
    ("neighbours", "similarity", "winner"),
    [
        ([0, 1, 1], [1.0, 0.1, 0.1], 1),  # votes before similarity
        ([0, 0, 1, 1], [0.1, 0.1, 0.1, 0.2], 1),  # then summed similarity
        ([2, 1, 1, 2], [0.5, 0.5, 0.5, 0.5], 1),  # then label order
    ],
)
def test_ties_are_broken_by_similarity_then_label(neighbours, similarity, winner):
    assert _vote(np.array([neighbours]), np.array([similarity], np.float32), 3).tolist() == [winner]


def test_the_same_seed_gives_the_same_annotation():
    vectors, labels = planted(strength=0.3)
    _, *fold = split_of(len(vectors))
    first, again = annotate(vectors, labels, *fold), annotate(vectors, labels, *fold)
    assert (first == again).all()
    assert (random_split(labels, seed=7).tested != fold[1]).any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused_by_row(bad):
    vectors, labels = planted(n=60)
    vectors[17, 2] = bad
    with pytest.raises(ValueError, match="row 17"):
        annotate(vectors, labels, *split_of(60)[1:])


def test_zero_vectors_missing_labels_and_few_cells_are_refused():
    vectors, labels = planted(n=60)
    _, *fold = split_of(60)
    with pytest.raises(ValueError, match="row 3"):
        annotate(vectors, [*labels[:3], None, *labels[4:]], *fold)
    with pytest.raises(ValueError, match="60 cells but 59 labels"):
        annotate(vectors, labels[1:], *fold)
    with pytest.raises(ValueError, match="too few"):
        random_split(labels[:12])
    vectors[5] = 0
    with pytest.raises(ValueError, match="row 5"):
        annotate(vectors, labels, *fold)


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


def test_expression_pca_does_not_change_its_input_and_is_reproducible():
    matrix = counts()
    before = matrix.copy()
    first, again = (
        expression_pca(matrix, np.arange(96), unit="counts", n_components=8, seed=1)
        for _ in range(2)
    )
    np.testing.assert_allclose(first, again, atol=1e-6)
    assert (matrix != before).nnz == 0


def test_invalid_expression_is_refused_by_cell():
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


@pytest.mark.parametrize("seed", range(40))
def test_agreement_of_clusters_is_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    n, n_types = rng.integers(20, 300), rng.integers(1, 9)
    types = rng.integers(0, n_types, n)
    clusters = np.where(rng.random(n) < 0.6, types, rng.integers(0, n_types, n))
    counts = np.zeros((n_types, n_types))
    np.add.at(counts, (types, clusters), 1.0)
    assert adjusted_rand(counts) == pytest.approx(adjusted_rand_score(types, clusters), abs=1e-12)
    expected = adjusted_mutual_info_score(types, clusters)
    assert adjusted_mutual_information(counts) == pytest.approx(expected, abs=1e-12)


def test_one_type_in_one_cluster_agrees_and_in_several_says_nothing():
    assert adjusted_rand(np.array([[5.0]])) == adjusted_mutual_information(np.array([[5.0]])) == 1
    assert adjusted_mutual_information(np.array([[3.0, 2.0], [0.0, 0.0]])) == 0
