"""Profiles for texts: a planted type that was left out is generated better than by its nearest."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_matrix

from genept.embeddings.text_readings.generated_profiles import generate_profile, profile_similarity
from genept.embeddings.text_readings.similarities import (
    gene_centre,
    standardised,
    text_similarity,
    text_vectors,
)
from genept.embeddings.text_readings.type_profiles import GeneScale, TypeProfiles

N, N_GENES, N_TYPES = 280, 140, 7
TYPES = [f"type {at}" for at in range(N_TYPES)]


def planted(seed: int = 0):
    """Counts of seven types: each expresses its own genes, and the programmes of its text."""
    rng = np.random.default_rng(seed)
    codes = np.arange(N) % N_TYPES
    programmes = rng.normal(size=(3, N_GENES)) * 0.5
    of_type = rng.normal(size=(N_TYPES, 3))
    own = 1.2 * (np.arange(N_GENES) % N_TYPES == np.arange(N_TYPES)[:, None])
    rate = np.exp(of_type @ programmes + own)
    counts = rng.poisson(rate[codes]).astype(np.float32)
    types = np.concatenate([of_type, np.eye(N_TYPES)], axis=1)
    genes = np.concatenate(
        [0.1 * rng.normal(size=(N_GENES, 3)), np.eye(N_TYPES)[np.arange(N_GENES) % N_TYPES]], axis=1
    ) + 0.05 * rng.normal(size=(N_GENES, 3 + N_TYPES))
    genes, queries = genes.astype(np.float32), [row[None].astype(np.float32) for row in types]
    texts = text_vectors(gene_centre(genes), queries)
    return csr_matrix(counts), codes, texts, text_similarity(genes, queries)


def profiles_of(counts, codes, texts, similarity, keep):
    labels = np.array(TYPES)[codes]
    kept = np.isin(codes, keep)
    return TypeProfiles.of(
        counts[kept], "counts", labels[kept], [TYPES[at] for at in keep], texts[keep],
        similarity[:, keep],
    )  # fmt: skip


def true_profile(of, counts):
    z = of.scale.deviations(counts)
    return np.asarray(z.mean(axis=0)).ravel() + of.scale.absent - of.centre


def left_out(seed: int, deal=None):
    """Correlations, by type left out: of what is generated, and of the nearest type."""
    counts, codes, texts, similarity = planted(seed)
    if deal is not None:
        similarity = similarity[deal]
    ours, nearest = [], []
    for at in range(N_TYPES):
        of = profiles_of(counts, codes, texts, similarity, [t for t in range(N_TYPES) if t != at])
        truth = true_profile(of, counts[codes == at])
        generated = of.direction(texts[at], similarity[:, at])
        near = (of.means - of.centre)[(of.texts @ texts[at]).argmax()]
        ours.append(np.corrcoef(generated, truth)[0, 1])
        nearest.append(np.corrcoef(near, truth)[0, 1])
    return np.array(ours), np.array(nearest)


def test_a_type_that_was_left_out_is_generated_better_than_its_nearest_type_is() -> None:
    ours, nearest = zip(*(left_out(seed) for seed in range(3)), strict=True)
    assert np.mean(ours) > np.mean(nearest) + 0.1
    assert np.mean(ours) > 0.4


def test_what_genes_mean_is_used() -> None:
    dealt = np.random.default_rng(0).permutation(N_GENES)
    assert np.mean(left_out(0)[0]) > np.mean(left_out(0, dealt)[0]) + 0.05


def test_scaled_sparse_expression_is_that_of_the_dense_matrix() -> None:
    counts, *_ = planted()
    counts = csr_matrix(np.where(np.arange(N_GENES) == 3, 0, counts.toarray()))  # never expressed
    scale = GeneScale.of(counts, "log1p")
    dense = counts.toarray().astype(np.float64)
    assert_allclose(scale.mean, dense.mean(axis=0))
    z = scale.deviations(counts).toarray() + scale.absent
    assert_allclose(z, np.clip(standardised(dense), -5, 5), atol=1e-6)
    assert scale.spread[3] == 0
    assert not z[:, 3].any()


def test_of_a_gene_that_hardly_any_observation_expresses_nothing_is_said() -> None:
    counts, codes, texts, similarity = planted()
    rare = counts.toarray()
    rare[:, 5] = np.arange(N) < 2
    rare[:, 6] = np.arange(N) < 3
    of = profiles_of(csr_matrix(rare), codes, texts, similarity, list(range(N_TYPES)))
    profile = generate_profile(of, texts[0], similarity[:, 0])
    for values in (profile.deviation, profile.error, profile.expected, profile.low, profile.high):
        assert np.isnan(values[5])
        assert np.isfinite(values[6])
    near = profile_similarity(of, profile.deviation, csr_matrix(rare))
    assert np.isfinite(near).all()


def test_z_scores_keep_their_sign() -> None:
    values = np.random.default_rng(0).normal(size=(50, 8))
    scale = GeneScale.of(csr_matrix(values), "zscore")
    assert_allclose(
        scale.deviations(csr_matrix(values)).toarray() + scale.absent, standardised(values)
    )


def test_the_interval_holds_most_of_a_type_that_was_left_out() -> None:
    counts, codes, texts, similarity = planted()
    covered = []
    for at in range(N_TYPES):
        of = profiles_of(counts, codes, texts, similarity, [t for t in range(N_TYPES) if t != at])
        generated = generate_profile(of, texts[at], similarity[:, at])
        assert (generated.low <= generated.expected).all()
        assert (generated.expected <= generated.high).all()
        assert (generated.low >= 0).all()
        truth = of.scale.mean + of.scale.spread * (
            true_profile(of, counts[codes == at]) + of.centre
        )
        covered.append((generated.low <= truth) & (truth <= generated.high))
    assert 0.75 < np.mean(covered) < 1


def test_uncertainty_needs_types_to_leave_out() -> None:
    counts, codes, texts, similarity = planted()
    of = profiles_of(counts, codes, texts, similarity, [0, 1])
    with pytest.raises(ValueError, match="2 are too few, 3 are needed"):
        generate_profile(of, texts[2], similarity[:, 2])


def test_the_nearest_observations_are_of_the_type_that_was_asked_for() -> None:
    counts, codes, texts, similarity = planted()
    of = profiles_of(counts, codes, texts, similarity, list(range(N_TYPES)))
    for at in range(N_TYPES):
        profile = generate_profile(of, texts[at], similarity[:, at])
        near = profile_similarity(of, profile.deviation, counts)
        assert (codes[np.argsort(-near)[:5]] == at).mean() >= 0.8


def test_similarity_is_the_correlation_over_genes_that_vary() -> None:
    counts, codes, texts, similarity = planted()
    counts = csr_matrix(np.where(np.arange(N_GENES) == 3, 0, counts.toarray()))
    of = profiles_of(counts, codes, texts, similarity, list(range(N_TYPES)))
    profile = np.random.default_rng(0).normal(size=N_GENES)
    z = of.scale.deviations(counts).toarray() + of.scale.absent - of.centre
    kept = np.arange(N_GENES) != 3
    expected = [np.corrcoef(row[kept], profile[kept])[0, 1] for row in z]
    assert_allclose(profile_similarity(of, profile, counts), expected, atol=1e-6)


def test_a_text_without_any_known_gene_is_placed_by_types_alone() -> None:
    counts, codes, texts, similarity = planted()
    of = profiles_of(counts, codes, texts, similarity, list(range(N_TYPES)))
    alone = of.direction(texts[0], np.full(N_GENES, np.nan))
    assert np.isfinite(alone).all()
    assert np.corrcoef(alone, of.means[0] - of.centre)[0, 1] > 0.5


def test_without_labels_a_text_has_its_genes_alone_and_no_interval() -> None:
    counts, codes, texts, similarity = planted()
    of = TypeProfiles.of(
        counts, "counts", np.array(TYPES)[codes], (), texts[:0], similarity[:, :0]
    )  # fmt: skip
    profile = generate_profile(of, texts[2], similarity[:, 2])
    best = np.argsort(-profile.deviation)[:10]
    assert (best % N_TYPES == 2).all()
    assert np.isnan(profile.expected).all()
    assert np.isnan(profile.error).all()
    near = profile_similarity(of, profile.deviation, counts)
    assert (codes[np.argsort(-near)[:5]] == 2).mean() >= 0.8
