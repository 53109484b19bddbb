"""Simulate collections of many shards: requests, seconds and bytes of what one process does alone.

Run by `make bench`. Shards hold few observations, so that what remains is what a shard costs
whatever is in it: records, tables, staging, audit. It prints each step for rising numbers of
shards, how well half the number foretells the whole, and what follows for a million bulk samples
and a hundred million cells. Pooling itself is in `bench_pooling`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import polars as pl
import pyarrow as pa

from genept.collections.shards import SHARD_OBSERVATIONS
from genept.embeddings.pooled_shards import Shard, embed_shards, shards_of
from genept.release import staging
from genept.schema.tables import TABLES
from genept.storage.embedded_store import REGION, EmbeddedStore
from genept.storage.lake import Lake
from genept.storage.object_store import ObjectStore
from genept.storage.provenance import NewPart, Origin, Part, StoredTable

N_GENES, DIMENSIONS, ROWS = 200, 384, 16
Result = TypeVar("Result")
COLLECTION, SPACE = "bench", "bench/name"
GENES: Final = [f"ENSG{number:011d}" for number in range(N_GENES)]
WANTED: Final = {
    "a million bulk samples": 1_000_000,
    "a hundred million cells": 100_000_000,
}


def report(*words: str) -> None:
    print(*words, flush=True)  # noqa: T201


@dataclass
class Meter:
    """Counts the requests of a store."""

    store: ObjectStore
    n: int = 0
    costs: dict[str, tuple[int, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store.client.meta.events.register("before-send.s3", self._count)

    def _count(self, **_: object) -> None:
        self.n += 1

    def measure(self, name: str, work: Callable[[], Result]) -> Result:
        """Requests and seconds of a step."""
        before, start = self.n, time.perf_counter()
        result = work()
        self.costs[name] = (self.n - before, time.perf_counter() - start)
        return result


def planted(lake: Lake, n_shards: int) -> list[Shard]:
    """Shards of a collection with a few counts each, stored."""
    rng = np.random.default_rng(0)
    seen = np.full(N_GENES, n_shards * ROWS)
    axis = {
        "collection_id": COLLECTION, "gene_index": range(N_GENES), "ensembl_gene_id": GENES,
        "symbol": [f"G{number}" for number in range(N_GENES)], "n_observations": seen,
        "n_inputs": 1, "policy": None, "length": 1000,
    }  # fmt: skip
    vectors = rng.standard_normal((N_GENES, DIMENSIONS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    schema = TABLES["gene_embeddings"].schema(DIMENSIONS)
    listed = pa.FixedSizeListArray.from_arrays(
        pa.array(vectors.ravel()), type=schema.field("embedding").type
    )
    texts = [f"{number:064x}" for number in range(N_GENES)]
    of_genes = pa.table([[SPACE] * N_GENES, GENES, GENES, listed, texts], schema=schema)
    declared = TABLES["expression"].schema()

    def shard(number: int) -> NewPart:
        ids = [f"o{number * ROWS + row}" for row in range(ROWS)]
        index = [list(range(N_GENES))] * ROWS
        counts = rng.poisson(2.0, (ROWS, N_GENES)) + 1.0
        columns = [[COLLECTION] * ROWS, ids, index, counts.tolist()]
        rows = pa.table(columns, schema=declared)
        return NewPart("expression", rows, (COLLECTION,), number=number)

    parts = lake.build(
        f"bench/{n_shards}",
        Origin(code=()),
        lambda: [
            NewPart(
                "gene_axis",
                pl.DataFrame(axis, schema_overrides={"policy": pl.String}),
                (COLLECTION,),
            ),
            NewPart("gene_embeddings", of_genes, (SPACE,), DIMENSIONS),
            *map(shard, range(n_shards)),
        ],
    )
    of_axis, of_space = (
        next(part for part in parts if part.table == name)
        for name in ("gene_axis", "gene_embeddings")
    )
    expression = [part for part in parts if part.table == "expression"]
    return shards_of("single_cell", "counts", of_space, of_axis, expression)


def simulate(store: ObjectStore, folder: Path, n_shards: int) -> Mapping[str, tuple[int, float]]:
    """Requests and seconds of every step of one process, by its name."""
    lake = Lake(store, f"bench-{n_shards}", folder / f"parts-{n_shards}")
    shards, meter = planted(lake, n_shards), Meter(store)
    parts: list[Part] = meter.measure("embed and record", lambda: embed_shards(lake, shards, 1))
    meter.measure("recall", lambda: embed_shards(lake, shards, 1))
    table: StoredTable = meter.measure(
        "assemble the table", lambda: lake.assemble("cell_embeddings", parts)
    )
    terms = {name: lake.assemble(name, []) for name in ("embedding_origins", "collections")}
    scratch = folder / f"scratch-{n_shards}"
    scratch.mkdir()
    staged = meter.measure(
        "stage", lambda: staging.stage(lake, "staged", terms | {table.table: table}, scratch)
    )
    meter.measure("audit", lambda: staging.audit(store, "staged", staged))
    listed = sum(len(entry.model_dump_json()) for entry in staged[table.table].files)
    report(f"{n_shards:,} shards: {listed / n_shards:,.0f} bytes of the manifest each")
    return meter.costs


def main() -> None:
    """Print everything."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--shards", type=int, default=800)
    largest = arguments.parse_args().shards
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        embedded = EmbeddedStore(folder / "store")
        endpoint = embedded.start()
        try:
            with ObjectStore(
                endpoint.url, endpoint.access_key, endpoint.secret_key, REGION, embedded.bucket
            ) as store:
                half, whole = (simulate(store, folder, n) for n in (largest // 2, largest))
        finally:
            embedded.stop()
    report(f"{'one process':<22}{'requests':>10}{'ms':>8}{'half foretells':>16}  per shard")
    for name, (requests, elapsed) in whole.items():
        foretold = 2 * half[name][1] / elapsed
        report(
            f"{name:<22}{requests / largest:>10.1f}{elapsed / largest * 1e3:>8.1f}{foretold:>15.0%}"
        )
    requests, elapsed = (sum(cost[at] for cost in whole.values()) for at in (0, 1))
    for what, n in WANTED.items():
        n_shards = -(-n // SHARD_OBSERVATIONS)
        report(
            f"{what}, {n_shards:,} shards a space: {requests / largest * n_shards:,.0f} requests, "
            f"{elapsed / largest * n_shards / 60:.1f} minutes of one process beside its bytes"
        )


if __name__ == "__main__":
    main()
