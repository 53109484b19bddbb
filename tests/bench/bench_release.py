"""Measure publishing, reading and searching of a release, beside plain operations on its files.

Run by `make bench`. It prints and asserts nothing about time. Publishing is compared with
plain boto3 puts of the same files, reading with reading the bytes.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from genept.client.vectors import Vectors
from genept.embeddings.expression import embedding_matrix
from genept.release import staging
from genept.schema.tables import TABLES
from genept.storage.embedded_store import REGION, EmbeddedStore
from genept.storage.lake import Lake
from genept.storage.local_files import read_matrix
from genept.storage.object_store import ObjectStore
from genept.storage.parquet import write_parquet
from genept.storage.provenance import NewPart, Origin, Part, StoredTable

ROUNDS = 5
GENES, DIMENSIONS, SPACES = 19_000, 384, 4
LEAF = "embedding.list.element"


def report(*words: str) -> None:
    print(*words, flush=True)  # noqa: T201


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_turns(**works: Callable[[], object]) -> dict[str, float]:
    """Median seconds of each work; they run in turns, as the machine may be busy."""
    times = [{name: seconds(work) for name, work in works.items()} for _ in range(ROUNDS)]
    return {name: median(round_[name] for round_ in times) for name in works}


def vectors(n: int, seed: int = 0) -> np.ndarray:
    matrix = np.random.default_rng(seed).standard_normal((n, DIMENSIONS), dtype=np.float32)
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def gene_rows(space: str, seed: int) -> pa.Table:
    schema = TABLES["gene_embeddings"].schema(DIMENSIONS)
    embedding = pa.FixedSizeListArray.from_arrays(
        pa.array(vectors(GENES, seed).ravel()), type=schema.field("embedding").type
    )
    ids = [f"ENSG{number:011}" for number in range(GENES)]
    texts = [f"{number:064x}" for number in range(GENES)]
    return pa.table([[space] * GENES, ids, ids, embedding, texts], schema=schema)


def no_terms(lake: Lake) -> Part:
    """Table `collections` of one redistributable collection."""
    schema = TABLES["collections"].schema()
    row = dict.fromkeys(schema.names, "x") | {
        "kind": "bulk", "unit": "counts", "weights": "log1p_counts", "sources": ["x"],
        "redistributable": True, "n_observations": 1, "n_genes": 1, "n_without_length": 0,
        "n_quarantined": 0, "mapped_expression": 1.0,
    }  # fmt: skip
    rows = pa.Table.from_pylist([row], schema)
    new = NewPart("collections", rows, ("x",))
    return lake.build("bench/collections", Origin(code=()), lambda: [new])[0]


def tables_with(lake: Lake, *tables: StoredTable) -> dict[str, StoredTable]:
    """Tables to stage, with those that state their terms of use."""
    none = lake.assemble("embedding_origins", [])
    return {table.table: table for table in (none, *tables)}


def publishing(store: ObjectStore, lake: Lake, table: StoredTable) -> None:
    """Stage and audit, beside plain puts of the same files."""
    sizes = sum(part.bytes for part in table.parts) / 1e6
    numbers = iter(range(10_000))

    def plain() -> None:
        at = next(numbers)
        for part in table.parts:
            body = lake.local(part).read_bytes()
            store.client.put_object(Bucket=store.bucket, Key=f"plain/{at}/{part.sha256}", Body=body)

    def staged() -> None:
        collections = lake.assemble("collections", [no_terms(lake)])
        staging.stage(
            lake, f"staged/{next(numbers)}", tables_with(lake, collections, table), lake.cache
        )

    def staged_and_audited() -> None:
        collections = lake.assemble("collections", [no_terms(lake)])
        folder = f"audited/{next(numbers)}"
        tables = staging.stage(lake, folder, tables_with(lake, collections, table), lake.cache)
        staging.audit(store, folder, tables)

    medians = in_turns(plain=plain, staged=staged, audited=staged_and_audited)
    report(f"publishing {sizes:.0f} MB in {len(table.parts)} files")
    for name, elapsed in medians.items():
        report(f"  {name:<10} {elapsed:6.2f} s  {sizes / elapsed:6.0f} MB/s")
    speed = medians["plain"] / medians["staged"]
    report(f"  staging at {speed:.2f} × the speed of plain puts (aim ≥ 0.7)")
    report(f"  with its audit {medians['audited'] / medians['plain']:.2f} × their time (aim ≤ 2)")


def reading(store: ObjectStore, table: StoredTable, folder: Path) -> None:
    """All vectors of a space from S3, verified, beside its bytes; and one of them, by ranges."""
    part = table.parts[0]
    path = folder / "vectors.parquet"

    def fetch() -> None:
        store.download(part.key, path, part.sha256)

    def copied() -> None:
        fetch()
        read_matrix(path, DIMENSIONS)

    def decoded() -> None:
        fetch()
        embedding_matrix(pq.read_table(path, columns=["embedding"]))

    medians = in_turns(bytes=fetch, copied=copied, decoded=decoded)
    report(f"all {GENES:,} × {DIMENSIONS} vectors from S3 (aim ≤ 1.3 × their bytes)")
    for name, elapsed in medians.items():
        report(f"  {name:<8} {elapsed * 1e3:6.0f} ms  {elapsed / medians['bytes']:.2f} ×")


def layouts(folder: Path) -> None:
    """What the encodings of vectors cost and save."""
    rows = gene_rows("minilm-l6-v2/name-go", 0)
    path = folder / "layout.parquet"
    names = [name for name in rows.column_names if name != "embedding"]
    zstd = dict.fromkeys([*names, LEAF], "zstd")
    kinds: dict[str, Callable[[], object]] = {
        "as published": lambda: write_parquet(path, TABLES["gene_embeddings"], rows, DIMENSIONS),
        "zstd": lambda: pq.write_table(rows, path, use_dictionary=names, compression=zstd),
        "byte-stream-split, zstd": lambda: pq.write_table(
            rows,
            path,
            use_dictionary=names,
            compression=zstd,
            column_encoding={LEAF: "BYTE_STREAM_SPLIT"},
        ),
    }
    report("vectors on disk")
    for name, write in kinds.items():
        wrote = median(seconds(write) for _ in range(ROUNDS))
        read = median(
            seconds(lambda: pq.read_table(path, columns=["embedding"])) for _ in range(ROUNDS)
        )
        size = path.stat().st_size / 1e6
        report(f"  {name:<24} {size:6.1f} MB  write {wrote:.3f} s  read {read:.3f} s")


def searching() -> None:
    """The ten nearest of 100,000 vectors, exactly."""
    known = Vectors(np.arange(100_000).astype(np.str_), vectors(100_000))
    query = vectors(1, seed=9)[0]
    known.nearest(query, 10, centred=True)
    medians = in_turns(
        plain=lambda: known.nearest(query, 10),
        centred=lambda: known.nearest(query, 10, centred=True),
    )
    report("the 10 nearest of 100,000 vectors, after load (aim ≤ 50 ms)")
    for name, elapsed in medians.items():
        report(f"  {name:<8} {elapsed * 1e3:6.1f} ms")


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        layouts(folder)
        searching()
        embedded = EmbeddedStore(folder / "store")
        endpoint = embedded.start()
        try:
            with ObjectStore(
                endpoint.url, endpoint.access_key, endpoint.secret_key, REGION, embedded.bucket
            ) as store:
                lake = Lake(store, "bench", folder / "cache")
                spaces = [f"minilm-l6-v2/space-{number}" for number in range(SPACES)]
                parts = lake.build(
                    "bench",
                    Origin(code=()),
                    lambda: [
                        NewPart("gene_embeddings", gene_rows(space, at), (space,), DIMENSIONS)
                        for at, space in enumerate(spaces)
                    ],
                )
                table = lake.assemble("gene_embeddings", parts)
                publishing(store, lake, table)
                reading(store, table, folder)
        finally:
            embedded.stop()


if __name__ == "__main__":
    main()
