"""Texts embedded by flows that a Dagster step launches: links, rates, refusals, kills."""

import hashlib
import json
import os
import random
import re
import secrets
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress

import httpx
import numpy as np
import psutil
import pytest
from hosted_step import HostedStep, ended
from installations import PROJECT
from loopback_openai import LoopbackService, hashed, serving
from prefect_server import kill_all, prefect_server

from genept.common import StoreError
from genept.text.hosted.ledger import all_payments
from orchestration.prefect_flows import embed_texts

pytestmark = pytest.mark.timeout(1200)  # a busy machine needs minutes for the processes

KEY = "sk-planted-marker-key"
N_TEXTS = 96
DECLARED = """
[embedders.loopback]
model = "loopback-48"
dimensions = 48
max_tokens = 100
request_texts = 12
at_once = 3
dollars_per_million_tokens = 1
"""
TEXTS = {f"ENSG{number:011d}": f"gene {number} does what it does" for number in range(N_TEXTS)}
DIGEST = hashlib.sha256(
    np.ascontiguousarray(hashed(48)(list(TEXTS.values()))).tobytes()
).hexdigest()


@pytest.fixture
def service():
    service = LoopbackService(hashed(48), per_text=0.02)
    with serving(service) as url:
        service.url = url
        yield service


@pytest.fixture
def step(tmp_path, service, object_store):
    return step_of(tmp_path, service, object_store)


def step_of(folder, service, object_store):
    product = f"hosted-{secrets.token_hex(4)}"
    step = HostedStep(folder, service.url, KEY, object_store, product, DECLARED, TEXTS)
    step.service = service
    return step


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One server for all tests of this module; it takes half a minute to start."""
    with prefect_server(tmp_path_factory.mktemp("prefect-server")) as served:
        yield served


def assert_paid_once_and_on_record(step):
    assert step.service.charged == dict.fromkeys(TEXTS.values(), 1)
    payments = all_payments(step.store, step.product)
    assert sum(payment.n_texts for payment in payments) == N_TEXTS
    assert sum(payment.tokens for payment in payments) == 6 * N_TEXTS


@pytest.mark.slow
def test_without_a_server_one_is_started_on_loopback_with_a_key_and_ended(step, service):
    statuses = set()
    run = step.start()
    while run.poll() is None and not service.requests:
        time.sleep(0.1)
    for process in psutil.Process(run.pid).children(recursive=True):
        for connection in process.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                assert connection.laddr.ip == "127.0.0.1"
                address = f"http://127.0.0.1:{connection.laddr.port}/api"
                with suppress(httpx.HTTPError):  # not each of them speaks HTTP
                    answer = httpx.post(f"{address}/flow_runs/filter", json={}, timeout=10)
                    statuses.add(answer.status_code)
    result, output = ended(run)
    assert 401 in statuses, "the server refuses requests without the key"
    assert not any(status < 400 for status in statuses)
    assert result["digest"] == DIGEST
    assert_paid_once_and_on_record(step)
    assert not (step.folder / "home" / ".prefect").exists(), "the user's own is not touched"
    mine = str(step.folder)
    left = [p for p in psutil.process_iter(["environ"]) if mine in str(p.info["environ"])]
    assert not left
    assert KEY not in output

    service.requests.clear()
    again, _ = ended(step.start())
    assert again["digest"] == DIGEST
    assert not service.requests
    assert not again["prefect"], "nothing to embed: Prefect is not even imported"


@pytest.mark.slow
def test_a_step_links_to_its_flow_run_which_shows_what_was_spent(step, server):
    with server.worker(step.environment()):
        result, _ = ended(step.start(server.environment))
    assert result["digest"] == DIGEST
    assert_paid_once_and_on_record(step)
    page, run_id = result["flow embed-texts"].rsplit("/", 1)
    assert page == f"{server.url.removesuffix('/api')}/v2/runs/flow-run"
    flow_run = server.get(f"flow_runs/{run_id}").json()
    assert (flow_run["state_name"], flow_run["work_pool_name"]) == ("Completed", "genept")
    (artifact,) = server.post("artifacts/filter", artifacts={"flow_run_id": {"any_": [run_id]}})
    (spent,) = json.loads(artifact["data"])
    assert spent == {
        "embedder": "loopback",
        "texts": N_TEXTS,
        "requests": N_TEXTS // 12,
        "tokens": 6 * N_TEXTS,
        "dollars": pytest.approx(6 * N_TEXTS / 1e6),
        "under way": 0,
    }
    limits = {limit["name"]: limit for limit in server.post("v2/concurrency_limits/filter")}
    assert limits["loopback-tokens"]["slot_decay_per_second"] == pytest.approx(900_000 / 60)
    assert limits["loopback-requests"]["limit"] == 300


@pytest.mark.slow
def test_a_refusal_ends_the_flow_at_once_and_names_what_to_do(step, service, server):
    service.faults = ["quota"] * 50
    with server.worker(step.environment()):
        run = step.start(server.environment)
        output, _ = run.communicate(timeout=600)
    assert run.returncode != 0
    assert "the account has no money left: top it up" in output
    assert len(service.faults) >= 50 - 3, "a request was repeated"
    assert not service.charged
    assert KEY not in output
    prefix = f"{step.product}/"
    contents = [step.store.get(info.key) for info in step.store.list(prefix)]
    folders = (step.folder / "state", server.home)
    contents += [path.read_bytes() for f in folders for path in f.rglob("*") if path.is_file()]
    assert contents
    assert not any(KEY.encode() in content for content in contents)


PACED = """
import time
from genept.text.hosted.hosted_models import HostedModel
from genept.text.metered import RateLimits
from orchestration.prefect_flows import ServicePace

