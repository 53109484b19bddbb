"""What an analyst does: find releases, read tables and partitions, connect another reader."""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from declared_rows import (
    candidate,
    declared_frame,
    declared_rows,
    default_partition,
    store_table,
    with_tables,
)
from fault_proxy import fault_proxy
from installations import settings_over
from planted_release import publish_planted
from polars.testing import assert_frame_equal

import genept
from genept.client.api import load_table
from genept.client.release_lookup import OfflineWarning, Snippets, open_releases
from genept.common.errors import StoreError, UnreachableStoreError
from genept.common.settings import Settings
from genept.release.manifest import Manifest
from genept.schema.tables import TABLES
from genept.storage.object_store import ObjectStore
from genept.storage.provenance import NewPart, Origin, StoredTable

AXIS = 5
"""Genes, so that those which the declared rows of `expression` count are on the axis."""

EMBEDDINGS, OBSERVATIONS = TABLES["gene_embeddings"], TABLES["observations"]


@pytest.fixture(scope="module")
def settings(object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """An installation whose product nobody else publishes."""
    return settings_over(object_store, tmp_path_factory.mktemp("state"), "client")


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
def published(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Manifest, Manifest]:
    """Two releases: a plain one, then one of several collections and spaces, and no responses."""
    elsewhere = tmp_path_factory.mktemp("publisher")  # whose copies the analyst does not have
    publisher = settings.model_copy(update={"state_dir": elsewhere})
    known = open_releases(publisher)
    plain = candidate(known.lake)
    plain = with_tables(
        plain,
        gene_axis=store_table(known.lake, "gene_axis", declared_rows(TABLES["gene_axis"], AXIS)),
    )
    rich = with_tables(
        plain,
        observations=several_parts(publisher, "observations", ("a", 0), ("b", 0)),
        gene_embeddings=several_parts(publisher, "gene_embeddings", ("m/x", 4), ("n/x", 3)),
        drug_responses=known.lake.assemble("drug_responses", []),
        genes=store_table(known.lake, "genes", declared_rows(TABLES["genes"], first=1)),
    )
    return known.publish(plain).manifest, known.publish(rich).manifest


pytestmark = pytest.mark.usefixtures("published")


def test_releases_are_listed_oldest_first(
    settings: Settings, published: tuple[Manifest, Manifest]
) -> None:
    assert genept.releases(settings=settings) == [manifest.release_id for manifest in published]


@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_read_as_it_was_written(
    settings: Settings, published: tuple[Manifest, Manifest], name: str
) -> None:
    rows = genept.load_table(name, release=published[0].release_id, settings=settings).collect()
    expected = declared_frame(TABLES[name], AXIS if name == "gene_axis" else 3)
    assert_frame_equal(rows, expected.sort(TABLES[name].key))


def test_the_latest_release_is_read_unless_one_is_named(
    settings: Settings, published: tuple[Manifest, Manifest]
) -> None:
    first = load_table("genes", release=published[0].release_id, settings=settings)
    latest = load_table("genes", settings=settings)
    assert first.select("hgnc_id").first().collect().item() == "HGNC:1"
    assert latest.select("hgnc_id").first().collect().item() == "HGNC:2"


def test_partitions_are_read_together_or_by_value(settings: Settings) -> None:
    parts = {
        collection: declared_frame(OBSERVATIONS, partition=(collection,)) for collection in "ab"
    }
    together = load_table("observations", settings=settings).collect()
    assert_frame_equal(together, pl.concat(parts.values()))
    (lonely,) = pl.collect_all([load_table("observations", settings=settings, collection_id="b")])
    assert_frame_equal(lonely, parts["b"])


def test_vectors_of_one_space_are_arrays_and_of_several_dimensions_lists(
    settings: Settings,
) -> None:
    for space, dimension in (("m/x", 4), ("n/x", 3)):
        rows = load_table("gene_embeddings", settings=settings, space=space).collect()
        assert rows.schema["embedding"] == pl.Array(pl.Float32, dimension)
        assert rows["space"].unique().to_list() == [space]
    every = load_table("gene_embeddings", settings=settings).collect()
    assert every.schema["embedding"] == pl.List(pl.Float32)
    assert every["space"].to_list() == ["m/x"] * 3 + ["n/x"] * 3
    assert every["embedding"].list.len().to_list() == [4] * 3 + [3] * 3
    of_space = load_table("gene_embeddings", settings=settings).filter(pl.col("space") == "n/x")
    assert of_space.collect()["embedding"].to_list() == rows["embedding"].to_list()


def test_a_table_without_rows_is_an_empty_frame_with_its_columns(settings: Settings) -> None:
    rows = load_table("drug_responses", settings=settings).collect()
    assert rows.is_empty()
    assert rows.schema == declared_frame(TABLES["drug_responses"]).schema


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("gene", {}, "has no table 'gene'; did you mean 'genes'?"),
        ("zzz", {}, "has no table 'zzz'; there are .*, benchmark_results"),
        ("genes", {"release": "20010101T000000Z-0"}, "no release '20010101T000000Z-0'; the latest"),
        ("genes", {"symbol": "TP53"}, r"'genes' is split by \[\], not by \['symbol'\]"),
        (
            "observations",
            {"collection_id": "c"},
            "'observations' has nothing for collection_id 'c'; there are a, b",
        ),
        (
            "drug_responses",
            {"collection_id": "c"},
            "has nothing for .*; there are none",
        ),
    ],
)
def test_what_is_not_there_is_said_with_what_is(
    settings: Settings, name: str, options: dict[str, str], message: str
) -> None:
    with pytest.raises(StoreError, match=message.replace("?", r"\?")):
        load_table(name, settings=settings, **options)


