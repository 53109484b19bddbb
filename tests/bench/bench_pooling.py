"""Measure weighted sums of gene vectors and the embedding of collections, beside other methods.

Run by `make bench`; `--size 0.1` is a tenth of it. It prints and asserts nothing about time;
every result is compared with float64 scipy. The methods run in turns and medians are compared,
since the machine may be busy.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

from genept.embeddings.expression import Block, RowGroup, align, row_groups_of
from genept.embeddings.pooling import TABLE_OF_KIND, expression_weights, in_order, pool_part
from genept.embeddings.weighted_sum import WeightedSum, compiled, popularity
from genept.schema.columns import Table
from genept.schema.tables import TABLES
from genept.storage.parquet import write_parquet

THREADS = 2
N_GENES = 20_000
ROUNDS = 3
CELLS, SAMPLES = 0.09, 0.41
"""Share of the genes that a cell and a bulk-like sample express."""
PBMC_DETECTION = (
    (0, 1.0), (0.0064, 0.8), (0.0257, 0.5), (0.0703, 0.3), (0.0905, 0.25), (0.1159, 0.2),
    (0.1977, 0.1), (0.2633, 0.05), (0.3, 0.031), (0.35, 0.014), (0.4, 0.006), (0.5, 0.001),
    (1, 0.0004),
)  # fmt: skip
"""Share of genes, most popular first, and the share of the 1,336 cells of the starter
collection pbmc-hao that express the gene there: measured, and stretched to any axis below."""


class Cost(NamedTuple):
    """Wall and CPU seconds."""

    wall: float
    cpu: float


def report(*words: str) -> None:
    print(*words, flush=True)  # noqa: T201


def detection(density: float) -> np.ndarray:
    """Popularity of each gene as in real cells, sequenced so deeply that its mean is `density`.

    Molecules are Poisson: a gene seen in a share p of cells has a mean of −ln(1−p), and that mean
    grows with depth.
    """
    shares = np.array(PBMC_DETECTION)
    of_genes = np.interp(np.linspace(0, 1, N_GENES), shares[:, 0], shares[:, 1])
    mean = -np.log1p(-np.minimum(of_genes, 0.9993))
    low, high = 1e-3, 1e5
    for _ in range(80):
        depth = (low * high) ** 0.5
        low, high = (depth, high) if (-np.expm1(-depth * mean)).mean() < density else (low, depth)
    return np.random.default_rng(0).permutation(-np.expm1(-low * mean)).astype(np.float32)


def observations(n: int, density: float) -> sp.csr_matrix:
    """Counts of `n` observations over genes of realistic popularity."""
    rng = np.random.default_rng(1)
    share = detection(density)
    blocks = []
    for start in range(0, n, 1024):
        block = sp.csr_matrix(
            rng.random((min(1024, n - start), N_GENES), dtype=np.float32) < share, dtype=np.float32
        )
        block.data = rng.geometric(0.4, block.nnz).astype(np.float32)
        blocks.append(block)
    return sp.csr_matrix(sp.vstack(blocks, format="csr"))


def gene_vectors(dimensions: int) -> np.ndarray:
    vectors = np.random.default_rng(2).standard_normal((N_GENES, dimensions), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def timed(work: Callable[[], Any]) -> tuple[Cost, Any]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return Cost(time.perf_counter() - wall, time.process_time() - cpu), result


def in_turns(works: Mapping[str, Callable[[], Any]], rounds: int = ROUNDS) -> dict[str, Cost]:
    """Median costs of several pieces of work that take turns.

    There is a pause between them: the idle threads of a BLAS spin for a while before they sleep,
    which would slow down the next work.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            time.sleep(0.3)
            costs[name].append(timed(work)[0])
    return {
        name: Cost(
            median(sample.wall for sample in samples), median(sample.cpu for sample in samples)
        )
        for name, samples in costs.items()
    }