model = HostedModel(id="paced", model="m", dimensions=1, max_tokens=9, dollars_per_million_tokens=0,
                    tokens_per_minute=6_000, requests_per_minute=600)
pace, began = ServicePace(model), time.monotonic()
for _ in range(3):
    pace.wait(300)
print(time.monotonic() - began)
pace.adapt(RateLimits(requests=30, tokens=1_000_000))
"""


@pytest.mark.slow
def test_requests_are_paced_by_limits_of_the_server_which_the_service_may_lower(server):
    def limits():
        return {limit["name"]: limit for limit in server.post("v2/concurrency_limits/filter")}

    environment = {**os.environ, "PYTHONPATH": str(PROJECT), **server.environment}
    paced = subprocess.run(
        [sys.executable, "-c", PACED],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert paced.returncode == 0, paced.stderr
    assert float(paced.stdout) >= (900 - 600) / 90, "600 tokens at once, then 90 in a second"
    assert limits()["paced-tokens"]["limit"] == 600
    assert limits()["paced-requests"]["limit"] == 3
    assert limits()["paced-requests"]["slot_decay_per_second"] == pytest.approx(27 / 60)


def test_a_worker_that_would_keep_vectors_elsewhere_asks_nobody(step, service, monkeypatch):
    for name, value in step.environment().items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreError, match="expected in another/place"):
        embed_texts.fn("loopback", "another/place", "lake/part.parquet")
    assert not service.requests


@pytest.mark.slow
def test_an_interrupted_run_cancels_its_flow_which_keeps_the_answers_under_way(
    step, service, server
):
    service.per_text = 0.1
    with server.worker(step.environment()):
        run = step.start(server.environment)
        end = time.monotonic() + 600
        while not service.requests and run.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        os.kill(run.pid, signal.SIGINT)
        output, _ = run.communicate(timeout=600)
        assert run.returncode != 0
        (flow_run_id,) = set(re.findall(r"launched Prefect flow run ([0-9a-f-]{36})", output))
        while True:
            state = server.get(f"flow_runs/{flow_run_id}").json()["state_type"]
            if state in ("CANCELLED", "CRASHED", "COMPLETED", "FAILED"):
                break
            assert time.monotonic() < end, state
            time.sleep(0.5)
    assert state == "CANCELLED"
    assert 0 < sum(service.charged.values()) < N_TEXTS
    payments = all_payments(step.store, step.product)
    assert sum(payment.n_texts for payment in payments) == sum(service.charged.values())


MOMENTS = random.Random(5)  # noqa: S311 - moments, not secrets


def killed(step, server, what, seconds):
    """Kill one of the three so long after the first request, start it again, and run the step."""
    with ExitStack() as stack:
        worker = stack.enter_context(server.worker(step.environment()))
        run = step.start(server.environment)
        end = time.monotonic() + 600
        while not step.service.requests and run.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        assert step.service.requests, run.communicate()[0][-3000:]
        time.sleep(seconds)
        if what == "run":
            os.killpg(run.pid, signal.SIGKILL)
        elif what == "worker":
            kill_all(worker)
            os.killpg(run.pid, signal.SIGTERM)
        else:
            server.kill()
        output, _ = run.communicate(timeout=600)
        assert what == "server" or run.returncode != 0, output[-2000:]
    if what == "server":
        server.start()
    charged = sum(step.service.charged.values())
    with server.worker(step.environment()):
        result, _ = ended(step.start(server.environment))
    assert result["digest"] == DIGEST
    assert set(step.service.charged) == set(TEXTS.values())
    assert sum(step.service.charged.values()) <= N_TEXTS + 3 * 12, "3 requests were under way"
    return charged


@pytest.mark.parametrize(
    "what",
    [
        pytest.param("run", marks=pytest.mark.slow),
        *(pytest.param(what, marks=pytest.mark.soak) for what in ("worker", "server")),
    ],
)
def test_after_a_kill_no_more_than_the_requests_under_way_are_paid_for_again(step, server, what):
    charged = killed(step, server, what, MOMENTS.uniform(0, 0.5))
    assert charged < N_TEXTS, "the kill came too late to test anything"
    payments = all_payments(step.store, step.product)
    assert sum(payment.n_texts for payment in payments) == N_TEXTS


@pytest.mark.soak
def test_a_flow_run_that_lost_its_process_counts_as_crashed_and_ends_the_step(
    step, service, server
):
    service.per_text = 1.0
    with server.worker(step.environment()) as worker:
        run = step.start(server.environment)
        end = time.monotonic() + 600
        while not service.requests and run.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(35)  # until it said once that it is alive
        kill_all(worker)
    output, _ = run.communicate(timeout=600)
    assert run.returncode != 0
    assert "ended as Crashed: its process was lost" in output


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("what", ["run", "worker", "server"])
def test_ten_kills_each_converge(tmp_path_factory, object_store, server, what):
    for _ in range(10):
        service = LoopbackService(hashed(48), per_text=0.02)
        with serving(service) as service.url:
            step = step_of(tmp_path_factory.mktemp("kill"), service, object_store)
            killed(step, server, what, MOMENTS.uniform(0, 3))