def test_near_misses_of_a_partition_are_suggested(settings: Settings) -> None:
    with pytest.raises(StoreError, match=r"did you mean 'm/x'\?"):
        genept.load_embeddings(space="m/z", settings=settings)
    with pytest.raises(
        StoreError, match=r"no cells or samples of 'collection_id-000'.*did you mean"
    ):
        genept.load_embeddings(
            space="space-0000", collection="collection_id-000", settings=settings
        )


def test_embeddings_come_as_ids_and_a_matrix(settings: Settings) -> None:
    ids, matrix = genept.load_embeddings(space="n/x", settings=settings)
    rows = declared_frame(EMBEDDINGS, partition=("n/x",), dimension=3)
    assert ids.tolist() == rows["ensembl_gene_id"].to_list()
    assert matrix.dtype == np.float32
    assert np.array_equal(matrix, rows["embedding"].to_numpy())
    assert not matrix.flags.writeable, "it is what others read, too"
    cells = TABLES["cell_embeddings"]
    space, method, collection = default_partition(cells)
    ids, matrix = genept.load_embeddings(
        space=space, method=method, collection=collection, settings=settings
    )
    assert ids.tolist() == declared_frame(cells)["observation_id"].to_list()
    assert matrix.shape == (3, 4)


def test_some_vectors_come_by_themselves_in_the_order_of_their_ids(settings: Settings) -> None:
    fresh = settings.model_copy(update={"state_dir": settings.state_dir / "by-range"})
    every, matrix = genept.load_embeddings(space="m/x", settings=settings)
    wanted = [str(every[2]), str(every[0])]
    for near in (fresh, settings):  # by ranges, and from the copy on this machine
        ids, vectors = genept.load_embeddings(space="m/x", ids=wanted, settings=near)
        assert ids.tolist() == wanted
        assert np.array_equal(vectors, matrix[[2, 0]])
        with pytest.raises(StoreError, match="no vectors of FOXP3: vectors are found by id"):
            genept.load_embeddings(space="m/x", ids=["FOXP3"], settings=near)
    assert not (fresh.state / "cache" / "parts").exists(), "no file was fetched whole"


def test_a_collection_comes_as_anndata(
    settings: Settings, published: tuple[Manifest, Manifest]
) -> None:
    space, method, collection = default_partition(TABLES["cell_embeddings"])
    # Of the plain release: its axis is long enough for its expression.
    made = genept.load_anndata(
        collection, space=space, method=method, release=published[0].release_id, settings=settings
    )
    assert made.shape == (3, AXIS)
    expected = declared_frame(TABLES["expression"])
    for row, genes, values in expected.select("gene_index", "value").with_row_index().iter_rows():
        assert made.X[row, genes].toarray().ravel().tolist() == values
    assert made.obs_names.tolist() == expected["observation_id"].to_list()
    assert made.var_names[0] == "ENSG00000000001"
    vectors = declared_frame(TABLES["cell_embeddings"])["embedding"].to_numpy()
    assert np.array_equal(made.obsm["X_genept"], vectors)
    assert (made.uns["release"], made.uns["space"]) == (published[0].release_id, space)


def test_what_was_kept_is_read_when_the_store_is_out_of_reach(
    settings: Settings, published: tuple[Manifest, Manifest]
) -> None:
    with fault_proxy(str(settings.s3_endpoint)) as proxy:
        near = settings.model_copy(
            update={"s3_endpoint": proxy.url, "state_dir": settings.state_dir / "offline"}
        )
        kept = load_table("genes", keep=True, settings=near).collect()
        ids, _ = genept.load_embeddings(space="n/x", settings=near)
    with pytest.warns(OfflineWarning, match=published[1].release_id):
        assert_frame_equal(load_table("genes", settings=near).collect(), kept)
    with pytest.warns(OfflineWarning):
        again, _ = genept.load_embeddings(space="n/x", settings=near)
    assert again.tolist() == ids.tolist()
    pinned = load_table("genes", release=published[1].release_id, settings=near).collect()
    assert_frame_equal(pinned, kept)
    with (
        pytest.warns(OfflineWarning),
        pytest.raises(UnreachableStoreError, match="'gene_names' .* keep=True"),
    ):
        load_table("gene_names", settings=near)
    never_seen = near.model_copy(update={"state_dir": settings.state_dir / "fresh"})
    with pytest.raises(UnreachableStoreError, match="does not answer"):
        load_table("genes", settings=never_seen)


