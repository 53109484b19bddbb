"""Releases from before schema 2.0.0: paths by value, and vectors that are stated as arrays."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from shutil import copyfile

import numpy as np
import polars as pl
import pytest
from declared_rows import (
    candidate,
    declared_frame,
    declared_rows,
    with_tables,
)
from installations import settings_over
from simulation import first_version

import genept
from genept.client.release_lookup import open_releases
from genept.common.settings import Settings
from genept.release import gate, publish, staging
from genept.release.candidates import ReleaseCandidate
from genept.release.diff import differences
from genept.release.manifest import Manifest
from genept.release.publish import Releases
from genept.release.rollback import roll_back, verify
from genept.schema import Column, Table
from genept.schema.tables import SCHEMA_VERSION, TABLES
from genept.storage.object_store import ObjectStore
from genept.storage.parquet import WrittenFile
from genept.storage.provenance import NewPart, Origin

VECTORS = TABLES["gene_embeddings"]
SPACES = {"m/x": 4, "n/x": 3}


def path_by_value(table: Table, partition: Sequence[str], number: int) -> str:
    return "/".join(["data", table.name, *partition, f"part-{number:05d}.parquet"])


def stated_before(column: Column, now: Callable[[Column], str] = Column.type_name.fget) -> str:
    return "fixed_size_list<float>[dimensions of the space]" if column.is_vector else now(column)


def unchanged(path: Path, copy: Path) -> WrittenFile:
    copyfile(path, copy)
    return WrittenFile(copy, path.stem, copy.stat().st_size, 0)


def publish_as_before(releases: Releases, offered: ReleaseCandidate) -> Manifest:
    """Publish in the layout, and under the version, of the platform before schema 2.0.0."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staging, "file_path", path_by_value)
        patch.setattr(staging, "as_released", unchanged)
        patch.setattr(staging, "released_schema", lambda schema: schema)
        patch.setattr(Column, "type_name", property(stated_before))
        patch.setattr(publish, "SCHEMA_VERSION", "1.10.0")
        patch.setattr(gate, "SCHEMA_VERSION", "1.10.0")
        patch.setattr(gate.refuse_breaking, "__defaults__", (TABLES, "1.10.0"))
        return releases.publish(offered).manifest


@pytest.fixture(scope="module")
def settings(object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return settings_over(object_store, tmp_path_factory.mktemp("state"), "earlier")


@pytest.fixture(scope="module")
def offered(settings: Settings) -> ReleaseCandidate:
    lake = open_releases(settings).lake
    parts = [
        NewPart(
            VECTORS.name,
            declared_rows(VECTORS, partition=(space,), dimension=dimension),
            (space,),
            dimension,
        )
        for space, dimension in SPACES.items()
    ]
    built = lake.build("test/spaces", Origin(code=()), lambda: parts)
    return with_tables(candidate(lake), gene_embeddings=lake.assemble(VECTORS.name, built))


@pytest.fixture(scope="module")
def two(settings: Settings, offered: ReleaseCandidate) -> tuple[Manifest, Manifest]:
    """The same content: as before schema 2.0.0, then by this version."""
    releases = open_releases(settings)
    return publish_as_before(releases, offered), releases.publish(offered).manifest


def test_the_same_content_is_released_in_the_new_layout_once(
    settings: Settings, two: tuple[Manifest, Manifest], offered: ReleaseCandidate
) -> None:
    before, after = two
    assert before.release_id != after.release_id
    assert before.data_version == after.data_version
    assert (before.schema_version, after.schema_version) == ("1.10.0", SCHEMA_VERSION)
    paths = [[file.path for file in each.tables[VECTORS.name].files] for each in two]
    assert paths[0] == [f"data/gene_embeddings/{space}/part-00000.parquet" for space in SPACES]
    assert paths[1] == [
        "data/gene_embeddings/space=m%2Fx/part-00000.parquet",
        "data/gene_embeddings/space=n%2Fx/part-00000.parquet",
    ]
    releases = open_releases(settings)
    assert not releases.publish(offered).is_new
    for each in two:
        assert not verify(releases.store, releases.folder(each.release_id), each)


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("keep", [False, True])
def test_both_are_read_alike(
    settings: Settings, two: tuple[Manifest, Manifest], which: int, keep: bool
) -> None:
    options = {"release": two[which].release_id, "settings": settings}
    expected = {
        space: declared_frame(VECTORS, partition=(space,), dimension=dimension)
        for space, dimension in SPACES.items()
    }
    for space in SPACES:
        rows = genept.load_table(VECTORS.name, keep=keep, space=space, **options).collect()
        assert rows.equals(expected[space])
        assert rows.schema == expected[space].schema
        ids, matrix = genept.load_embeddings(space=space, **options)
        assert np.array_equal(matrix, expected[space]["embedding"].to_numpy())
    ids, some = genept.load_embeddings(space="n/x", ids=[str(ids[1])], **options)
    assert np.array_equal(some, matrix[[1]])
    every = genept.load_table(VECTORS.name, keep=keep, **options).collect()
    assert every.schema["embedding"] == pl.List(pl.Float32)
    assert every["embedding"].list.len().to_list() == [4] * 3 + [3] * 3


def test_they_differ_in_what_they_state_and_in_no_value(
    settings: Settings, two: tuple[Manifest, Manifest]
) -> None:
    changes = differences(open_releases(settings).files, *two)
    assert changes.tables[VECTORS.name].columns_retyped == ("embedding",)
    assert {drift.table for drift in changes.vectors} == {
        "gene_embeddings",
        "cell_embeddings",
        "sample_embeddings",
    }
    for drift in changes.vectors:
        assert (drift.added, drift.removed, drift.worst) == (0, 0, ())
        assert drift.compared


def test_a_client_of_before_reads_the_files_that_the_manifest_names(
    settings: Settings, two: tuple[Manifest, Manifest]
) -> None:
    releases = open_releases(settings)
    options = releases.store.access.storage_options()
    for name, table in two[1].tables.items():
        for file in table.files:
            address = releases.address(two[1].release_id, file.path)
            assert pl.scan_parquet([address], storage_options=options).collect().height == file.rows
            assert name == file.path.split("/")[1]
    read = dict(first_version.read_current(releases.store.get, settings.product))
    assert len(read) == sum(len(table.files) for table in two[1].tables.values())


def test_content_that_was_rolled_back_from_stays_denied_in_the_new_layout(
    settings: Settings, offered: ReleaseCandidate
) -> None:
    apart = settings.model_copy(update={"product": f"denied-{secrets.token_hex(4)}"})
    releases = open_releases(apart)
    genes = candidate(releases.lake, first=1).tables["genes"]
    good = with_tables(offered, genes=genes)
    publish_as_before(releases, good)
    publish_as_before(releases, offered)
    roll_back(releases, reason="wrong sign")
    with pytest.raises(staging.ReleaseRefusedError, match="wrong sign"):
        releases.publish(offered)
    assert releases.publish(good).is_new
    pointer = json.loads(releases.store.get(f"{apart.product}/current.json"))
    assert pointer["denied"][0]["reason"] == "wrong sign"
