"""The test of sets: planted sets stand out, shuffled genes and correlated noise do not."""

import numpy as np
import polars as pl
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from genept.embeddings.text_readings.group_effects import GroupEffects
from genept.embeddings.text_readings.group_terms import (
    LARGEST_SET,
    SMALLEST_SET,
    SPEAKING,
    GeneSets,
    apart,
    evidence,
    gene_sets,
    inflation,
    score_sets,
    text_sets,
)

N = 400


def effects_of(effect: np.ndarray, residuals: np.ndarray | None = None) -> GroupEffects:
    n = effect.shape[1]
    if residuals is None:
        residuals = np.random.default_rng(9).standard_normal((200, n))
    sizes = np.full(len(effect), 50)
    return GroupEffects(np.arange(n), sizes, 200, effect, effect, residuals.astype(np.float32))


def sets_of(*members: list[int], n: int = N) -> GeneSets:
    matrix = sp.lil_matrix((len(members), n))
    for row, genes in enumerate(members):
        matrix[row, genes] = 1
    names = tuple(f"set {row}" for row in range(len(members)))
    return GeneSets(names, sp.csr_matrix(matrix), np.ones(n, np.bool_))


def test_a_set_of_genes_that_are_higher_stands_out() -> None:
    effect = np.random.default_rng(0).standard_normal((1, N))
    effect[0, :20] += 1.5
    score = score_sets(effects_of(effect), sets_of(list(range(20)), list(range(100, 120))))
    assert score.q[0, 0] < 0.001
    assert score.q[0, 1] > 0.05
    assert score.order[0].tolist() == [0, 1]
    expected = effect[0, :20].mean() - effect[0].mean()
    np.testing.assert_allclose(score.effect[0, 0], expected)


def test_z_is_standard_normal_for_genes_drawn_at_random() -> None:
    rng = np.random.default_rng(0)
    effects = effects_of(rng.gamma(1.0, size=(1, N)))  # skewed, as effects are
    sets = sets_of(*(rng.choice(N, 30, replace=False).tolist() for _ in range(50)))
    z = np.array([score_sets(effects.shuffled(rng), sets).z for _ in range(20)])
    assert abs(z.mean()) < 0.1
    assert 0.85 < z.std() < 1.05  # at most 1: variances are inflated, never deflated


def test_genes_that_are_expressed_together_need_more() -> None:
    rng = np.random.default_rng(0)
    residuals = rng.standard_normal((300, N))
    residuals[:, :20] += 1.5 * rng.standard_normal((300, 1))
    residuals /= residuals.std(axis=0)
    effect = rng.standard_normal((1, N))
    effect[0, :20] += 0.8
    effect[0, 20:40] = effect[0, :20]
    sets = sets_of(list(range(20)), list(range(20, 40)))
    larger = inflation(sets, residuals.astype(np.float32))
    assert larger[0] > 5
    assert larger[1] < 1.5
    score = score_sets(effects_of(effect, residuals), sets)
    assert score.z[0, 0] < score.z[0, 1] / 1.8


@settings(max_examples=25, deadline=None)
@given(st.floats(0.1, 10), st.floats(-5, 5))
def test_z_knows_no_unit_and_no_origin_of_effects(scale: float, shift: float) -> None:
    effect = np.random.default_rng(0).standard_normal((2, N))
    sets = sets_of(list(range(10)), list(range(5, 60)))
    first, second = (score_sets(effects_of(e), sets) for e in (effect, effect * scale + shift))
    np.testing.assert_allclose(first.z, second.z, atol=1e-6)


def test_no_effects_and_empty_sets_score_nothing() -> None:
    score = score_sets(effects_of(np.zeros((1, N))), sets_of(list(range(10)), []))
    assert not score.z.any()
    assert (score.q >= 0.5).all()
    none = score_sets(effects_of(np.ones((3, N))), sets_of())
    assert none.z.shape == (3, 0)


def test_sets_are_of_measured_genes_and_neither_small_nor_large() -> None:
    genes = [f"g{at}" for at in range(LARGEST_SET + 50)]
    sizes = {"small": SMALLEST_SET - 1, "fits": SMALLEST_SET, "large": LARGEST_SET + 1}
    rows = [(name, genes[at]) for name, size in sizes.items() for at in range(size)]
    rows += [("small", "unmeasured"), ("fits", genes[0])]
    members = pl.DataFrame(rows, schema=["name", "ensembl_gene_id"], orient="row")
    sets = gene_sets(members, genes)
    assert sets.names == ("fits",)
    assert sets.weights.sum() == SMALLEST_SET
    assert gene_sets(members.clear(), genes).names == ()


def test_a_text_speaks_of_the_genes_whose_descriptions_are_nearest() -> None:
    rng = np.random.default_rng(0)
    similarity = rng.standard_normal((N, 2))
    similarity[:10, 0] += 6
    similarity[300:] = np.nan
    sets = text_sets(["a", "b"], similarity)
    assert not sets.known[300:].any()
    assert (np.diff(sets.weights.indptr) <= SPEAKING).all()
    strongest = np.argsort(-sets.weights[0].toarray().ravel())[:10]
    assert set(strongest) == set(range(10))
    effect = rng.standard_normal((1, N))
    effect[0, :10] += 3
    effect[0, 300:] += 50  # of no known text
    assert score_sets(effects_of(effect), sets).order[0, 0] == 0


def test_evidence_is_the_genes_that_add_most() -> None:
    effect = np.zeros((1, N))
    effect[0, :4] = [1.0, 3.0, -2.0, 2.0]
    sets = sets_of(list(range(6)))
    assert evidence(effects_of(effect), sets, 0, 0, 2) == [(1, 3.0), (3, 2.0)]
    assert [gene for gene, _ in evidence(effects_of(effect), sets, 0, 0, 9)] == [1, 3, 0]


def test_terms_that_repeat_others_are_left_out() -> None:
    sets = sets_of(list(range(10)), list(range(4, 14)), list(range(6, 16)), [*range(3), 90, 91])
    assert apart(sets, [0, 1, 2, 3], 9, 0.5) == [0, 2]
    assert apart(sets, [0, 2, 1], 1, 0.5) == [0]
