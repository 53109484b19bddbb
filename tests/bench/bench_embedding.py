"""Measure embedding through a hosted service: overhead, warm reruns, look-ups, kills, MiniLM.

The service is a loopback one with cheap vectors that takes a millisecond per text, as hosted
services do, so that the overhead of this platform is measured. Run it from the project's root.
"""

from __future__ import annotations

import json
import os
import random
import signal
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
from openai import OpenAI
from prefect_server import prefect_server

from genept.storage.embedded_store import REGION, EmbeddedStore
from genept.storage.object_store import ObjectStore
from genept.text.baselines import RandomVectors
from genept.text.budget import all_payments
from genept.text.vector_cache import VectorCache

N_TEXTS, DIMENSIONS, KILLS = 20_000, 1536, 10
DECLARED = {
    "id": "loopback",
    "model": "loopback",
    "dimensions": DIMENSIONS,
    "max_tokens": 8192,
    "at_once": 4,
    "tokens_per_minute": 100_000_000,
    "dollars_per_million_tokens": 0.02,
}


def report(line: str) -> None:
    """Print a line of the report."""
    typer.echo(line)


def main() -> None:
    """Print every number beside its reference."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        prefect_server(Path(scratch)) as prefect_url,
        _store(Path(scratch)) as store,
    ):
        order = {
            "store": list(vars(store.access).values()),
            "key": "sk-bench",
            "declared": DECLARED,
            "n_texts": N_TEXTS,
            "home": scratch,
        }
        with _service("--per-text", "0.001") as url:
            texts = [f"gene {number} does what it does" for number in range(N_TEXTS)]
            sequential, parallel = _bare_loop(url, texts, 1), _bare_loop(url, texts, 4)
            order |= {"url": url, "product": "bench"}
            began = time.perf_counter()
            flow = _run(order, prefect_url)["seconds"]
            with_interpreter = time.perf_counter() - began
            report(f"bare client loop, one by one: {sequential:.1f} s; 4 at once: {parallel:.1f} s")
            report(
                f"the flow (4 at once), cold: {flow:.1f} s, with its interpreter "
                f"{with_interpreter:.1f} s: "
                f"{flow / sequential:.2f} and {flow / parallel:.2f} times the loops"
            )
            before = len(_register(url)["requests"])
            began = time.perf_counter()
            result = _run(order, prefect_url)
            calls = len(_register(url)["requests"]) - before
            report(
                f"warm rerun: {result['seconds']:.2f} s, with its interpreter "
                f"{time.perf_counter() - began:.2f} s; {calls} calls, Prefect {result['prefect']}"
            )
        _lookup(store)
        _kills(store, order, prefect_url)
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


def _kills(store: ObjectStore, order: dict[str, object], prefect_url: str) -> None:
    rng = random.Random(1)  # noqa: S311 - moments, not secrets
    small = order | {
        "product": "bench-kills",
        "n_texts": 1_200,
        "declared": {**DECLARED, "request_texts": 20, "at_once": 3},
    }
    with _service("--per-text", "0.01", "--dimensions", "1536") as url:
        small["url"] = url
        for _ in range(KILLS):
            begun = len(_register(url)["requests"])
            run = _start(small, prefect_url)
            while len(_register(url)["requests"]) == begun and run.poll() is None:
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.6))
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate()
        halfway = len(_register(url)["charged"])
        _run(small, prefect_url)
        charged = _register(url)["charged"]
    payments = all_payments(store, "bench-kills")
    report(
        f"{KILLS} kills (-9), {halfway:,} texts charged by then; at the end {len(charged):,} of "
        f"{small['n_texts']:,}, each {sorted(set(charged.values()))} times; payments say "
        f"{sum(payment.n_texts for payment in payments):,}"
    )


def _minilm() -> None:
    """MiniLM beside onnxruntime's own session on the same token batches."""
    from genept.datasources.catalogue import load_catalogue
    from genept.datasources.download.archives import Archives
    from genept.text.minilm import _batches, _encodings, load_minilm

    state = TESTS.parent / ".genept" / "cache"
    archives = Archives(load_catalogue(), state / "archives")
    with tempfile.TemporaryDirectory() as folder:
        model = load_minilm(lambda name: archives.open_member("minilm", name), Path(folder))
        texts = [f"gene {n} " + "encodes a protein that binds DNA " * (n % 20) for n in range(400)]
        ids = [encoding.ids for encoding in _encodings(model._tokenizer, texts)]
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
            model._session.run(["embedding"], feed)
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


def _start(order: dict[str, object], prefect_url: str) -> subprocess.Popen[str]:
    run = subprocess.Popen(
        [sys.executable, str(SUPPORT / "embedding_run.py")],
        env={**os.environ, "PYTHONPATH": str(TESTS.parent), "PREFECT_API_URL": prefect_url},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert run.stdin
    json.dump(order, run.stdin)
    run.stdin.close()
    run.stdin = None
    return run


def _run(order: dict[str, object], prefect_url: str) -> dict[str, float]:
    out, _ = _start(order, prefect_url).communicate()
    result: dict[str, float] = json.loads(out.splitlines()[-1])
    return result


if __name__ == "__main__":
    main()
