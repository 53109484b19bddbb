"""Representations put together, and vectors from elsewhere that must fit or be refused."""

import anndata
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genept.embeddings.ensembles import (
    OutsideVectorsError,
    averaged_similarity,
    concatenated,
    join_outside_vectors,
    read_outside_vectors,
)


def random_rows(seed, rows, dimensions):
    return np.random.default_rng(seed).standard_normal((rows, dimensions)).astype(np.float32)


def cosine(one, other):
    one, other = one.astype(np.float64), other.astype(np.float64)
    one /= np.linalg.norm(one, axis=1, keepdims=True)
    return one @ (other / np.linalg.norm(other, axis=1, keepdims=True)).T


@given(st.integers(0, 99), st.floats(0.1, 9), st.floats(0.1, 9))
def test_side_by_side_is_the_weighted_mean_of_the_cosines(seed, first, second):
    queries = {"a": random_rows(seed, 5, 4) * 1e4, "b": random_rows(seed + 1, 5, 9)}
    references = {"a": random_rows(seed + 2, 7, 4), "b": random_rows(seed + 3, 7, 9) * 1e-4}
    weights = {"a": first, "b": second}
    expected = (
        first * cosine(queries["a"], references["a"])
        + second * cosine(queries["b"], references["b"])
    ) / (first + second)
    found = averaged_similarity(queries, references, weights)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    together = concatenated(queries, weights)
    assert together.dtype == np.float32
    assert together.shape == (5, 13)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)


def test_one_representation_is_itself_and_weights_are_alike_by_default():
    rows = random_rows(0, 4, 3)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(concatenated({"a": rows}), unit, atol=1e-6)
    both = concatenated({"a": rows, "b": rows}, {"a": 2, "b": 2})
    np.testing.assert_array_equal(both, concatenated({"a": rows, "b": rows}))


def test_what_cannot_be_put_together_is_refused():
    rows = random_rows(0, 4, 3)
    broken = rows.copy()
    broken[2] = 0
    with pytest.raises(ValueError, match="'b': row 2 and 0 others are zero or not finite"):
        concatenated({"a": rows, "b": broken})
    with pytest.raises(ValueError, match="not of the same observations: {'a': 4, 'b': 3}"):
        concatenated({"a": rows, "b": rows[:3]})
    with pytest.raises(ValueError, match="not positive, one for each"):
        concatenated({"a": rows}, {"a": 0})
    with pytest.raises(ValueError, match="not positive, one for each"):
        concatenated({"a": rows}, {"b": 1})
    with pytest.raises(ValueError, match="at least one"):
        concatenated({})
    with pytest.raises(ValueError, match="queries are in"):
        averaged_similarity({"a": rows}, {"b": rows})


IDS = ["c1", "c2", "c3", "c4"]
VECTORS = random_rows(5, 3, 6)
OF = ["c3", "elsewhere", "c1"]


def written(folder, kind):
    if kind == "h5ad":
        path = folder / "scgpt.h5ad"
        data = anndata.AnnData(
            np.zeros((3, 1), np.float32), obs=pd.DataFrame(index=OF), obsm={"X_scGPT": VECTORS}
        )
        data.write_h5ad(path)
        return path, "X_scGPT"
    path = folder / "geneformer.parquet"
    pl.DataFrame({"observation_id": OF, "vector": VECTORS.tolist()}).write_parquet(path)
    return path, "vector"


@pytest.mark.parametrize("kind", ["h5ad", "parquet"])
def test_vectors_from_elsewhere_are_joined_by_id_and_counted(tmp_path, kind):
    path, key = written(tmp_path, kind)
    joined = read_outside_vectors(path, IDS, key)
    assert joined.found.tolist() == [True, False, True, False]
    np.testing.assert_array_equal(joined.vectors, VECTORS[[2, 0]])
    assert (joined.n_missing, joined.n_strangers) == (2, 1)
    with pytest.raises(OutsideVectorsError, match=f"{path.name}: no .*X_other"):
        read_outside_vectors(path, IDS, "X_other")
    with pytest.raises(OutsideVectorsError, match="not one of its 3 ids, such as"):
        read_outside_vectors(path, ["nobody"], key)


def test_doubled_ids_and_vectors_without_a_direction_are_refused(tmp_path):
    with pytest.raises(OutsideVectorsError, match="several vectors for 'c1'"):
        join_outside_vectors("x", ["c1", "c2", "c1"], VECTORS, IDS)
    with pytest.raises(OutsideVectorsError, match="2 ids for vectors of shape"):
        join_outside_vectors("x", ["c1", "c2"], VECTORS, IDS)
    for wrong in (np.nan, np.inf):
        broken = VECTORS.copy()
        broken[1, 3] = wrong
        with pytest.raises(OutsideVectorsError, match="row 1 and 0 others"):
            join_outside_vectors("x", OF, broken, IDS)
    for lists, match in (([[1.0], [1.0, 2.0]], "lengths"), ([[1.0], None], "empty")):
        path = tmp_path / "ragged.parquet"
        pl.DataFrame({"observation_id": ["c1", "c2"], "embedding": lists}).write_parquet(path)
        with pytest.raises(OutsideVectorsError, match=match):
            read_outside_vectors(path, IDS)
