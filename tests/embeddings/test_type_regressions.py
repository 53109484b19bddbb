"""Probabilities of labelled types: fitted on some observations, right for others."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose

from genept.embeddings.text_readings import type_regressions
from genept.embeddings.text_readings.text_maps import FEWEST_OF_TYPE
from genept.embeddings.text_readings.type_regressions import type_probabilities

N, GENES, TYPES = 240, 120, ("B cell", "T cell", "monocyte")


def planted(seed: int = 0):
    """Counts of three types, each with ten genes of its own; the last is rare."""
    rng = np.random.default_rng(seed)
    codes = rng.choice(3, N, p=[0.6, 0.3, 0.1])
    rates = np.full((3, GENES), 0.8)
    for at in range(3):
        rates[at, 10 * at : 10 * at + 10] = 3
    counts = sp.csr_matrix(rng.poisson(rates[codes]).astype(np.float32))
    return counts, codes, np.array(TYPES)[codes]


def test_observations_that_were_not_fitted_on_are_named_by_their_genes() -> None:
    counts, codes, labels = planted()
    known = np.arange(N) % 2 == 0
    hidden = np.where(known, labels, "nobody knows")
    for fitted, names in ((known, labels), (None, hidden)):
        likely = type_probabilities(counts, "counts", names, TYPES, fitted=fitted)
        assert_allclose(likely.sum(axis=1), 1)
        right = likely.argmax(axis=1) == codes
        assert min(right[~known & (codes == at)].mean() for at in range(3)) > 0.8
    dealt = np.random.default_rng(0).permutation(labels)
    likely = type_probabilities(counts, "counts", dealt, TYPES, fitted=known)
    assert (likely.argmax(axis=1) == codes)[~known].mean() < 0.7


def test_of_larger_types_some_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    counts, codes, labels = planted()
    monkeypatch.setattr(type_regressions, "MOST_FITTED", 60)
    monkeypatch.setattr(type_regressions, "_AT_ONCE", 100)
    first, second = (type_probabilities(counts, "counts", labels, TYPES) for _ in range(2))
    assert_allclose(first, second)
    assert (first.argmax(axis=1) == codes).mean() > 0.8


@pytest.mark.parametrize("types", [TYPES[:1], (*TYPES, "never seen")])
def test_too_little_to_fit_on_is_refused_and_named(types) -> None:
    counts, _, labels = planted()
    with pytest.raises(ValueError, match=f"{FEWEST_OF_TYPE} observations.*(none|never seen)"):
        type_probabilities(counts, "counts", labels, types)
