"""A text among cells: who expresses the genes that it names is found, not who is unusual."""

import numpy as np
import pytest
import scipy.sparse as sp

from genept.client.searching.expression_search import LARGEST, N_GENES, expression_scores
from genept.client.vectors import Vectors
from genept.embeddings import expression_weights, pool

N_CELLS, N_AXIS = 120, 400
RNG = np.random.default_rng(0)
MEANT = np.arange(N_CELLS) < 15
UNUSUAL = np.arange(N_CELLS) >= 110
TEXT = np.zeros(16)
TEXT[0] = 1


def genes():
    """Vectors that are alike, as of texts; thirty genes point to the text."""
    vectors = 3 + RNG.normal(size=(N_AXIS, 16))
    vectors[:30, 0] += 4
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def counts():
    """Cells of which the meant ones express the thirty genes; unusual ones lack half of all."""
    rates = np.exp(RNG.normal(size=N_AXIS)) * np.ones((N_CELLS, 1))
    rates[np.ix_(MEANT, np.arange(30))] += 1.5
    rates[np.ix_(UNUSUAL, np.arange(200, N_AXIS))] = 0.01
    rates[np.ix_(UNUSUAL, np.arange(30, 45))] *= 60
    return sp.csr_matrix(RNG.poisson(rates).astype(np.float32))


VECTORS, COUNTS = genes(), counts()
CENTRED = VECTORS - VECTORS.mean(axis=0)
COSINES = (CENTRED @ TEXT) / np.linalg.norm(CENTRED, axis=1)


def share_meant(scores):
    return MEANT[np.argsort(-scores)[:10]].mean()


def test_who_expresses_what_the_text_names_is_found_among_unusual_cells():
    assert share_meant(expression_scores(COUNTS, "counts", COSINES)) == 1
    misled = CENTRED.copy()
    misled[30:45, 0] += 0.15  # the genes of the unusual cells are a little nearer than average
    near = (misled @ TEXT) / np.linalg.norm(misled, axis=1)
    weights = expression_weights(COUNTS, "counts")
    pooled, _ = pool(
        weights, (misled + VECTORS.mean(axis=0)).astype(np.float32), np.ones(N_AXIS, bool)
    )
    cells = Vectors(np.arange(N_CELLS).astype(str), pooled)
    by_vector = cells.cosines(TEXT.astype(np.float32), centred=True)
    assert share_meant(expression_scores(COUNTS, "counts", near)) > share_meant(by_vector)


def test_genes_without_a_vector_or_that_do_not_vary_count_nothing():
    known = COSINES.copy()
    known[100:] = np.nan
    assert np.isfinite(expression_scores(COUNTS, "counts", known)).all()
    nobody = sp.hstack([sp.csr_matrix((N_CELLS, 1)), COUNTS], format="csr")
    first = np.concatenate([[1.0], COSINES])
    assert expression_scores(nobody, "counts", first) == pytest.approx(
        expression_scores(COUNTS, "counts", COSINES)
    )
    assert not expression_scores(COUNTS, "counts", np.full(N_AXIS, np.nan)).any()
    scores = expression_scores(COUNTS, "counts", COSINES)
    assert np.abs(scores).max() <= LARGEST
    assert N_GENES < N_AXIS
