"""Measure what of ARCHS4 travels when samples of it are chosen: a file of its layout on loopback.

Run by `make bench`; it prints, and refuses wrong values. The file has 200,000 samples × 60,000
genes (`tests/support/large_archs4.py` says what it holds); GENEPT_BENCH_SAMPLES sets another
number. Reader and server are processes of their own; the reader's peak memory is that of
`getrusage`.
"""

from __future__ import annotations

import json
import mmap
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from large_archs4 import N_GENES, SERIES, sample_id, write_large_archs4
from publisher import publisher

from genept.common.errors import SourceError
from genept.datasources.catalogue import Catalogue
from genept.datasources.download.archives import Archives
from genept.datasources.download.http import RetryPolicy, Web
from genept.datasources.download.mirrors import SourceLocations
from genept.datasources.parsers import parse_collection
from genept.datasources.readers.hdf5 import archs4

N_SAMPLES = int(os.environ.get("GENEPT_BENCH_SAMPLES", "200000"))
N_SERIES = 20
NAME = "human_gene_v2.5.h5"


def series_samples() -> np.ndarray:
    """500 samples: 20 series of 25 that follow one another."""
    starts = np.random.default_rng(1).choice(N_SAMPLES // SERIES, N_SERIES, replace=False)
    return np.sort((starts[:, None] * SERIES + np.arange(SERIES)).reshape(-1))


def scattered_samples() -> np.ndarray:
    """500 samples, each of another series."""
    firsts = np.random.default_rng(2).choice(N_SAMPLES // SERIES, SERIES * N_SERIES, replace=False)
    return np.sort(firsts * SERIES + 7)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def serve(path: Path, most: int) -> None:
    """In a process of its own: say the address; to each line, what was sent and asked for."""
    with path.open("rb") as file, publisher() as server:
        server.files[NAME] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        server.etags[NAME] = '"bench"'
        server.most = most
        say(server.url)
        for line in sys.stdin:
            if line.strip() == "all":
                server.most = None
            say(json.dumps([server.sent, len(server.seen)]))


class Server:
    """A server of the file, and what it has sent."""

    def __init__(self, path: Path, most: int = 1 << 60) -> None:
        command = [sys.executable, __file__, "serve", str(path), str(most)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.url = self._line()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def sent(self, word: str = "") -> tuple[int, int]:
        """Bytes, and requests; after the word `all`, it cuts no transfer any more."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        n_bytes, n_requests = json.loads(self._line())
        return n_bytes, n_requests

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def read(url: str, folder: Path, choice: str, out: Path) -> None:
    """In a process of its own: read chosen samples; print what it took."""
    chosen = {"series": series_samples, "scattered": scattered_samples}[choice]()
    entry = {
        "title": "x", "kind": "bulk", "format": "archs4", "sources": ["x"], "unit": "counts",
        "duplicate_policy": "sum", "group_axis": "series", "redistributable": True,
        "licence": "CC-BY-4.0", "citation": "none",
        "options": {"samples": [sample_id(at) for at in chosen]},
    }  # fmt: skip
    source = {
        "title": "x", "publisher": "x", "address": f"https://data.example.org/{NAME}",
        "bytes": 100_000_000_000, "licence": "CC-BY-4.0", "redistributable": True,
        "citation": "none", "media": "h5", "ranges": True, "checksum": "etag",
    }  # fmt: skip
    catalogue = Catalogue.model_validate({"sources": {"x": source}, "collections": {"c": entry}})
    archives = Archives(
        catalogue, folder, locations=SourceLocations((), {"x": f"{url}/{NAME}"}),
        web=Web(retry_policy=RetryPolicy(attempts=2, first_wait=0.01)),
    )  # fmt: skip
    taken: dict[str, float] = {}
    fetch = archs4.fetch_chunks

    def measured(*arguments: object) -> tuple[int, int]:
        kept = next(folder.rglob("bytes"))
        before, began = kept.stat().st_size, time.perf_counter()
        taken["chunks"], taken["chunk_bytes"] = fetch(*arguments)
        taken["seconds"] = time.perf_counter() - began
        taken["fetched"] = kept.stat().st_size - before
        return int(taken["chunks"]), int(taken["chunk_bytes"])

    archs4.fetch_chunks = measured
    parsed = parse_collection(archives, catalogue.collections["c"])
    position = 0
    with h5py.File(out, "w") as file:
        values = file.create_dataset("values", (chosen.size, N_GENES), "u4")
        for block in parsed.expression.blocks():
            values[position : position + block.shape[0]] = block.toarray()
            position += block.shape[0]
    taken["mebibytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    say(json.dumps(taken))


def reader(url: str, folder: Path, choice: str, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "read", url, str(folder), choice, str(out)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def refuse_difference(path: Path, out: Path, choice: str) -> None:
    """What was read must be what h5py reads of the local file."""
    chosen = {"series": series_samples, "scattered": scattered_samples}[choice]()
    with h5py.File(path) as whole, h5py.File(out) as got:
        for row, sample in enumerate(chosen):
            expected = whole["data/expression"][:, sample]
            if not (got["values"][row] == expected).all() or not expected.any():
                raise SystemExit(f"sample {sample} is not that of the local file")


def measure(path: Path, folder: Path, choice: str) -> int:
    """Read once, in one go; the bytes that were sent."""
    with Server(path) as server:
        process = reader(server.url, folder / choice, choice, folder / "out.h5")
        answer, errors = process.communicate()
        if process.returncode:
            raise SystemExit(errors)
        taken = json.loads(answer)
        n_bytes, n_requests = server.sent()
    refuse_difference(path, folder / "out.h5", choice)
    say(
        f"{choice}: {taken['chunks']:,.0f} chunks of {taken['chunk_bytes'] / 1e6:.1f} MB; for them "
        f"{taken['fetched'] / 1e6:.1f} MB came ({taken['fetched'] / taken['chunk_bytes']:.2f} x) "
        f"in {taken['seconds']:.1f} s; with metadata {n_bytes / 1e6:.1f} MB in {n_requests:,} "
        f"requests; peak {taken['mebibytes']:.0f} MiB; equal to the local file"
    )
    return n_bytes


def measure_resumed(path: Path, folder: Path, whole: int, *, kill: bool) -> None:
    """Break the same reading off at a seeded place, then do it again."""
    most = int(whole * np.random.default_rng(7).uniform(0.4, 0.9))
    cache = folder / f"again-{kill}"
    with Server(path, 1 << 60 if kill else most) as server:
        process = reader(server.url, cache, "series", folder / "out.h5")
        while kill and server.sent()[0] < most:
            time.sleep(0.01)
        if kill:
            process.kill()
        _, errors = process.communicate()
        first = server.sent()[0]
        if not process.returncode:
            raise SystemExit("it was not broken off")
        server.sent("all")
        process = reader(server.url, cache, "series", folder / "out.h5")
        _, errors = process.communicate()
        if process.returncode:
            raise SystemExit(errors)
        second = server.sent()[0] - first
    refuse_difference(path, folder / "out.h5", "series")
    say(
        f"{'killed' if kill else 'cut'} after {first / 1e6:.1f} MB: again {second / 1e6:.1f} MB, "
        f"together {(first + second) / whole:.3f} x; equal to the local file"
    )


def main() -> None:
    if sys.argv[1:2] == ["serve"]:
        serve(Path(sys.argv[2]), int(sys.argv[3]))
    elif sys.argv[1:2] == ["read"]:
        try:
            read(sys.argv[2], Path(sys.argv[3]), sys.argv[4], Path(sys.argv[5]))
        except SourceError as error:
            raise SystemExit(str(error)) from error
    else:
        with tempfile.TemporaryDirectory(dir=os.environ.get("GENEPT_BENCH_FOLDER")) as scratch:
            folder, began = Path(scratch), time.perf_counter()
            path = folder / NAME
            write_large_archs4(path, N_SAMPLES, [*series_samples(), *scattered_samples()])
            say(
                f"{N_SAMPLES:,} samples × {N_GENES:,} genes, {path.stat().st_size / 1e6:,.0f} MB, "
                f"written in {time.perf_counter() - began:.0f} s"
            )
            whole = measure(path, folder, "series")
            measure(path, folder, "scattered")
            measure_resumed(path, folder, whole, kill=False)
            measure_resumed(path, folder, whole, kill=True)


if __name__ == "__main__":
    main()
