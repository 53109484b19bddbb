"""GenePT-w against a dense float64 computation, and what has no place in a space."""

import threading
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from planted import (
    MINILM,
    a_collection,
    embedded,
    ingest_parsed,
    numbered_reference,
    parsed_of,
)
from threadpoolctl import threadpool_info

from genept.common.errors import StoreError
from genept.embeddings.expression import align, embedding_matrix
from genept.embeddings.pooled_shards import embed_shards, shards_of
from genept.embeddings.pooling import in_order, pool, pool_groups
from genept.embeddings.weighted_sum import WeightedSum
from genept.storage.lake import Lake
from genept.text.local.baselines import RandomVectors

N_GENES, DIMENSIONS = 12, 6


def dense_mean(weights, vectors, has_vector):
    """Chen & Zou: the weighted mean of the genes' vectors, scaled to unit length."""
    weights, vectors = weights.astype(np.float64), vectors.astype(np.float64)
    covered = weights * has_vector
    embedding, coverage = np.zeros((len(weights), vectors.shape[1])), np.zeros(len(weights))
    for row, of_row in enumerate(covered):
        if of_row.sum() > 0:
            mean = of_row @ vectors / of_row.sum()
            embedding[row] = mean / np.sqrt((mean**2).sum())
            coverage[row] = of_row.sum() / weights[row].sum()
    return embedding, coverage


WEIGHTS = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 5), st.just(N_GENES)),
    elements=st.just(0.0) | st.floats(0.125, 16, width=32),
)
HAS_VECTOR = arrays.arrays(np.bool_, N_GENES)


def unit_vectors(has_vector):
    vectors = RandomVectors(DIMENSIONS).embed([f"gene {row}" for row in range(N_GENES)])
    vectors[~has_vector] = 0
    return vectors


@given(WEIGHTS, HAS_VECTOR)
def test_pooling_is_the_weighted_mean(weights, has_vector):
    vectors = unit_vectors(has_vector)
    embedding, coverage = pool(sp.csr_matrix(weights), vectors, has_vector)
    expected, expected_coverage = dense_mean(weights, vectors, has_vector)
    np.testing.assert_allclose(embedding, expected, atol=1e-5)
    np.testing.assert_allclose(coverage, expected_coverage, atol=1e-6)
    assert embedding.dtype == coverage.dtype == np.float32
    assert ((coverage >= 0) & (coverage <= 1)).all()


@given(WEIGHTS, HAS_VECTOR, st.sampled_from([0.25, 4.0, 1024.0]))
def test_the_scale_of_an_observation_does_not_matter(weights, has_vector, factor):
    vectors = unit_vectors(has_vector)
    once = pool(sp.csr_matrix(weights), vectors, has_vector)
    scaled = pool(sp.csr_matrix(weights * np.float32(factor)), vectors, has_vector)
    for before, after in zip(once, scaled, strict=True):
        np.testing.assert_allclose(before, after, atol=1e-6)


@given(WEIGHTS, HAS_VECTOR, st.data())
def test_an_observation_has_the_same_vector_in_whatever_company(weights, has_vector, data):
    vectors = unit_vectors(has_vector)
    row = data.draw(st.integers(0, len(weights) - 1))
    together = pool(sp.csr_matrix(weights), vectors, has_vector)
    alone = pool(sp.csr_matrix(weights[[row]]), vectors, has_vector)
    for of_all, of_one in zip(together, alone, strict=True):
        np.testing.assert_allclose(of_all[row], of_one[0], atol=1e-6)  # another order of adding


def test_thousands_of_genes_stay_within_rounding():
    rng = np.random.default_rng(3)
    weights = rng.gamma(1.0, 2.0, (4, 20_000)).astype(np.float32)
    vectors = RandomVectors(64).embed([str(row) for row in range(20_000)])
    everywhere = np.ones(20_000, dtype=bool)
    embedding, coverage = pool(sp.csr_matrix(weights), vectors, everywhere)
    np.testing.assert_allclose(embedding, dense_mean(weights, vectors, everywhere)[0], atol=1e-5)
    assert (coverage == 1).all()


def test_vectors_are_put_in_the_order_of_the_axis():
    vectors = RandomVectors(4).embed(["a", "b", "c"])
    table = pa.table(
        {
            "ensembl_gene_id": ["a", "b", "c"],
            "embedding": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 4),
        }
    )
    axis = pl.DataFrame(
        {
            "gene_index": [2, 0, 1],
            "ensembl_gene_id": ["a", "c", "x"],
            "n_observations": [4, 1, 0],
        }
    )
    aligned = align(table, axis, 4)
    assert aligned.has_vector.tolist() == [True, False, True]
    assert aligned.popularity.tolist() == [0.25, 0, 1]
    np.testing.assert_array_equal(aligned.vectors, [vectors[2], np.zeros(4), vectors[0]])


