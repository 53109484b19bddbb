"""Measure ingest and reading back of a large h5ad, beside plain chunked readers of the same file.

Run by `make bench`; it prints, and asserts nothing about time. GENEPT_BENCH_CELLS sets the
size: 100,000 cells by default, 1,000,000 for the figures in the documentation. The file has the
usual layout of published ones: CSR, gzip, genes of very unequal popularity. Writing it takes
longer than all else: it is kept in GENEPT_BENCH_FOLDER, if that is set.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import psutil
import scipy.sparse as sp

from genept.collections.ingestion import ingest
from genept.datasources.catalogue import Catalogue
from genept.datasources.download.archives import Archives
from genept.embeddings.expression import expression_blocks
from genept.nomenclature.reference import Reference
from genept.storage.embedded_store import REGION, EmbeddedStore
from genept.storage.hashes import sha256_of_file
from genept.storage.lake import Lake
from genept.storage.object_store import ObjectStore
from genept.storage.provenance import Part

N_CELLS = int(os.environ.get("GENEPT_BENCH_CELLS", "100000"))
N_GENES = 20_000
DENSITY = 0.08
SLAB = 5_000
CHUNK = 4_096


def reference() -> Reference:
    """A reference of as many genes as the file has columns."""
    numbers = range(1, N_GENES + 1)
    rows = pl.DataFrame(
        {
            "hgnc_id": [f"HGNC:{n}" for n in numbers],
            "symbol": [f"G{n}" for n in numbers],
            "ensembl_gene_id": [f"ENSG{n:011d}" for n in numbers],
            "biotype": "protein_coding",
            "name": "a gene",
            "entrez_id": [str(n) for n in numbers],
            "reference_release": "bench",
        }
    )
    empty = pl.Series("x", [[]] * N_GENES, dtype=pl.List(pl.String))
    lists = [empty.alias(column) for column in ("aliases", "previous_symbols", "uniprot_ids")]
    return Reference("bench", rows.with_columns(lists))


def write_h5ad(path: Path) -> None:
    """Counts whose genes follow a power law, slab by slab."""
    rng = np.random.default_rng(0)
    popularity = np.minimum(1, 0.02 / (np.arange(1, N_GENES + 1) / N_GENES) ** 0.8)
    popularity *= DENSITY / popularity.mean()
    popularity = rng.permutation(np.minimum(popularity, 0.98))
    text = h5py.string_dtype()
    with h5py.File(path, "w") as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        x = file.create_group("X")
        x.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})
        x.attrs["shape"] = np.array([N_CELLS, N_GENES])
        storage = {"maxshape": (None,), "chunks": (1 << 16,), "compression": "gzip"}
        data = x.create_dataset("data", (0,), "f4", **storage)
        indices = x.create_dataset("indices", (0,), "i4", **storage)
        ends = [0]
        for start in range(0, N_CELLS, SLAB):
            dense = rng.random((min(SLAB, N_CELLS - start), N_GENES), dtype=np.float32)
            slab = sp.csr_matrix(dense < popularity.astype(np.float32))
            values = rng.geometric(0.6, slab.nnz).astype(np.float32)
            for stored, new in ((data, values), (indices, slab.indices)):
                stored.resize(stored.shape[0] + new.size, axis=0)
                stored[-new.size :] = new
            ends += (slab.indptr[1:] + ends[-1]).tolist()
        x.create_dataset("indptr", data=np.array(ends, "i8"))
        frames = (
            ("obs", [f"cell-{n}" for n in range(N_CELLS)]),
            ("var", [f"G{n}" for n in range(1, N_GENES + 1)]),
        )
        for name, index in frames:
            frame = file.create_group(name)
            frame.attrs.update(
                {"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "_index"}
            )
            frame.attrs["column-order"] = np.array([], dtype=text)
            stored = frame.create_dataset("_index", data=np.array(index, dtype=object), dtype=text)
            stored.attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})


def proportional_memory(pid: int) -> int:
    """Proportional set size of a process in bytes: shared pages count by its share of them."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    (kilobytes,) = re.findall(r"^Pss:\s+(\d+) kB", rollup, flags=re.MULTILINE)
    return int(kilobytes) * 1024


def is_ours(process: psutil.Process) -> bool:
    return "python" in process.name()


@contextmanager
def peak_memory() -> Iterator[list[float]]:
    """Peak memory in GB of this process and its Python children, without the object store.

    It is the proportional set size: a page that processes share, such as code of libraries,
    counts once. The kernel computes it slowly, so it is read only if the resident size peaks.
    """
    peak, stopped, most = [0.0], threading.Event(), 0

    def watch() -> None:
        nonlocal most
        current = psutil.Process()
        while not stopped.wait(0.25):
            try:
                processes = [
                    process
                    for process in (current, *current.children(recursive=True))
                    if is_ours(process)
                ]
                resident = sum(process.memory_info().rss for process in processes)
                if resident > most:
                    most = resident
                    peak[0] = max(
                        peak[0],
                        sum(proportional_memory(process.pid) for process in processes) / 1e9,
                    )
            except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
                continue

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        stopped.set()
        thread.join()


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one run."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def read_with_h5py(path: Path) -> None:
    """The plainest sequential reader: the two value arrays, chunk by chunk."""
    with h5py.File(path) as file:
        ends = file["X/indptr"][:]
        for start in range(0, N_CELLS, CHUNK):
            span = slice(ends[start], ends[min(start + CHUNK, N_CELLS)])
            file["X/data"][span], file["X/indices"][span]