def compare(label: str, n: int, density: float, dimensions: int) -> None:
    """The kernel beside scipy, a dense product of everything, and the matrix-product peak."""
    weights = expression_weights(observations(n, density), "counts")
    vectors = gene_vectors(dimensions)
    kernel = WeightedSum(vectors, popularity(weights))
    exact = weights.astype(np.float64) @ vectors.astype(np.float64)
    square = np.random.default_rng(3).random((2048, 2048), dtype=np.float32)
    results = {"kernel": kernel(weights, THREADS), "scipy csr @ float32": weights @ vectors}
    works: dict[str, Callable[[], Any]] = {
        "kernel": lambda: kernel(weights, THREADS),
        "kernel, laid out anew": lambda: WeightedSum(vectors, popularity(weights))(
            weights, THREADS
        ),
        "scipy csr @ float32": lambda: weights @ vectors,
        "dense float32 product": lambda: weights.toarray() @ vectors,
        "sgemm peak": lambda: square @ square,
    }
    with threadpool_limits(THREADS, user_api="blas"):
        costs = in_turns(works)
    operations = 2 * weights.nnz * dimensions
    peak = 2 * 2048**3 / costs["sgemm peak"].wall
    base = costs["scipy csr @ float32"]
    report(
        f"\n{label}: {n:,} × {N_GENES:,} genes, {weights.nnz / n / N_GENES:.1%} dense, "
        f"{dimensions:,} dimensions, {THREADS} threads; sgemm peak {peak / 1e9:.0f} GFLOP/s"
    )
    report(
        f"{'':24}{'per s':>9}{'GFLOP/s':>9}{'of peak':>9}{'wall ×':>8}{'CPU ×':>8}  {'error':>8}"
    )
    for name, cost in list(costs.items())[:-1]:
        error = relative_error(results[name], exact) if name in results else ""
        report(
            f"{name:24}{n / cost.wall:>9,.0f}{operations / cost.wall / 1e9:>9.1f}"
            f"{operations / cost.wall / peak:>9.0%}{base.wall / cost.wall:>8.1f}"
            f"{base.cpu / cost.cpu:>8.1f}  {error:>8}"
        )


def relative_error(result: np.ndarray, exact: np.ndarray) -> str:
    """Largest difference of a row, relative to the row's length."""
    difference = np.linalg.norm(result - exact, axis=1) / np.linalg.norm(exact, axis=1)
    return f"{difference.max():.1e}"


def as_users_do(n: int, dimensions: int) -> None:
    """Counts to unit vectors by this library, the authors' notebook and a scanpy-like loop."""
    counts, vectors = observations(n, 0.09), gene_vectors(dimensions)
    has_vector = np.ones(N_GENES, bool)
    laid_out = WeightedSum(vectors, popularity(counts))

    def this_library() -> np.ndarray:
        from genept.embeddings.pooling import pool

        blocks = [counts[start : start + 512] for start in range(0, n, 512)]

        def pool_block(block: sp.csr_matrix) -> np.ndarray:
            return pool(expression_weights(block, "counts"), laid_out, has_vector)[0]

        return np.concatenate(list(in_order(pool_block, blocks, THREADS)))

    def notebook() -> np.ndarray:  # dense, float64: normalise, log1p, np.dot, divide, normalise
        dense = counts.toarray().astype(np.float64)
        dense = np.log1p(dense / dense.sum(axis=1, keepdims=True) * 1e4)
        pooled = np.dot(dense, vectors.astype(np.float64)) / N_GENES
        return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)

    def loop() -> np.ndarray:  # sparse normalise_total and log1p, then cell by cell
        normal = sp.diags(1e4 / counts.sum(axis=1).A1) @ counts
        normal = normal.tocsr().log1p()
        rows = []
        for cell in range(n):
            row = normal[cell]
            pooled = row.data @ vectors[row.indices]
            rows.append(pooled / np.linalg.norm(pooled))
        return np.stack(rows)

    works = {"here": this_library, "authors' notebook": notebook, "scanpy-like, a loop": loop}
    exact = notebook()
    with threadpool_limits(THREADS, user_api="blas"):
        costs = in_turns(works, 3)
    report(f"\nAs users do it: {n:,} cells of counts to unit vectors of {dimensions:,} dimensions")
    for name, cost in costs.items():
        difference = np.abs(works[name]() - exact).max()
        report(
            f"{name:24}{n / cost.wall:>9,.0f} cells/s, here {cost.wall / costs['here'].wall:.1f} ×"
            f" as fast (CPU {cost.cpu / costs['here'].cpu:.1f} ×), difference {difference:.1e}"
        )


def expression_batches(n: int, block: sp.csr_matrix, table: Table) -> Iterator[pa.RecordBatch]:
    """Rows of table `expression`: `n` observations, which repeat those of the block."""
    schema, rows = table.schema(), block.shape[0]
    offsets = pa.array(block.indptr.astype(np.int32))
    lists = [
        pa.ListArray.from_arrays(offsets, pa.array(values), schema.field(name).type)
        for name, values in (
            ("gene_index", block.indices.astype(np.uint32)),
            ("value", block.data),
        )
    ]
    for start in range(0, n, rows):
        size = min(rows, n - start)
        ids = pa.array([f"cell-{row:09}" for row in range(start, start + size)])
        columns = [pa.array(["bench"] * size), ids, *(array.slice(0, size) for array in lists)]
        yield pa.record_batch(columns, schema=schema)