REFERENCE = numbered_reference(N_GENES)
SYMBOLS = REFERENCE["symbol"].to_list()
ENSEMBL = REFERENCE["ensembl_gene_id"].to_list()
VALUES = {
    "counts": np.random.default_rng(0).poisson(2.0, (600, N_GENES)) + 1.0,
    "tpm": np.random.default_rng(3).gamma(1.0, 9.0, (30, N_GENES)),
    "log1p": np.random.default_rng(4).gamma(2.0, 1.0, (30, N_GENES)),
    "log2": np.random.default_rng(1).normal(3, 4, (30, N_GENES)),
    "zscore": np.random.default_rng(2).normal(0, 1, (30, N_GENES)),
}
WITHOUT_VECTOR = [2, 7]
COVERED = [gene for position, gene in enumerate(ENSEMBL) if position not in WITHOUT_VECTOR]


def embed_collection(lake, *, workers=1, **arguments):
    (part,) = embed_shards(lake, shards_of(**arguments), workers)
    return part


def embed_planted(lake, monkeypatch, values, unit, kind, genes=COVERED):
    collection = a_collection(unit, kind=kind)
    parts = ingest_parsed(monkeypatch, lake, parsed_of(values, SYMBOLS), REFERENCE, collection)
    vectors = embedded(lake, MINILM, genes)
    arguments = {
        "kind": kind,
        "unit": unit,
        "gene_embeddings": vectors,
        "axis": parts["gene_axis"],
        "expression": [parts["expression"]],
    }
    return arguments, vectors


def dense_weights(values, unit):
    """Weights of values that are not reads by length."""
    if unit == "log1p":
        return values
    if unit in ("counts", "tpm"):
        return np.log1p(values * 1e4 / values.sum(axis=1, keepdims=True))
    if unit == "log2":
        return np.clip(values, 0, None)
    return values - values.min(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("unit", "kind", "table"),
    [
        ("counts", "single_cell", "cell_embeddings"),
        ("log2", "bulk", "sample_embeddings"),
        ("zscore", "bulk", "sample_embeddings"),
    ],
)
def test_a_collection_through_the_lake(lake: Lake, monkeypatch, unit, kind, table):
    values = VALUES[unit].astype(np.float32)
    arguments, vectors = embed_planted(lake, monkeypatch, values, unit, kind)
    part = embed_collection(lake, **arguments)
    assert (part.table, part.rows, part.dimension) == (table, len(values), 32)
    assert part.partition == (MINILM.id, "genept-w", "planted")
    rows = lake.read_arrow(part)
    assert rows["observation_id"].to_pylist() == [f"o{row:03d}" for row in range(len(values))]
    assert set(rows["method"].to_pylist()) == {"genept-w"}

    by_gene = dict(
        zip(COVERED, embedding_matrix(lake.read_arrow(vectors)).astype(np.float64), strict=True)
    )
    dense = np.stack([by_gene.get(gene, np.zeros(32)) for gene in ENSEMBL])
    has_vector = np.array([gene in by_gene for gene in ENSEMBL])
    weights = dense_weights(values.astype(np.float64), unit)
    expected, coverage = dense_mean(weights, dense, has_vector)
    np.testing.assert_allclose(embedding_matrix(rows), expected, atol=1e-5)
    np.testing.assert_allclose(rows["coverage"].to_numpy(), coverage, atol=1e-5)
    assert coverage.max() < 1


def test_it_is_embedded_once_and_the_same_input_gives_the_same_bytes(
    lake: Lake, object_store, store_prefix, tmp_path, monkeypatch
):
    values = VALUES["counts"]
    arguments, _ = embed_planted(lake, monkeypatch, values, "counts", "single_cell")
    first = embed_collection(lake, **arguments)
    other = Lake(object_store, f"{store_prefix}-other", tmp_path / "other")
    elsewhere, _ = embed_planted(other, monkeypatch, values, "counts", "single_cell")
    assert embed_collection(other, **elsewhere, workers=2).sha256 == first.sha256

    def refuse(*_):
        raise AssertionError("it is embedded already")

    monkeypatch.setattr("genept.embeddings.pooled_shards.row_groups_of", refuse)
    assert embed_collection(lake, **arguments) == first


@dataclass
class InMemory:
    """A row group that need not be read."""

    content: list

    def __len__(self):
        return sum(len(ids) for ids, _ in self.content)

    def blocks(self):
        return iter(self.content)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("unit", sorted(VALUES))
