"""Measure embedding through a hosted service: overhead, warm reruns, look-ups, MiniLM.

The service is a loopback one with cheap vectors that takes a millisecond per text, as hosted
services do, so that the overhead of this platform is measured. Run it from the project's root.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

TESTS = Path(__file__).parents[1]
SUPPORT = TESTS / "support"
sys.path[:0] = [str(SUPPORT), str(TESTS.parent)]

import numpy as np
import typer
from hosted_step import HostedStep, ended
from openai import OpenAI
from prefect_server import prefect_server

from genept.common.settings import Settings
from genept.storage.embedded_store import REGION, EmbeddedStore
from genept.storage.object_store import ObjectStore
from genept.text.local.baselines import RandomVectors
from genept.text.vector_cache import VectorCache

N_TEXTS, DIMENSIONS = 20_000, 1536
DECLARED = f"""
[embedders.loopback]
model = "loopback"
dimensions = {DIMENSIONS}
max_tokens = 8192
at_once = 4
tokens_per_minute = 100_000_000
dollars_per_million_tokens = 0.02
"""
TEXTS = {f"ENSG{number:011d}": f"gene {number} does what it does" for number in range(N_TEXTS)}


def report(line: str) -> None:
    """Print a line of the report."""
    typer.echo(line)


def main() -> None:
    """Print every number beside its reference."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        _store(Path(scratch)) as store,
        _service("--per-text", "0.001") as url,
    ):
        sequential, parallel = (_bare_loop(url, list(TEXTS.values()), n) for n in (1, 4))
        report(f"bare client loop, one by one: {sequential:.1f} s; 4 at once: {parallel:.1f} s")
        own = HostedStep(Path(scratch), url, "sk-bench", store, "bench-own", DECLARED, TEXTS)
        seconds = ended(own.start())[0]["seconds"]
        report(f"the step with a server of its own: {seconds:.1f} s")
        step = HostedStep(Path(scratch), url, "sk-bench", store, "bench", DECLARED, TEXTS)
        home = Path(scratch) / "prefect"
        home.mkdir()
        with prefect_server(home) as server, server.worker(step.environment()):
            seconds = ended(step.start(server.environment))[0]["seconds"]
            report(
                f"with a server and a worker that run: {seconds:.1f} s, {seconds / sequential:.2f} "
                f"and {seconds / parallel:.2f} times the loops"
            )
            before = len(_register(url)["requests"])
            result, _ = ended(step.start(server.environment))
            calls = len(_register(url)["requests"]) - before
            report(
                f"warm rerun: {result['seconds']:.2f} s; {calls} calls, Prefect {result['prefect']}"
            )
        _lookup(store)
    _minilm()


def _bare_loop(url: str, texts: Sequence[str], at_once: int) -> float:
    """Seconds of the client alone: the same requests, nothing validated, nothing stored."""
    client = OpenAI(api_key="sk-bench", base_url=url)
    requests = [texts[at : at + 2048] for at in range(0, len(texts), 2048)]

    def send(request: Sequence[str]) -> None:
        client.embeddings.create(model="loopback", input=list(request))

    began = time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(send, requests))
    return time.perf_counter() - began


def _lookup(store: ObjectStore) -> None:
    embedder = RandomVectors(DIMENSIONS)
    texts = [f"looked up {number}" for number in range(N_TEXTS)]
    vectors = np.tile(embedder.embed(["one"]), (N_TEXTS, 1))
    cache = VectorCache(store, "bench-lookup", embedder)
    for at in range(0, N_TEXTS, 2048):
        cache.add(texts[at : at + 2048], vectors[at : at + 2048])
    began = time.perf_counter()
    opened = VectorCache(store, "bench-lookup", embedder)
    opened.missing(texts)
    cold = time.perf_counter() - began
    began = time.perf_counter()
    opened.vectors(texts)
    warm = time.perf_counter() - began
    report(
        f"{N_TEXTS:,} texts of {DIMENSIONS} dimensions: cache opened in {cold:.2f} s, looked up in "
        f"{warm:.2f} s"
    )


def _minilm() -> None:
    """MiniLM beside onnxruntime's own session on the same token batches."""
    from genept.datasources.catalogue import load_catalogue
    from genept.datasources.download.archives import Archives
    from genept.text.embedder_registry import Embedders
    from genept.text.local.bert import _batches
    from genept.text.local.tokenizing import encodings

    state = TESTS.parent / ".genept" / "cache"
    archives = Archives(load_catalogue(), state / "archives")
    with tempfile.TemporaryDirectory() as folder:
        model = Embedders(Settings(state_dir=folder), archives).minilm
        texts = [f"gene {n} " + "encodes a protein that binds DNA " * (n % 20) for n in range(400)]
        ids = [encoding.ids for encoding in encodings(model._tokenizer, texts)]
        feeds = []
        for batch in _batches([len(token_ids) for token_ids in ids]):
            width = max(len(ids[row]) for row in batch)
            tokens = np.zeros((len(batch), width), dtype=np.int64)
            mask = np.zeros_like(tokens)
            for row, position in enumerate(batch):
                tokens[row, : len(ids[position])] = ids[position]
                mask[row, : len(ids[position])] = 1
            feeds.append({"input_ids": tokens, "attention_mask": mask})
        model.embed(texts[:8])
        began = time.perf_counter()
        model.embed(texts)
        embed_seconds = time.perf_counter() - began
        began = time.perf_counter()
        for feed in feeds:
            model.session.run(["embedding"], feed)
        session_seconds = time.perf_counter() - began
    report(
        f"MiniLM, {len(texts)} texts: {len(texts) / embed_seconds:.0f} texts a second, "
        "onnxruntime alone "
        f"{len(texts) / session_seconds:.0f}: {embed_seconds / session_seconds:.2f} times its time"
    )


@contextmanager
def _store(folder: Path) -> Iterator[ObjectStore]:
    embedded = EmbeddedStore(folder / "store")
    embedded.start()
    endpoint = embedded.ensure()
    try:
        with ObjectStore(
            endpoint.url, endpoint.access_key, endpoint.secret_key, REGION, embedded.bucket
        ) as store:
            yield store
    finally:
        embedded.stop()


@contextmanager
def _service(*arguments: str) -> Iterator[str]:
    """The loopback service as a process of its own; yields its base URL."""
    command = [sys.executable, str(SUPPORT / "loopback_openai.py"), "--dimensions", str(DIMENSIONS)]
    service = subprocess.Popen(
        [*command, *arguments],
        env={**os.environ, "PYTHONPATH": str(TESTS.parent)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert service.stdout
    try:
        yield service.stdout.readline().strip()
    finally:
        service.kill()
        service.wait()


def _register(url: str) -> dict[str, dict[str, int]]:
    with urlopen(url.removesuffix("/v1") + "/charged", timeout=10) as answer:  # noqa: S310
        counters: dict[str, dict[str, int]] = json.load(answer)
    return counters


if __name__ == "__main__":
    main()
