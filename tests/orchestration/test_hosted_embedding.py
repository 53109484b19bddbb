"""The flow over a hosted service, with a Prefect server: killed and resumed."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from installations import PROJECT
from loopback_openai import LoopbackService, hashed, serving
from prefect_server import prefect_server

from genept.text.budget import all_payments

PROGRAM = Path(__file__).parents[1] / "support" / "embedding_run.py"
KEY = "sk-planted-marker-key"
N_TEXTS = 240
DECLARED = {
    "id": "loopback",
    "model": "loopback-48",
    "dimensions": 48,
    "max_tokens": 100,
    "request_texts": 12,
    "at_once": 3,
    "dollars_per_million_tokens": 1,
}


@pytest.fixture(scope="session")
def prefect_url(tmp_path_factory):
    """One server for all tests of the session; it takes 15 seconds to start."""
    with prefect_server(tmp_path_factory.mktemp("prefect-server")) as url:
        yield url


@pytest.fixture
def service():
    service = LoopbackService(hashed(48), per_text=0.02)
    with serving(service) as url:
        service.url = url
        yield service


@pytest.fixture
def start(service, object_store, store_prefix, tmp_path):
    """Function that starts a run, which gets its settings through standard input."""

    def start_(prefect_url=None, **changes) -> subprocess.Popen[str]:
        access = object_store.access
        order = {
            "store": [
                access.endpoint_url,
                access.access_key,
                access.secret_key,
                access.region,
                access.bucket,
            ],
            "product": store_prefix,
            "url": service.url,
            "key": KEY,
            "declared": DECLARED,
            "n_texts": N_TEXTS,
            "home": str(tmp_path / "prefect"),
        }
        environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
        environment.pop("PREFECT_API_URL", None)
        if prefect_url:
            environment["PREFECT_API_URL"] = prefect_url
        run = subprocess.Popen(
            [sys.executable, str(PROGRAM)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert run.stdin
        json.dump(order | changes, run.stdin)
        run.stdin.close()
        run.stdin = None
        return run

    return start_


def ended(run: subprocess.Popen[str]) -> tuple[dict, str]:
    out, err = run.communicate(timeout=120)
    assert run.returncode == 0, err[-3000:]
    return json.loads(out.splitlines()[-1]), out + err


def test_a_kill_repeats_no_more_than_the_requests_in_flight(
    start, service, prefect_url, object_store, store_prefix
):
    moments = random.Random(5)  # noqa: S311 - moments, not secrets
    for number in range(3):
        run = start(prefect_url)
        until = time.monotonic() + 60
        begun = len(service.requests)
        while len(service.requests) == begun and run.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        assert len(service.requests) > begun, f"run {number} sent no request"
        time.sleep(moments.uniform(0, 0.5))
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate()
        assert run.returncode == -signal.SIGKILL
    assert len(service.charged) < N_TEXTS, "the kills came too late to test anything"
    result, output = ended(start(prefect_url))
    assert len(service.charged) == N_TEXTS
    under_way = 3 * DECLARED["at_once"] * DECLARED["request_texts"]
    assert sum(service.charged.values()) <= N_TEXTS + under_way
    texts = [f"gene {number} does what it does" for number in range(N_TEXTS)]
    expected = hashed(48)(texts)
    assert result["sha256"] == hashlib.sha256(np.ascontiguousarray(expected).tobytes()).hexdigest()
    payments = all_payments(object_store, store_prefix)
    assert sum(payment.n_texts for payment in payments) == N_TEXTS
    assert sum(payment.tokens for payment in payments) == 6 * N_TEXTS
    assert KEY not in output

    service.requests.clear()
    again, output = ended(start())
    assert again["sha256"] == result["sha256"]
    assert not service.requests
    assert not again["prefect"], "nothing to embed: Prefect is not even imported"


def test_a_refusal_ends_the_flow_at_once_and_names_what_to_do(
    start, service, prefect_url, object_store, store_prefix, tmp_path
):
    service.faults = ["quota"] * 50
    run = start(prefect_url)
    out, err = run.communicate(timeout=120)
    assert run.returncode != 0
    assert "the account has no money left: top it up" in err
    assert len(service.faults) >= 50 - DECLARED["at_once"], "a request was repeated"
    assert not service.charged
    assert KEY not in out + err
    contents = [object_store.get(info.key) for info in object_store.list(f"{store_prefix}/")]
    contents += [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(KEY.encode() in content for content in contents)
