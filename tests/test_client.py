"""What an analyst does: find releases, read tables and partitions, connect another reader."""

from __future__ import annotations

import secrets

import polars as pl
import pytest
from declared_rows import candidate, declared_frame, declared_rows, store_table, with_tables
from polars.testing import assert_frame_equal

import genept
from genept.client import load_table, open_releases
from genept.settings import Settings
from genept.store.errors import StoreError
from genept.store.lake import NewPart, StoredTable
from genept.store.manifest import Manifest
from genept.store.provenance import Origin
from genept.store.s3 import ObjectStore
from genept.tables import TABLES

EMBEDDINGS, OBSERVATIONS = TABLES["gene_embeddings"], TABLES["observations"]


@pytest.fixture(scope="module")
def settings(object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """An installation whose product nobody else publishes."""
    access = object_store.access
    return Settings(
        state_dir=tmp_path_factory.mktemp("state"),
        s3_endpoint=access.endpoint_url,
        s3_access_key=access.access_key,
        s3_secret_key=access.secret_key,
        bucket=access.bucket,
        product=f"client-{secrets.token_hex(4)}",
    )


def several_parts(settings: Settings, name: str, *parts: tuple[str, int]) -> StoredTable:
    """A table with a part, of vectors of the dimension, for each value of its partition."""
    table, lake = TABLES[name], open_releases(settings).lake
    new = [
        NewPart(
            name,
            declared_rows(table, partition=(value,), dimension=dimension),
            (value,),
            dimension if table.vector else None,
        )
        for value, dimension in parts
    ]
    origin = Origin(code=(), settings={"parts": [list(part) for part in parts]})
    return lake.assemble(name, lake.build(f"test/{name}", origin, lambda: new))


@pytest.fixture(scope="module")
def published(settings: Settings) -> tuple[Manifest, Manifest]:
    """Two releases: a plain one, then one of several collections and spaces, and no responses."""
    known = open_releases(settings)
    plain = candidate(known.lake)
    rich = with_tables(
        plain,
        observations=several_parts(settings, "observations", ("a", 0), ("b", 0)),
        gene_embeddings=several_parts(settings, "gene_embeddings", ("m/x", 4), ("n/x", 3)),
        drug_responses=known.lake.assemble("drug_responses", []),
        genes=store_table(known.lake, "genes", declared_rows(TABLES["genes"], first=1)),
    )
    return known.publish(plain).manifest, known.publish(rich).manifest


pytestmark = pytest.mark.usefixtures("published")


def test_releases_are_listed_oldest_first(
    settings: Settings, published: tuple[Manifest, Manifest]
) -> None:
    assert genept.releases(settings=settings) == [one.release_id for one in published]


@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_read_as_it_was_written(
    settings: Settings, published: tuple[Manifest, Manifest], name: str
) -> None:
    rows = genept.load_table(name, release=published[0].release_id, settings=settings).collect()
    assert_frame_equal(rows, declared_frame(TABLES[name]))


def test_the_latest_release_is_read_unless_one_is_named(
    settings: Settings, published: tuple[Manifest, Manifest]
) -> None:
    first = load_table("genes", release=published[0].release_id, settings=settings)
    latest = load_table("genes", settings=settings)
    assert first.select("hgnc_id").first().collect().item() == "HGNC:1"
    assert latest.select("hgnc_id").first().collect().item() == "HGNC:2"


def test_partitions_are_read_together_or_by_value(settings: Settings) -> None:
    parts = {one: declared_frame(OBSERVATIONS, partition=(one,)) for one in "ab"}
    together = load_table("observations", settings=settings).collect()
    assert_frame_equal(together, pl.concat(parts.values()))
    (lonely,) = pl.collect_all([load_table("observations", settings=settings, collection_id="b")])
    assert_frame_equal(lonely, parts["b"])


def test_vectors_of_different_dimensions_never_meet(settings: Settings) -> None:
    with pytest.raises(StoreError, match=r"choose one space of m/x \(4\), n/x \(3\)"):
        load_table("gene_embeddings", settings=settings)
    for space, dimension in (("m/x", 4), ("n/x", 3)):
        rows = load_table("gene_embeddings", settings=settings, space=space).collect()
        assert rows.schema["embedding"] == pl.Array(pl.Float32, dimension)
        assert rows["space"].unique().to_list() == [space]


def test_a_table_without_rows_is_an_empty_frame_with_its_columns(settings: Settings) -> None:
    rows = load_table("drug_responses", settings=settings).collect()
    assert rows.is_empty()
    assert rows.schema == declared_frame(TABLES["drug_responses"]).schema


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("gene", {}, "has no table 'gene'; did you mean 'genes'?"),
        ("zzz", {}, "has no table 'zzz'; there are .*'benchmark_results'"),
        ("genes", {"release": "20010101T000000Z-0"}, "no release '20010101T000000Z-0'; the latest"),
        ("genes", {"symbol": "TP53"}, r"'genes' is split by \[\], not by \['symbol'\]"),
        (
            "observations",
            {"collection_id": "c"},
            r"'observations' has nothing for \{'collection_id': 'c'\}; it has \['a', 'b'\]",
        ),
        ("drug_responses", {"collection_id": "c"}, r"'drug_responses' has nothing for .*\[\]"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(
    settings: Settings, name: str, options: dict[str, str], message: str
) -> None:
    with pytest.raises(StoreError, match=message.replace("?", r"\?")):
        load_table(name, settings=settings, **options)


def test_other_readers_get_what_they_need(
    settings: Settings, published: tuple[Manifest, Manifest]
) -> None:
    address = open_releases(settings).address(published[1].release_id, "data/genes/*.parquet")
    options = genept.storage_options(settings=settings)
    assert pl.scan_parquet(address, storage_options=options).collect().height == 3
    with genept.duckdb_connection(settings=settings) as connection:
        assert connection.read_parquet(address).aggregate("count(*)").fetchall() == [(3,)]


def test_before_the_first_release_the_remedy_is_said(settings: Settings) -> None:
    empty = settings.model_copy(update={"product": "never-published"})
    assert genept.releases(settings=empty) == []
    with pytest.raises(StoreError, match="run `genept run` first"):
        load_table("genes", settings=empty)


def test_the_package_offers_what_it_says_and_nothing_else() -> None:
    assert genept.load_table is load_table
    for name in genept.__all__:
        assert callable(getattr(genept, name))
    with pytest.raises(AttributeError, match="no attribute 'loadtable'"):
        genept.loadtable  # noqa: B018