def test_a_kept_file_that_was_damaged_is_fetched_again(
    settings: Settings, published: tuple[Manifest, Manifest]
) -> None:
    near = settings.model_copy(update={"state_dir": settings.state_dir / "damaged"})
    whole = load_table("genes", keep=True, settings=near).collect()
    (file,) = published[1].tables["genes"].files
    copy = near.state / "cache" / "parts" / f"{file.sha256}.parquet"
    copy.write_bytes(copy.read_bytes()[:-9])
    assert_frame_equal(load_table("genes", settings=near).collect(), whole)
    assert_frame_equal(load_table("genes", keep=True, settings=near).collect(), whole)
    assert hashlib.sha256(copy.read_bytes()).hexdigest() == file.sha256


def pasted(settings: Settings, code: str) -> dict[str, Any]:
    """What is printed for an analyst, run as it stands but for where the settings are."""
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (
            ("STATE_DIR", settings.state_dir),
            ("S3_ENDPOINT", settings.s3_endpoint),
            ("S3_ACCESS_KEY", settings.s3_access_key),
            ("S3_SECRET_KEY", settings.s3_secret_key.get_secret_value()),  # type: ignore[union-attr]
            ("BUCKET", settings.bucket),
            ("PRODUCT", settings.product),
        ):
            patch.setenv(f"GENEPT_{name}", str(value))
        exec(code, names)  # noqa: S102 (what users paste)
    return names


def snippets(settings: Settings, manifest: Manifest) -> Snippets:
    return Snippets(open_releases(settings).files, manifest)


@pytest.mark.parametrize("reader", ["polars", "pandas", "pyarrow", "duckdb"])
def test_snippets_do_what_they_say(
    settings: Settings, published: tuple[Manifest, Manifest], reader: str
) -> None:
    code = snippets(settings, published[1]).readers()[reader]
    genes = pasted(settings, code)["genes"]
    assert len(genes) == 3
    assert type(genes).__name__ in {"DataFrame", "Table"}, "printed, it shows the first rows"


def test_the_r_snippet_names_a_file_that_is_there(
    settings: Settings, published: tuple[Manifest, Manifest], tmp_path: Path
) -> None:
    """R itself is asked to read the code where it is installed; its arrow package seldom is."""
    code = snippets(settings, published[1]).r()
    bucket, endpoint = re.findall(r'"([^"]*)"', code)[:2]
    (key,) = re.findall(r'bucket\$path\("([^"]*)"\)', code)
    store = open_releases(settings).store
    assert (bucket, endpoint) == (store.bucket, store.access.endpoint_url)
    assert store.exists(key)
    (tmp_path / "snippet.R").write_text(code)
    if program := shutil.which("Rscript"):
        parse = ["-e", f"invisible(parse('{tmp_path / 'snippet.R'}'))"]
        subprocess.run([program, *parse], check=True)


def test_the_printed_questions_are_answered(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    installation = settings.model_copy(update={"product": f"asked-{secrets.token_hex(4)}"})
    manifest = publish_planted(installation)
    nearest, text, drugs, tissues = snippets(installation, manifest).questions().values()
    pasted(installation, text)
    assert capsys.readouterr().out == "a regulator of T cells\n"
    pasted(installation, nearest)
    first, *others = re.findall(r"│ (\w+) +┆ +-?[\d.]+", capsys.readouterr().out)
    assert first == "SAME"
    assert len(others) == 9
    assert "FOXP3" not in others
    pasted(installation, drugs)
    effects = re.findall(r"│ ([\w']+) +┆ +(-?[\d.]+)", capsys.readouterr().out)
    assert [drug for drug, _ in effects] == ["blood's", "everybody's"]
    pasted(installation, tissues)
    shown = capsys.readouterr().out
    (drug, _), *by_tissue = re.findall(r"│ (\w+) +┆ +(-?[\d.]+)", shown)
    assert drug == "Encorafenib"
    assert by_tissue == [("skin", "-0.7"), ("leukemia", "0.5")]


def test_a_release_of_few_genes_is_asked_about_one_that_it_has(
    settings: Settings, published: tuple[Manifest, Manifest], capsys: pytest.CaptureFixture[str]
) -> None:
    few = published[1].model_copy(update={"limits": {"max_genes": 3}})
    space = load_table("gene_embeddings", space="m/x", release=few.release_id, settings=settings)
    gene, *others = space.select("symbol").collect()["symbol"]
    questions = snippets(settings, few).questions()
    pasted(settings, questions[f"the ten genes nearest to {gene}"])
    shown = capsys.readouterr().out
    assert all(other in shown for other in others)
    assert f'"{gene}"' in questions["the text that was embedded"]


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
    assert dir(genept) == sorted(genept.__all__)
    for name in genept.__all__:
        assert callable(getattr(genept, name))
    with pytest.raises(AttributeError, match="no attribute 'loadtable'"):
        genept.loadtable  # noqa: B018