def test_row_groups_come_in_order_and_threads_do_not_change_a_bit(unit, threads):
    values = VALUES[unit].astype(np.float32)
    has_vector = np.arange(N_GENES) % 5 > 0
    vectors = unit_vectors(has_vector)
    blocks = [
        ([f"o{row}" for row in range(start, start + 7)], sp.csr_matrix(values[start : start + 7]))
        for start in range(0, 28, 7)
    ]
    groups = [InMemory(blocks[start : start + 2]) for start in range(0, len(blocks), 2)]
    laid_out = WeightedSum(vectors, np.linspace(0, 1, N_GENES))
    pooled_groups = list(pool_groups(groups, laid_out, has_vector, unit, threads))
    assert [ids for ids, _ in pooled_groups] == [
        [f"o{row}" for row in range(start, start + 14)] for start in (0, 14)
    ]
    expected = dense_mean(dense_weights(values[:28].astype(np.float64), unit), vectors, has_vector)
    for part, of_all in enumerate(expected):
        together = np.concatenate([pooled[part] for _, pooled in pooled_groups])
        np.testing.assert_allclose(together, of_all, atol=1e-5)
    for threaded, other in zip(
        pooled_groups, pool_groups(groups, laid_out, has_vector, unit, 1), strict=True
    ):
        np.testing.assert_array_equal(threaded[1][0], other[1][0])
    assert list(pool_groups([], laid_out, has_vector, unit, threads)) == []


def test_a_row_group_is_pooled_in_the_thread_that_reads_it():
    """The limit on BLAS's threads is held for all of them, and given back."""
    read_by = []

    class Watched(InMemory):
        def blocks(self):
            read_by.append(threading.get_ident())
            blas = [
                library["num_threads"]
                for library in threadpool_info()
                if library["user_api"] == "blas"
            ]
            assert set(blas) == {1}
            return super().blocks()

    has_vector = np.ones(N_GENES, bool)
    laid_out = WeightedSum(unit_vectors(has_vector), np.ones(N_GENES))
    group = Watched([(["o"], sp.csr_matrix(np.ones((1, N_GENES), np.float32)))])
    before = threadpool_info()
    assert len(list(pool_groups([group] * 9, laid_out, has_vector, "tpm", 2))) == 9
    assert threading.get_ident() not in read_by
    assert threadpool_info() == before


def test_blas_has_its_threads_back_if_a_row_cannot_be_written(lake: Lake, monkeypatch):
    def fail_after_one(_path, _table, rows, *_):
        next(iter(rows))
        raise StoreError("the disk is full")

    arguments, _ = embed_planted(lake, monkeypatch, VALUES["counts"], "counts", "single_cell")
    monkeypatch.setattr("genept.embeddings.pooled_shards.write_parquet", fail_after_one)
    before = threadpool_info()
    with pytest.raises(StoreError, match="disk is full") as failed:
        embed_collection(lake, **arguments)
    assert failed.tb is not None, "the error, and with it all that was open, is still held"
    assert threadpool_info() == before


def test_readers_are_never_far_ahead_and_an_error_reaches_who_reads():
    taken = []

    def items():
        for number in range(50):
            taken.append(number)
            yield number

    for done, number in enumerate(in_order(lambda item: item, items(), 2)):
        assert number == done
        assert len(taken) <= done + 4
    with pytest.raises(ZeroDivisionError):
        list(in_order(lambda divisor: 1 // divisor, [1, 0, 1], 2))


def test_an_observation_without_any_covered_gene_is_named(lake: Lake, monkeypatch):
    values = VALUES["counts"].copy()
    values[533] = 0
    values[533, WITHOUT_VECTOR] = 5
    arguments, _ = embed_planted(lake, monkeypatch, values, "counts", "single_cell")
    with pytest.raises(StoreError, match=r"'planted'.*1 observations, such as 'o533', express no"):
        embed_collection(lake, **arguments)
    assert not [info for info in lake.store.list(lake.prefix) if "cell_embeddings" in info.key]


def test_a_log_profile_below_one_everywhere_has_no_place(lake: Lake, monkeypatch):
    values = np.array([[3.0] * N_GENES, [-1.0] * N_GENES])
    arguments, _ = embed_planted(lake, monkeypatch, values, "log2", "bulk")
    with pytest.raises(StoreError, match="'o001'"):
        embed_collection(lake, **arguments)


def test_new_gene_vectors_make_new_embeddings(lake: Lake, monkeypatch):
    arguments, first = embed_planted(lake, monkeypatch, VALUES["zscore"], "zscore", "bulk")
    before = embed_collection(lake, **arguments)
    second = embedded(lake, MINILM, ENSEMBL)
    assert first.sha256 != second.sha256
    after = embed_collection(lake, **arguments | {"gene_embeddings": second})
    assert after.sha256 != before.sha256
    assert after.partition == before.partition
    np.testing.assert_allclose(lake.read_arrow(after)["coverage"].to_numpy(), 1, atol=1e-6)
