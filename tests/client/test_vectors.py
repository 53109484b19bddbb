"""Exact search: what numpy says, plainly and centred, of however many matrices."""

from __future__ import annotations

import numpy as np
import pytest

from genept.client.vectors import Vectors
from genept.common.errors import StoreError


@pytest.fixture
def vectors() -> Vectors:
    made = np.random.default_rng(0).normal(loc=3, size=(200, 16)).astype(np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return Vectors(np.array([f"c{row}" for row in range(200)]), made)


@pytest.mark.parametrize("centred", [False, True])
def test_the_nearest_are_those_of_plain_numpy(vectors: Vectors, centred: bool) -> None:
    mean = vectors.matrix.mean(axis=0) * centred
    query = vectors.matrix[7] - mean
    rows = vectors.matrix - mean
    cosines = rows @ query / np.linalg.norm(rows, axis=1) / np.linalg.norm(query)
    nearest = vectors.nearest(query, 5, centred=centred)
    assert [id_ for id_, _ in nearest] == [f"c{row}" for row in np.argsort(-cosines)[:5]]
    assert [cosine for _, cosine in nearest] == pytest.approx(np.sort(cosines)[::-1][:5], abs=1e-4)
    assert nearest[0][0] == "c7"


def test_centring_tells_apart_what_all_points_one_way(vectors: Vectors) -> None:
    plain = vectors.cosines(vectors.matrix[7])
    centred = vectors.cosines(vectors.matrix[7] - vectors.mean, centred=True)
    assert np.ptp(centred) > 3 * np.ptp(plain)


def test_more_than_there_are_is_all_and_nothing_points_nowhere(vectors: Vectors) -> None:
    assert len(vectors.nearest(vectors.matrix[0], 1000)) == 200
    assert len(Vectors.joined([vectors, vectors]).ids) == 400
    assert vectors.of("c7") is not None
    assert vectors.of("c777") is None
    with pytest.raises(StoreError, match="all zero"):
        vectors.nearest(np.zeros(16, dtype=np.float32), 3)
