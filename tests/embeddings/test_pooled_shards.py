"""Shards of a collection: processes and a restart change no bit, the cut only the last ones."""

import numpy as np
import polars as pl
import pytest
from planted import MINILM, CountingEmbedder, a_collection, embedded, numbered_reference, parsed_of

import genept.collections.ingestion
import genept.collections.shards
from genept.collections.ingestion import ingest
from genept.common.errors import StoreError
from genept.datasources.catalogue import load_catalogue
from genept.datasources.download.archives import Archives
from genept.embeddings.expression import aligned_file, embedding_matrix, open_aligned, read_aligned
from genept.embeddings.pooled_shards import embed_shards, shards_of
from genept.embeddings.representations import Sampling
from genept.embeddings.sentences import embed_sentences
from genept.nomenclature.reference import Reference
from genept.storage.lake import Lake

N_GENES, N_CELLS = 60, 300
REFERENCE = numbered_reference(N_GENES)
RNG = np.random.default_rng(5)
DETECTION = np.linspace(0.01, 1, N_GENES)
VALUES = RNG.poisson(3.0, (N_CELLS, N_GENES)) * (RNG.random((N_CELLS, N_GENES)) < DETECTION)
VALUES[:, 0] += 1


def sharded(lake, monkeypatch, size):
    """The planted cells in shards of `size`, and a space."""
    monkeypatch.setattr(genept.collections.shards, "SHARD_OBSERVATIONS", size)
    parsed = parsed_of(VALUES, REFERENCE["symbol"].to_list())
    monkeypatch.setattr(genept.collections.ingestion, "parse_collection", lambda *_: parsed)
    parts = ingest(
        lake,
        Archives(load_catalogue(), lake.cache / "no-archives"),
        a_collection("counts", kind="single_cell"),
        lambda: Reference("hgnc-test", REFERENCE),
        f"reference-{size}",
    )
    tables = {part.table: part for part in parts}
    expression = [part for part in parts if part.table == "expression"]
    vectors = embedded(lake, MINILM, REFERENCE["ensembl_gene_id"].to_list()[:-3])
    return tables, shards_of("single_cell", "counts", vectors, tables["gene_axis"], expression)


class Counting(CountingEmbedder):
    def count_tokens(self, texts):
        return [2 + len(text.split()) for text in texts]


def rows_of(lake, parts):
    return pl.concat(lake.read(part) for part in parts).sort("observation_id")


@pytest.fixture
def elsewhere(object_store, store_prefix, tmp_path):
    def another(name):
        return Lake(object_store, f"{store_prefix}-{name}", tmp_path / name)

    return another


def test_the_axis_says_in_how_many_observations_a_gene_was_seen(lake, monkeypatch):
    for size in (300, 70):
        tables, _ = sharded(lake, monkeypatch, size)
        seen = lake.read(tables["gene_axis"])["n_observations"].to_list()
        assert seen == (VALUES > 0).sum(axis=0).tolist()


@pytest.mark.slow
def test_the_processes_change_no_bit_and_the_cut_only_the_last(lake, monkeypatch, elsewhere):
    """Some kernels of OpenBLAS add up a row in an order that depends on its place in the block."""
    _, whole = sharded(lake, monkeypatch, N_CELLS)
    assert [shard.is_alone for shard in whole] == [True]
    expected = rows_of(lake, embed_shards(lake, whole, 2))
    for size in (299, 150, 37):  # 299 leaves a shard of one cell
        _, shards = sharded(lake, monkeypatch, size)
        parts = embed_shards(lake, shards)
        assert [part.number for part in parts] == list(range(len(shards)))
        rows = rows_of(lake, parts)
        assert rows.drop("embedding").equals(expected.drop("embedding"))
        np.testing.assert_allclose(
            rows["embedding"].to_numpy(), expected["embedding"].to_numpy(), rtol=0, atol=5e-7
        )
    pooled = elsewhere("pooled")
    _, again = sharded(pooled, monkeypatch, 37)
    again_parts = embed_shards(pooled, again, 2)
    assert [part.sha256 for part in again_parts] == [part.sha256 for part in parts]


def test_a_killed_run_goes_on_where_it_stopped(lake, monkeypatch, elsewhere):
    from genept.embeddings import pooled_shards

    _, shards = sharded(lake, monkeypatch, 75)
    work, done = pooled_shards.embed_shard, []

    def killed_at_the_third(task):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(task.shard.expression.number)
        return work(task)

    monkeypatch.setattr(pooled_shards, "embed_shard", killed_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        embed_shards(lake, shards)
    monkeypatch.setattr(
        pooled_shards, "embed_shard", lambda task: done.append("again") or work(task)
    )
    parts = embed_shards(lake, shards)
    assert done == [0, 1, "again", "again"]
    assert embed_shards(lake, shards) == parts
    assert done == [0, 1, "again", "again"]
    unbroken = elsewhere("unbroken")
    _, same = sharded(unbroken, monkeypatch, 75)
    assert [part.sha256 for part in embed_shards(unbroken, same)] == [part.sha256 for part in parts]
    assert not [path for path in lake.cache.iterdir() if path.is_dir()]


def test_an_observation_without_a_place_is_named(lake, monkeypatch):
    values = VALUES.copy()
    values[260] = 0
    values[260, -1] = 5  # that gene has no vector
    monkeypatch.setitem(globals(), "VALUES", values)
    _, shards = sharded(lake, monkeypatch, 100)
    with pytest.raises(StoreError, match=r"'planted'.*1 observations, such as 'o260', express no"):
        embed_shards(lake, shards)


def test_the_file_that_processes_map_holds_the_same(lake, monkeypatch):
    tables, shards = sharded(lake, monkeypatch, 100)
    source = (shards[0].gene_embeddings, tables["gene_axis"], N_CELLS)
    path = aligned_file(lake, *source)
    before = path.stat().st_mtime_ns
    assert aligned_file(lake, *source) == path
    assert path.stat().st_mtime_ns == before
    mapped, read = open_aligned(path), read_aligned(lake, *source)
    assert isinstance(mapped.vectors.base, np.memmap)
    np.testing.assert_array_equal(mapped.vectors, read.vectors)
    np.testing.assert_array_equal(mapped.has_vector, read.has_vector)
    np.testing.assert_array_equal(mapped.popularity, read.popularity)
    assert not read.has_vector[-3:].any()
    assert read.has_vector[:-3].all()


def test_sentences_of_several_shards_are_those_of_one(lake, monkeypatch):
    results = []
    for size in (N_CELLS, 80):
        tables, shards = sharded(lake, monkeypatch, size)
        parts = embed_sentences(
            lake,
            kind="single_cell",
            unit="counts",
            observations=tables["observations"],
            axis=tables["gene_axis"],
            expression=[shard.expression for shard in shards],
            embedder=Counting(),
            product=lake.prefix,
            sampling=Sampling(3),
        )
        assert len(parts) <= 3
        assert {part.origin["settings"]["sampling"]["n_chosen"] for part in parts} == {3}
        results.append(rows_of(lake, parts))
    assert results[0].equals(results[1])
    assert embedding_matrix(results[0].to_arrow()).shape == (3, 32)
