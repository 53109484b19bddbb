"""Representations put together: what the vectors mean, which are declared, what is released."""

import numpy as np
import pytest
from embedding_parts import KIND, outside_table, planted_parts, registered
from hypothesis import given
from hypothesis import strategies as st

from genept.common.errors import SourceError
from genept.embeddings.ensembles import (
    Ensemble,
    concatenated,
    declared_ensembles,
    missing_members,
    release_ensemble,
)
from genept.embeddings.expression import embedding_matrix
from genept.embeddings.registered_observation_vectors import release_registered_vectors
from genept.text.declared_spaces import chosen_spaces


def random_rows(seed, rows, dimensions):
    return np.random.default_rng(seed).standard_normal((rows, dimensions)).astype(np.float32)


def cosine(left, other):
    left, other = left.astype(np.float64), other.astype(np.float64)
    left /= np.linalg.norm(left, axis=1, keepdims=True)
    return left @ (other / np.linalg.norm(other, axis=1, keepdims=True)).T


@given(st.integers(0, 99), st.floats(0.1, 9), st.floats(0.1, 9))
def test_side_by_side_is_the_weighted_mean_of_the_cosines(seed, first, second):
    queries = {"a": random_rows(seed, 5, 4) * 1e4, "b": random_rows(seed + 1, 5, 9)}
    references = {"a": random_rows(seed + 2, 7, 4), "b": random_rows(seed + 3, 7, 9) * 1e-4}
    weights = {"a": first, "b": second}
    expected = (
        first * cosine(queries["a"], references["a"])
        + second * cosine(queries["b"], references["b"])
    ) / (first + second)
    products = concatenated(queries, weights) @ concatenated(references, weights).T
    np.testing.assert_allclose(products, expected, atol=1e-5)
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


# --- declarations ------------------------------------------------------------


def test_shipped_ensembles_are_of_spaces_that_releases_hold():
    released = {space.id for space in chosen_spaces(())}
    for ensemble in declared_ensembles():
        assert {space for space, _ in ensemble.members} <= released


def own_file(folder, text):
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def test_ones_own_are_declared_beside_the_shipped(tmp_path):
    path = own_file(
        tmp_path,
        '[[ensembles]]\nid = "both/mine"\nof = ["scgpt/human:outside", "a/b@shuffled:genept-w"]\n'
        "weights = [3, 1]\n",
    )
    mine = declared_ensembles(path)[-1]
    assert mine == Ensemble("both/mine", {"scgpt/human:outside": 3, "a/b@shuffled:genept-w": 1})
    assert mine.members == (("scgpt/human", "outside"), ("a/b@shuffled", "genept-w"))


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        ('of = ["a/b:genept-w"]', "two representations or more"),
        ('of = ["a/b:genept-w", "a/b:genept-w"]', "two representations or more, each once"),
        ('of = ["a/b", "c/d:genept-w"]', "'a/b' is no space:method"),
        ('of = ["a/b:ensemble", "c/d:genept-w"]', "is no space:method; methods are genept-w"),
        ('of = ["a/b:genept-w", "c/d:genept-w"]\nweights = [1]', "one for each of"),
        ('of = ["a/b:genept-w", "c/d:genept-w"]\nweights = [1, 0]', "positive numbers"),
        ('of = ["a/b:genept-w", "c/d:genept-w"]\nweight = [1, 1]', "unknown keys"),
    ],
)
def test_a_wrong_declaration_names_itself_and_what_is_wrong(tmp_path, rest, reason):
    path = own_file(tmp_path, f'[[ensembles]]\nid = "x/y"\n{rest}\n')
    with pytest.raises(SourceError, match=rf"mine\.toml: \[\[ensembles\]\].*{reason}"):
        declared_ensembles(path)


def test_an_id_is_declared_once(tmp_path):
    shipped = declared_ensembles()[0]
    path = own_file(
        tmp_path, f'[[ensembles]]\nid = "{shipped.id}"\nof = ["a/b:genept-w", "c/d:genept-w"]\n'
    )
    with pytest.raises(SourceError, match="declared twice"):
        declared_ensembles(path)


# --- in a release ------------------------------------------------------------


def test_an_ensemble_holds_who_is_in_every_member_and_ranks_by_the_mean_of_cosines(
    lake, store_prefix
):
    """Two shards of five; the outside vectors reach seven of the ten."""
    expression, pooled = planted_parts(lake)
    table = outside_table([0, 1, 3, 5, 6, 7, 9], strangers=2)
    declared = registered(lake.store, store_prefix, table, redistributable=False)
    known = [
        *pooled,
        *release_registered_vectors(lake, declared, KIND, expression, product=store_prefix),
    ]
    known = [part for part in known if part.table == "cell_embeddings"]
    mixed = Ensemble("both/mine", {"planted/w:genept-w": 1.0, "scgpt/human:outside": 3.0})

    made = release_ensemble(lake, mixed, KIND, "planted", known, [declared])
    assert made == release_ensemble(lake, mixed, KIND, "planted", known, [declared])
    *shards, account = made
    assert [(part.number, part.rows, part.dimension) for part in shards] == [(0, 3, 10), (1, 4, 10)]
    (row,) = lake.read(account).rows(named=True)
    assert row["made_of"] == ["1 × planted/w:genept-w", "3 × scgpt/human:outside"]
    assert (row["n_observations"], row["n_joined"]) == (10, 7)
    assert not row["redistributable"], "the terms of a member are the ensemble's"

    rows = lake.read_arrow(shards[1])
    assert rows["observation_id"].to_pylist() == ["c05", "c06", "c07", "c09"]
    vectors = embedding_matrix(rows)
    np.testing.assert_allclose(vectors @ vectors.T, similarity(lake, pooled[1], table), atol=1e-5)
    coverage = lake.read_arrow(pooled[1])["coverage"].to_numpy()[[0, 1, 2, 4]]
    np.testing.assert_allclose(rows["coverage"].to_numpy(), (coverage + 3) / 4, rtol=1e-6)


def similarity(lake, pooled, table):
    ours = embedding_matrix(lake.read_arrow(pooled))[[0, 1, 2, 4]]
    theirs = table.vectors[[table.names.index(id_) for id_ in ("c05", "c06", "c07", "c09")]]
    return (cosine(ours, ours) + 3 * cosine(theirs, theirs)) / 4


def test_an_ensemble_without_a_member_is_not_made_and_says_which(lake):
    _, pooled = planted_parts(lake)
    mixed = Ensemble("both/mine", {"planted/w:genept-w": 1.0, "scgpt/human:outside": 1.0})
    assert missing_members(mixed, "planted", pooled) == ("scgpt/human:outside",)
    assert release_ensemble(lake, mixed, KIND, "planted", pooled, []) == []
