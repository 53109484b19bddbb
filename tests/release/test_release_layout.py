"""Files of a release lie where readers of many files look, and state types that they can join."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from declared_rows import declared_rows

from genept.common.errors import StoreError
from genept.release.layout import as_released, file_path, released_schema
from genept.schema.tables import TABLES
from genept.storage.local_files import read_matrix
from genept.storage.parquet import write_parquet

VECTORS = TABLES["gene_embeddings"]


@pytest.mark.parametrize(
    ("partition", "folder"),
    [
        ("minilm-l6-v2/name-go", "space=minilm-l6-v2%2Fname-go"),
        ("a b=c%2F", "space=a%20b%3Dc%252F"),
        ("random-384@shuffled", "space=random-384%40shuffled"),
        ("µ", "space=%C2%B5"),
        ("..", "space=.."),
    ],
)
def test_values_of_a_path_are_percent_encoded(partition: str, folder: str) -> None:
    path = file_path(VECTORS, (partition,), 7)
    assert path == f"data/gene_embeddings/{folder}/part-00007.parquet"


def test_a_table_without_partitions_is_one_folder() -> None:
    assert file_path(TABLES["genes"], (), 0) == "data/genes/part-00000.parquet"


@pytest.mark.parametrize("dimension", [1, 4, 384])
@pytest.mark.parametrize("n", [0, 1, 300])
def test_a_copy_states_lists_and_holds_the_same_pages(
    tmp_path: Path, dimension: int, n: int
) -> None:
    rows = declared_rows(VECTORS, n, dimension=dimension)
    part = write_parquet(tmp_path / "part", VECTORS, rows, dimension)
    copy = as_released(part.path, tmp_path / "copy")
    body = copy.path.read_bytes()
    assert copy.sha256 == hashlib.sha256(body).hexdigest()
    assert (copy.bytes, copy.rows) == (len(body), n)
    stored = pq.read_table(copy.path)
    wanted = released_schema(VECTORS.schema(dimension))
    assert stored.schema.equals(wanted)
    assert stored.schema.field("embedding").type == pa.list_(
        pa.field("item", pa.float32(), nullable=False)
    )
    assert stored.schema.field("embedding").metadata == wanted.field("embedding").metadata
    before = pq.read_metadata(part.path).metadata
    after = pq.read_metadata(copy.path).metadata
    assert {key: text for key, text in before.items() if key != b"ARROW:schema"} == {
        key: text for key, text in after.items() if key != b"ARROW:schema"
    }
    assert stored["embedding"].to_pylist() == rows["embedding"].to_pylist()
    assert np.array_equal(read_matrix(copy.path, dimension), read_matrix(part.path, dimension))
    assert as_released(part.path, tmp_path / "again").sha256 == copy.sha256


def test_copies_of_several_dimensions_are_read_as_one_table(tmp_path: Path) -> None:
    for space, dimension in (("m/x", 4), ("n/x", 3)):
        path = tmp_path / file_path(VECTORS, (space,), 0)
        path.parent.mkdir(parents=True)
        rows = declared_rows(VECTORS, 3, partition=(space,), dimension=dimension)
        part = write_parquet(tmp_path / "part", VECTORS, rows, dimension)
        as_released(part.path, path)
    together = pl.read_parquet(tmp_path / "data", hive_partitioning=True)
    assert together.schema["embedding"] == pl.List(pl.Float32)
    assert together["space"].to_list() == ["m/x"] * 3 + ["n/x"] * 3


def test_a_file_that_states_nothing_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "foreign", store_schema=False)
    with pytest.raises(StoreError, match="does not state its types"):
        as_released(tmp_path / "foreign", tmp_path / "copy")
