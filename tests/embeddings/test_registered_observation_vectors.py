"""Vectors that another model made: registered once, joined by id, everybody counted."""

import numpy as np
import pytest
from embedding_parts import IDS, KIND, outside_table, planted_parts, registered
from hypothesis import given
from hypothesis import strategies as st

from genept.common.errors import SourceError, StoreError
from genept.datasources.readers.vector_tables import VectorTable
from genept.embeddings.expression import embedding_matrix
from genept.embeddings.registered_observation_vectors import (
    Joined,
    join_summary,
    registered_vectors,
    release_registered_vectors,
)


@given(st.sets(st.integers(0, 20)), st.sets(st.integers(0, 20)))
def test_every_id_is_accounted_for_once(vectors, observations):
    joined = Joined.of([str(id_) for id_ in vectors], [str(id_) for id_ in observations])
    everyone = [*joined.matched, *joined.without_vector, *joined.strangers]
    assert sorted(everyone) == sorted({str(id_) for id_ in vectors | observations})
    assert len(joined.matched) + len(joined.without_vector) == len(observations)


def test_a_release_holds_who_is_known_and_names_everybody_else(lake, store_prefix):
    expression, _ = planted_parts(lake)
    table = outside_table([0, 2, 6], strangers=2)
    declared = registered(lake.store, store_prefix, table)
    assert registered_vectors(lake.store, store_prefix).all() == [declared]

    made = release_registered_vectors(lake, declared, KIND, expression, product=store_prefix)
    assert made == release_registered_vectors(
        lake, declared, KIND, expression, product=store_prefix
    )
    first, second, origins, unmatched = made
    assert (first.table, first.partition) == (
        "cell_embeddings",
        ("scgpt/human", "outside", "planted"),
    )
    assert (first.number, second.number) == (0, 1)
    rows = lake.read_arrow(first)
    assert rows["observation_id"].to_pylist() == ["c00", "c02"]
    assert rows["coverage"].to_pylist() == [1, 1]
    of_c00 = table.vectors[table.names.index("c00")]
    np.testing.assert_allclose(
        embedding_matrix(rows)[0], of_c00 / np.linalg.norm(of_c00), rtol=1e-6
    )
    (row,) = lake.read(origins).rows(named=True)
    assert (row["n_observations"], row["n_joined"], row["n_strangers"]) == (10, 3, 2)
    assert (row["made_of"], row["licence"]) == (["x.h5ad"], "CC-BY-4.0")
    assert row["longest"] == pytest.approx(np.linalg.norm(table.vectors, axis=1).max())
    reasons = dict(lake.read(unmatched).select("observation_id", "reason").iter_rows())
    assert reasons == {id_: "no_vector" for id_ in IDS if id_ not in ("c00", "c02", "c06")} | {
        "nobody-0": "no_observation", "nobody-1": "no_observation"
    }  # fmt: skip
    assert join_summary(lake, made) == (
        "3 of 10 observations have a vector; 2 vectors are of no observation"
    )


def test_vectors_of_nobody_are_counted_and_stop_no_release(lake, store_prefix):
    expression, _ = planted_parts(lake)
    declared = registered(lake.store, store_prefix, outside_table([], strangers=3))
    origins, unmatched = release_registered_vectors(
        lake, declared, KIND, expression, product=store_prefix
    )
    assert lake.read(origins)["n_joined"].item() == 0
    assert unmatched.rows == 13


def test_what_is_registered_is_not_rewritten_and_can_be_taken_back(lake, store_prefix):
    declared = registered(lake.store, store_prefix, outside_table([0, 1]))
    with pytest.raises(StoreError, match="'planted/scgpt/human' is registered already"):
        registered(lake.store, store_prefix, outside_table([2, 3]))
    assert registered_vectors(lake.store, store_prefix).all() == [declared]
    with pytest.raises(StoreError, match="there are planted/scgpt/human"):
        registered_vectors(lake.store, store_prefix).remove("elsewhere/scgpt/human")
    registered_vectors(lake.store, store_prefix).remove("planted/scgpt/human")
    assert registered_vectors(lake.store, store_prefix).all() == []


def test_a_space_has_one_number_of_dimensions(lake, store_prefix):
    registered(lake.store, store_prefix, outside_table([0, 1]))
    other = VectorTable(["s1"], np.ones((1, 3), np.float32))
    with pytest.raises(SourceError, match="3 dimensions, but 'scgpt/human' has 6 in .*'planted'"):
        registered(lake.store, store_prefix, other, collection="other")
    again = outside_table([0, 1])
    assert registered(lake.store, store_prefix, again, collection="other").dimensions == 6


@pytest.mark.parametrize(
    ("names", "vectors", "reason"),
    [
        (["c1", "c2", "c1"], [[1, 0]] * 3, "2 of 3 names occur more than once, such as 'c1'"),
        (["c1", "c2"], [[1, 0], [np.inf, 1]], "1 of 2 names have a vector that is not finite"),
        (["c1", "c2"], [[1, 0], [0, 0]], "all zero, such as 'c2'"),
    ],
)
def test_unusable_vectors_are_refused_and_nothing_is_stored(
    lake, store_prefix, names, vectors, reason
):
    with pytest.raises(SourceError, match=reason):
        registered(lake.store, store_prefix, VectorTable(names, np.array(vectors, np.float32)))
    assert list(lake.store.list(store_prefix)) == []


def test_damage_is_found(lake, store_prefix):
    declared = registered(lake.store, store_prefix, outside_table([0, 1]))
    expression, _ = planted_parts(lake)
    key = f"{store_prefix}/spaces/tables/{declared.table_sha256}.parquet"
    lake.store.delete([key])
    lake.store.put_if_absent(key, b"something else")
    with pytest.raises(StoreError, match="is damaged: .*add them again"):
        release_registered_vectors(lake, declared, KIND, expression, product=store_prefix)
