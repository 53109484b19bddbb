"""Added collections: files under their hash, a declaration, and an ingest that reads the bucket."""

from __future__ import annotations

import pytest
from own_files import REFERENCE, counts, write_counts, write_labels

from genept.collections.detection import detect
from genept.collections.ingestion import TABLES_OF_A_COLLECTION, ingest
from genept.collections.sidecar import Sidecar
from genept.collections.user_collections import (
    added_collections,
    declare_collection,
    store_files,
    user_sources,
)
from genept.common.errors import SourceError, StoreError
from genept.datasources.catalogue import load_catalogue
from genept.datasources.download.archives import Archives
from genept.datasources.download.mirrors import SourceLocations
from genept.datasources.readers.spool import spool_folder
from genept.nomenclature.mapping import Nomenclature
from genept.storage.lake import Lake


@pytest.fixture
def detected(lake: Lake, store_prefix, tmp_path):
    write_labels(tmp_path / "labels.csv", write_counts(tmp_path / "mine.csv", counts()))
    return detect(
        tmp_path / "mine.csv",
        tmp_path / "labels.csv",
        Sidecar(id="mine"),
        Nomenclature(REFERENCE.index),
        bucket=lake.store.bucket,
        product=store_prefix,
    )


def add(lake, prefix, detected):
    store_files(lake.store, detected.sources, detected.files)
    return declare_collection(lake.store, prefix, detected.entry, detected.sources)


def archives_of(lake, detected, folder):
    catalogue = load_catalogue().with_entries(detected.sources, [detected.entry])
    locations = SourceLocations(
        presign=lambda bucket, key: lake.store.presigned(key, bucket=bucket)
    )
    return Archives(catalogue, folder, locations=locations)


def test_an_added_collection_is_ingested_from_the_bucket(lake, store_prefix, detected, tmp_path):
    add(lake, store_prefix, detected)
    (declared,) = added_collections(lake.store, store_prefix).all()
    assert (declared.collection, declared.sources) == (detected.entry, detected.sources)
    for path in detected.files.values():
        path.unlink()
    archives = archives_of(lake, detected, tmp_path / "cache")
    parts = ingest(lake, archives, declared.collection, lambda: REFERENCE, "reference-1")
    tables = {part.table: part for part in parts}
    assert set(tables) == set(TABLES_OF_A_COLLECTION) - {"drug_responses"}
    cells = lake.read(tables["observations"])
    assert cells.select("observation_id", "group_id", "cell_type").row(0) == (
        "cell-0", "d0", "T cell",
    )  # fmt: skip
    assert lake.read(tables["collections"])["n_observations"].item() == 40


def test_what_was_parsed_is_kept_until_the_collection_is_in_the_lake(
    lake, store_prefix, detected, tmp_path
):
    add(lake, store_prefix, detected)
    archives = archives_of(lake, detected, tmp_path / "cache")
    spools = spool_folder(archives, detected.entry)

    def interrupted():
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            ingest(lake, archives, detected.entry, interrupted, "reference-1")
        assert len(list(spools.iterdir())) == 1, "the next run need not parse it again"
    ingest(lake, archives, detected.entry, lambda: REFERENCE, "reference-1")
    assert not spools.exists()


def test_bytes_that_are_not_the_declared_ones_are_refused(lake, store_prefix, detected, tmp_path):
    add(lake, store_prefix, detected)
    key = detected.sources[0].address.removeprefix(f"s3://{lake.store.bucket}/")
    lake.store.put_if_match(key, b"id,GEN1\na,1\n", lake.store.head(key).etag)
    archives = archives_of(lake, detected, tmp_path / "cache")
    with pytest.raises(SourceError, match=r"mine\.csv has 12 bytes, expected"):
        ingest(lake, archives, detected.entry, lambda: REFERENCE, "reference-1")


def test_a_declaration_stands_until_it_is_removed(lake, store_prefix, detected):
    first = add(lake, store_prefix, detected)
    assert add(lake, store_prefix, detected) == first, "the same again changes nothing"
    other = detected.entry.model_copy(update={"title": "another"})
    with pytest.raises(StoreError, match="'mine' is registered already"):
        declare_collection(lake.store, store_prefix, other, detected.sources)
    files = {info.key for info in lake.store.list(f"{store_prefix}/added/files/")}
    added_collections(lake.store, store_prefix).remove("mine")
    assert added_collections(lake.store, store_prefix).find("mine") is None
    assert {info.key for info in lake.store.list(f"{store_prefix}/added/files/")} == files
    assert declare_collection(lake.store, store_prefix, other, detected.sources).collection == other


def test_a_damaged_declaration_names_itself(lake, store_prefix):
    lake.store.put_if_absent(f"{store_prefix}/added/collections/x.json", b'{"collection": 1}')
    with pytest.raises(StoreError, match=r"x\.json is not a declaration of a collection"):
        added_collections(lake.store, store_prefix).all()


def test_names_that_an_address_would_misread_are_replaced(tmp_path):
    (tmp_path / "a b#c?.csv").write_text("x")
    terms = Sidecar(id="mine").terms
    (source,) = user_sources(
        [tmp_path / "a b#c?.csv"], "mine", bucket="lake", product="p", terms=terms
    )
    assert source.filename == "a_b_c_.csv"
    assert source.title == "a b#c?.csv"


def test_an_id_of_the_shipped_catalogue_is_taken(detected):
    entry = detected.entry.model_copy(update={"id": "prostate"})
    with pytest.raises(SourceError, match="has a collection 'prostate' already"):
        load_catalogue().with_entries(detected.sources, [entry])