def read_with_anndata(path: Path) -> None:
    """The usual reader: a backed AnnData, read in chunks of rows."""
    import anndata  # here: worker processes import this file again, and need none

    backed = anndata.read_h5ad(path, backed="r")
    for start in range(0, N_CELLS, CHUNK):
        backed.X[start : start + CHUNK]
    backed.file.close()


def ingested(lake: Lake, path: Path, sha256: str, processes: int) -> list[Part]:
    """Ingest the file as a collection of a catalogue."""
    catalogue = Catalogue.model_validate(
        {
            "sources": {
                "bench": {
                    "title": "bench",
                    "publisher": "bench",
                    "package": "bench",
                    "version": "1",
                    "filename": path.name,
                    "bytes": path.stat().st_size,
                    "sha256": sha256,
                    "licence": "none",
                    "redistributable": True,
                    "citation": "none",
                    "released": "2026-01-01",
                }
            },
            "collections": {
                "bench": {
                    "title": "bench",
                    "kind": "single_cell",
                    "format": "h5ad",
                    "sources": ["bench"],
                    "unit": "counts",
                    "duplicate_policy": "sum",
                    "group_axis": "none",
                    "redistributable": True,
                    "licence": "none",
                    "citation": "none",
                }
            },
        }
    )
    archives = Archives(catalogue, path.parent)
    return ingest(lake, archives, catalogue.collections["bench"], reference, "bench", processes)


def read_back(lake: Lake, parts: list[Part]) -> int:
    """Read every shard as CSR, block by block; return the number of values."""
    shards = [part for part in parts if part.table == "expression"]
    return sum(block.nnz for part in shards for _, block in expression_blocks(lake, part, N_GENES))


def main() -> None:
    """Print rates, ratios and peak memory."""
    print(f"{N_CELLS:,} cells × {N_GENES:,} genes, {DENSITY:.0%} dense, gzip")  # noqa: T201
    cache_folder = os.environ.get("GENEPT_BENCH_FOLDER")
    with tempfile.TemporaryDirectory(dir=cache_folder) as folder:
        # The name that a pinned archive may have.
        path = Path(cache_folder or folder) / f"bench-{N_CELLS}.tar.gz"
        if not path.exists():
            partial = path.with_suffix(".partial")
            write_h5ad(partial)
            partial.rename(path)
        store = EmbeddedStore(Path(folder) / "store")
        store.start()
        endpoint = store.ensure()
        try:
            with ObjectStore(
                endpoint.url, endpoint.access_key, endpoint.secret_key, REGION, store.bucket
            ) as s3:
                measure(path, lambda name: Lake(s3, name, Path(folder) / name))
        finally:
            store.stop()


def measure(path: Path, open_lake: Callable[[str], Lake]) -> None:
    """Everything in one run, one after the other."""
    h5py_seconds = seconds(lambda: read_with_h5py(path))
    usual = seconds(lambda: read_with_anndata(path))
    results: list[list[Part]] = []
    sha256 = sha256_of_file(path)  # as in a catalogue's entry; ingest verifies it
    with peak_memory() as peak:
        ingest_seconds = seconds(
            lambda: results.append(ingested(open_lake("first"), path, sha256, 2))
        )
    seconds(lambda: results.append(ingested(open_lake("second"), path, sha256, 1)))
    first, second = ([(p.table, p.number, p.sha256) for p in parts] for parts in results)
    back = seconds(lambda: read_back(open_lake("first"), results[0]))
    for label, elapsed in (
        ("h5py, chunk by chunk", h5py_seconds),
        ("anndata, backed", usual),
        ("ingest, two processes", ingest_seconds),
        ("read back as CSR", back),
    ):
        print(f"{label:<24}{N_CELLS / elapsed:>10,.0f} cells/s")  # noqa: T201
    print(f"ingest / plain read     {h5py_seconds / ingest_seconds:>10.2f}   (bar: 0.7)")  # noqa: T201
    print(f"read back / anndata     {usual / back:>10.2f}   (bar: 2)")  # noqa: T201
    print(f"peak memory of ingest   {peak[0]:>10.2f} GB (bar: 2)")  # noqa: T201
    print(f"a rerun's bytes are the same: {first == second}")  # noqa: T201


if __name__ == "__main__":
    main()