@dataclass(frozen=True)
class Renamed(RowGroup):
    """A row group whose observations have another name each time that it is read."""

    prefix: str

    def blocks(self) -> Iterator[Block]:
        for ids, expression in super().blocks():
            yield [f"{self.prefix}-{id_}" for id_ in ids], expression


def end_to_end(n: int, dimensions: int, density: float) -> None:
    """Parquet to parquet in this process; prints rate, shares and peak memory."""
    import pyarrow.parquet as pq

    block, vectors = observations(1024, density), gene_vectors(dimensions)
    kind = "single_cell" if density == CELLS else "bulk"
    table = TABLES[TABLE_OF_KIND[kind]]
    genes = [f"ENSG{number:011d}" for number in range(N_GENES)]
    axis = pl.DataFrame(
        {
            "gene_index": range(N_GENES),
            "ensembl_gene_id": genes,
            "n_observations": np.bincount(block.indices, minlength=N_GENES),
        }
    )
    embeddings = pa.table(
        {
            "ensembl_gene_id": genes,
            "embedding": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), dimensions),
        }
    )
    with tempfile.TemporaryDirectory(dir=os.environ.get("GENEPT_BENCH_DIR")) as folder:
        source, target = Path(folder) / "expression", Path(folder) / "embeddings"
        expression = TABLES["expression"]
        write_parquet(source, expression, expression_batches(10_000, block, expression))

        def groups() -> Iterator[RowGroup]:  # the same file again and again
            for number in range(n // 10_000):
                for group in row_groups_of(source, N_GENES):
                    yield Renamed(**vars(group), prefix=f"{number:04}")

        def embed_all() -> None:
            aligned = align(embeddings, axis, block.shape[0])
            laid_out = WeightedSum(aligned.vectors, aligned.popularity)
            batches = pool_part(
                groups(), laid_out, aligned.has_vector, kind=kind, unit="counts",
                space="bench", collection="bench", threads=THREADS,
            )  # fmt: skip
            write_parquet(target, table, batches, dimensions)

        compiled()  # once a process, and printed above
        cost, _ = timed(embed_all)
        stored = pq.ParquetFile(target).read_row_group(0, ["embedding"])
    weights = expression_weights(block, "counts")
    laid_out = WeightedSum(vectors, popularity(weights))
    laid_out(weights, THREADS)
    repeated = sp.csr_matrix(sp.vstack([weights] * 4, format="csr"))
    alone = in_turns({"kernel": lambda: laid_out(repeated, THREADS)})["kernel"]
    flat = stored["embedding"].combine_chunks().flatten().to_numpy().reshape(-1, dimensions)
    exact = weights.astype(np.float64) @ vectors.astype(np.float64)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    shared = min(len(flat), len(exact))
    report(
        f"{n:>9,} {'cells' if kind == 'single_cell' else 'samples'} × {dimensions:,}: "
        f"{n / cost.wall:>7,.0f} a second, {cost.wall:6.1f} s, "
        f"CPU {cost.cpu / n * 1e6:4.0f} µs each; the kernel alone "
        f"{repeated.shape[0] / alone.wall:>7,.0f} a second, share "
        f"{n / cost.wall / (repeated.shape[0] / alone.wall):.2f}; peak "
        f"{peak_memory():.2f} GB, "
        f"error {np.abs(flat[:shared] - exact[:shared]).max():.1e}"
    )


def peak_memory() -> float:
    """Peak memory of this program in GB; `ru_maxrss` would include its parent process."""
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(peak) / 2**20


def sentences(n: int) -> None:
    """Ranked-name sentences (GenePT-s): written, not embedded; that is the text model's rate."""
    from genept.embeddings.sentences import RankedNames

    axis = pl.DataFrame(
        {
            "gene_index": range(N_GENES),
            "ensembl_gene_id": [f"ENSG{number:011d}" for number in range(N_GENES)],
            "symbol": [f"GENE{number}" for number in range(N_GENES)],
        }
    )
    counts, names = observations(n, 0.09), RankedNames(axis, "single_cell")
    cost = in_turns({"sentences": lambda: names(counts, "counts")})["sentences"]
    report(f"\nSentences of up to 1,000 names: {n / cost.wall:,.0f} a second, one thread")


def beyond_one_process(n_shards: int, dimensions: int) -> None:
    """Shards of 4,096 cells through a Dask scheduler, by one worker process and by two."""
    from distributed import Client, LocalCluster

    from genept.embeddings.expression import AlignedVectors, _records
    from genept.embeddings.pooled_shards import PoolingTask, embed_shard, shards_of
    from genept.storage.provenance import Part

    block = observations(1024, 0.09)
    table = TABLES["expression"]
    gene_popularity = popularity(block)
    aligned = AlignedVectors(gene_vectors(dimensions), np.ones(N_GENES, bool), gene_popularity)

    def part(name: str, partition: str, number: int = 0) -> Part:
        return Part(name, (partition,), "", 0, "", 4096, dimensions, {}, number)

    expression = [part("expression", "bench", number) for number in range(n_shards)]
    shards = shards_of(
        "single_cell", "counts", part("gene_embeddings", "bench/bench"),
        part("gene_axis", "bench"), expression,
    )  # fmt: skip
    rates, hashes = {}, {}
    with tempfile.TemporaryDirectory(dir=os.environ.get("GENEPT_BENCH_DIR")) as folder:
        source, vectors = Path(folder) / "expression", Path(folder) / "aligned.npy"
        write_parquet(source, table, expression_batches(4096, block, table))
        np.save(vectors, _records(aligned))
        tasks = [PoolingTask(shard, source, vectors, Path(folder), 1) for shard in shards]
        for workers in (1, 2):
            with (
                LocalCluster(
                    n_workers=workers, threads_per_worker=1, host="127.0.0.1",
                    dashboard_address=None, local_directory=folder,
                ) as cluster,
                Client(cluster) as client,
            ):  # fmt: skip
                first = [client.submit(embed_shard, tasks[0], workers=[worker], pure=False)
                         for worker in client.scheduler_info()["workers"]]  # fmt: skip
                client.gather(first)  # imports, and the vectors laid out
                start = time.perf_counter()
                parts = client.gather(client.map(embed_shard, tasks, pure=False))
                rates[workers] = n_shards * 4096 / (time.perf_counter() - start)
                hashes[workers] = {part.rows.sha256 for part in parts}
    report(
        f"\nDask, {n_shards} shards of 4,096 cells × {dimensions:,}: one worker {rates[1]:,.0f} "
        f"cells/s, two {rates[2]:,.0f}: {rates[2] / rates[1]:.2f} ×; "
        f"the same bytes: {hashes[1] == hashes[2]}"
    )


def first_call() -> None:
    """Time of the first sum of a process: importing numba, compiling or reading its cache."""
    program = (
        "import time; start = time.perf_counter(); "
        "import genept.embeddings.weighted_sum as kernel; "
        "kernel.compiled(); print(f'{time.perf_counter() - start:.1f}')"
    )
    with tempfile.TemporaryDirectory() as folder:
        times = [
            subprocess.run(
                [sys.executable, "-c", program],
                env=os.environ | {"NUMBA_CACHE_DIR": folder},
                capture_output=True, text=True, check=True,
            ).stdout.strip()
            for _ in range(2)
        ]  # fmt: skip
    report(f"First call in a process: {times[0]} s compiled anew, {times[1]} s from numba's cache")


def main() -> None:
    """Print everything; sizes of the end-to-end run in processes of their own, for their memory."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--size", type=float, default=1.0)
    arguments.add_argument(
        "--end-to-end", nargs=3, metavar=("OBSERVATIONS", "DIMENSIONS", "DENSITY")
    )
    options = arguments.parse_args()
    if options.end_to_end:
        n, dimensions, density = options.end_to_end
        end_to_end(int(n), int(dimensions), float(density))
        return

    def scaled(n: int, at_least: int) -> int:
        return max(int(n * options.size), at_least)

    started = time.perf_counter()
    report(f"load average before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    first_call()
    for dimensions in (1536, 384):
        compare("Cells", scaled(4096, 512), CELLS, dimensions)
        compare("Bulk-like", scaled(1024, 512), SAMPLES, dimensions)
    as_users_do(scaled(2048, 256), 1536)
    sentences(scaled(4096, 512))
    beyond_one_process(scaled(24, 4), 1536)
    report("\nEnd to end: parquet → normalise → weight → parquet, a process each")
    for n, dimensions, density in (
        (300_000, 1536, CELLS), (10_000, 384, CELLS), (100_000, 384, CELLS),
        (1_000_000, 384, CELLS), (500_000, 384, SAMPLES), (1_000_000, 384, SAMPLES),
    ):  # fmt: skip
        size = ("--end-to-end", str(scaled(n, 10_000)), str(dimensions), str(density))
        subprocess.run([sys.executable, __file__, *size], check=True)
    report(f"load average after: {os.getloadavg()[0]:.1f}; {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
