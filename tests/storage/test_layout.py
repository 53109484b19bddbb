"""The physical layout serves readers: one gene is a small read, expression is compact."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from declared_rows import declared_rows
from fault_proxy import FaultProxy, fault_proxy

from genept.client.vectors import read_vectors
from genept.schema.tables import TABLES
from genept.storage.bucket import Access
from genept.storage.duckdb_files import duckdb_connection
from genept.storage.lake import Lake
from genept.storage.local_files import read_matrix
from genept.storage.object_store import ObjectStore
from genept.storage.parquet import write_parquet

GENES, DIMENSIONS = 19_000, 384
EMBEDDINGS, EXPRESSION = TABLES["gene_embeddings"], TABLES["expression"]


def embeddings() -> pa.Table:
    vectors = np.random.default_rng(0).normal(size=(GENES, DIMENSIONS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    schema = EMBEDDINGS.schema(DIMENSIONS)
    return pa.table(
        [
            ["minilm-l6-v2/name-go"] * GENES,
            [f"ENSG{number:011}" for number in range(GENES)],
            [f"G{number}" for number in range(GENES)],
            pa.FixedSizeListArray.from_arrays(
                pa.array(vectors.ravel()), type=schema.field("embedding").type
            ),
            [f"{number:064x}" for number in range(GENES)],
        ],
        schema=schema,
    )


@pytest.fixture(scope="module")
def address(object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("layout") / "part-00000.parquet"
    write_parquet(path, EMBEDDINGS, embeddings(), DIMENSIONS)
    key = f"tests/layout-{path.parent.name}/part-00000.parquet"
    object_store.put_if_absent(key, path)
    return key


def read_with_polars(access: Access, address: str) -> int:
    rows = pl.scan_parquet(address, storage_options=access.storage_options(), glob=False)
    return (
        rows.filter(pl.col("ensembl_gene_id") == f"ENSG{9_000:011}")
        .select("embedding")
        .collect()
        .height
    )


def read_with_pyarrow(access: Access, address: str) -> int:
    path = address.removeprefix("s3://")
    wanted = [("ensembl_gene_id", "=", f"ENSG{9_000:011}")]
    return pq.read_table(
        path, filesystem=access.filesystem(), columns=["embedding"], filters=wanted
    ).num_rows


def read_with_genept(access: Access, address: str) -> int:
    bucket, _, key = address.removeprefix("s3://").partition("/")
    keys = (access.access_key, access.secret_key)
    with ObjectStore(access.endpoint_url, *keys, access.region, bucket) as store:
        wanted = [f"ENSG{9_000:011}"]
        vectors = read_vectors(store, key, "ensembl_gene_id", DIMENSIONS, wanted)
    assert vectors.matrix.shape == (1, DIMENSIONS)
    return len(vectors.ids)


def gets(proxy: FaultProxy) -> list[int]:
    return [size for method, size in proxy.answered if method == "GET"]


POLARS_FIRST = 2**18
"""What polars fetches of any file before it knows anything of it."""


@pytest.mark.parametrize(
    ("read", "allowance"),
    [
        (read_with_genept, 300_000),
        (read_with_pyarrow, 300_000),
        (read_with_polars, POLARS_FIRST + 2**17),
    ],
)
def test_one_gene_is_a_small_read(
    object_store: ObjectStore, address: str, read: Callable[[Access, str], int], allowance: int
) -> None:
    access = object_store.access
    assert access.endpoint_url
    with fault_proxy(access.endpoint_url) as proxy:
        near = Access(proxy.url, access.access_key, access.secret_key, access.region, access.bucket)
        assert read(near, object_store.uri(address)) == 1
        assert sum(gets(proxy)) <= allowance, gets(proxy)
        assert len(gets(proxy)) <= 3, gets(proxy)


@pytest.mark.parametrize(
    ("rows", "dimension", "layout"),
    [
        (400, 384, {}),
        (3, 4, {}),
        (7, 1, {}),
        (400, 384, {"compression": "zstd"}),
        (400, 384, {"use_dictionary": True}),
        (2_000, 384, {"row_group_size": 2_000}),  # several pages to a group
        (900, 384, {"row_group_size": 300, "data_page_size": 4_096}),
        (400, 384, {"column_encoding": {"embedding.list.element": "BYTE_STREAM_SPLIT"}}),
        (0, 4, {}),
    ],
)
def test_a_matrix_is_what_arrow_decodes_whatever_the_layout(
    tmp_path: Path, rows: int, dimension: int, layout: dict[str, Any]
) -> None:
    path = tmp_path / "vectors.parquet"
    table = declared_rows(EMBEDDINGS, rows, dimension=dimension)
    if layout:
        plain = {"use_dictionary": False, "compression": "none"}
        pq.write_table(table, path, **{**plain, **layout})
    else:
        write_parquet(path, EMBEDDINGS, table, dimension)
    expected = pl.DataFrame(pl.from_arrow(table))["embedding"].to_numpy()
    matrix = read_matrix(path, dimension)
    assert matrix.shape == (rows, dimension)
    assert np.array_equal(matrix, expected.reshape(rows, dimension))


def test_counts_have_a_dictionary_and_continuous_values_have_not(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    values = {"counts": random.poisson(2, 6_000), "continuous": random.gamma(1, 2, 6_000)}
    encodings = {}
    for name, numbers in values.items():
        rows = pa.table(
            [
                ["c"] * 6,
                [f"o{number}" for number in range(6)],
                [list(range(1_000))] * 6,
                numbers.astype(np.float32).reshape(6, 1_000).tolist(),
            ],
            schema=EXPRESSION.schema(),
        )
        path = tmp_path / name
        whole = write_parquet(path, EXPRESSION, rows)
        column = pq.read_metadata(path).row_group(0).column(3)
        encodings[name] = set(column.encodings)
        assert pq.read_table(path).equals(rows)
        batches = [rows.slice(0, 0), rows]
        again = write_parquet(
            path, EXPRESSION, (batch for part in batches for batch in part.to_batches())
        )
        assert again.sha256 == whole.sha256
    assert "RLE_DICTIONARY" in encodings["counts"]
    assert encodings["continuous"] == {"RLE", "BYTE_STREAM_SPLIT"}


def test_every_reader_reads_expression_as_it_was_written(
    lake: Lake, object_store: ObjectStore, store_prefix: str, tmp_path: Path
) -> None:
    random = np.random.default_rng(1)
    genes = [np.sort(random.choice(12_000, 700, replace=False)) for _ in range(50)]
    rows = pa.table(
        [
            ["c"] * 50,
            [f"o{number:03}" for number in range(50)],
            [list(map(int, indices)) for indices in genes],
            [random.poisson(2, 700).astype(np.float32).tolist() for _ in genes],
        ],
        schema=EXPRESSION.schema(),
    )
    path = tmp_path / "it.parquet"
    written = write_parquet(path, EXPRESSION, rows)
    assert written.bytes < 50 * 700 * 2.5, "both numbers of a gene in two bytes and a half"
    assert pq.read_table(path).equals(rows)
    assert pl.read_parquet(path).equals(pl.DataFrame(pl.from_arrow(rows)))
    key = f"{store_prefix}/it.parquet"
    object_store.put_if_absent(key, path)
    with duckdb_connection(object_store) as connection:
        read_rows = connection.read_parquet(object_store.uri(key)).to_arrow_table()
    assert read_rows["gene_index"].to_pylist() == rows["gene_index"].to_pylist()
