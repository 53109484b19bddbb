"""Chats completed by a flow that a Dagster step launches: link, spending, limits, refusal, kill."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest
from hosted_step import SUPPORT
from installations import PROJECT, storage_settings
from loopback_chats import LoopbackChats
from loopback_openai import serving
from prefect_server import prefect_server

from genept.common import StoreError
from genept.language_models import ChatBudgetError, ChatError, RefusedChatError
from genept.text.hosted.ledger import all_payments
from orchestration.prefect_flows import _is_worth_retrying, complete_chats

pytestmark = pytest.mark.timeout(1200)  # a busy machine needs minutes for the processes

KEY = "sk-planted-marker-key"
N_CHATS = 24
DECLARED = """
[models.loopback]
model = "loopback-chat"
context_tokens = 1000
dollars_per_million_tokens = 1
dollars_per_million_output_tokens = 2
at_once = 3
"""
ANSWERS = [f"an answer to What does gene {number} do? drawn by 0" for number in range(N_CHATS)]
IN, OUT = 5, 11


class Step:
    """The step and its settings, to be started any number of times."""

    def __init__(self, folder, service, store):
        self.folder, self.store, self.product = folder, store, f"chats-{secrets.token_hex(4)}"
        (folder / "models.toml").write_text(DECLARED)
        self.settings = {
            "state_dir": str(folder / "state"),
            **storage_settings(store),
            "product": self.product,
            "openai_base_url": service.url,
            "openai_api_key": KEY,
            "language_models": str(folder / "models.toml"),
        }
        (folder / "settings.json").write_text(json.dumps(self.settings))

    def environment(self):
        return {f"GENEPT_{name.upper()}": str(value) for name, value in self.settings.items()}

    def start(self, server=None):
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
        command = [str(SUPPORT / "chat_run.py"), str(self.folder / "settings.json"), str(N_CHATS)]
        return subprocess.Popen(
            [sys.executable, *command, "step"],
            env=inherited | {"PYTHONPATH": f"{PROJECT}:{SUPPORT}"} | dict(server or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


@pytest.fixture
def service():
    service = LoopbackChats(seconds=0.02)
    with serving(service) as service.url:
        yield service


@pytest.fixture
def step(tmp_path, service, object_store):
    return Step(tmp_path, service, object_store)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One server for all tests of this module; it takes half a minute to start."""
    with prefect_server(tmp_path_factory.mktemp("prefect-server")) as served:
        yield served


def ended(run):
    output, _ = run.communicate(timeout=600)
    assert run.returncode == 0, output[-3000:]
    assert KEY not in output
    return json.loads(output.splitlines()[-1])


@pytest.mark.slow
def test_a_step_links_to_its_flow_run_which_shows_what_was_spent(step, service, server):
    with server.worker(step.environment()):
        result = ended(step.start(server.environment))
    assert result["answers"] == ANSWERS
    assert set(service.asked.values()) == {1}
    dollars = N_CHATS * (IN + 2 * OUT) / 1e6
    assert result["dollars paid to loopback"] == pytest.approx(dollars)
    run_id = result["flow complete-chats"].rsplit("/", 1)[1]
    flow_run = server.get(f"flow_runs/{run_id}").json()
    assert (flow_run["state_name"], flow_run["work_pool_name"]) == ("Completed", "genept")
    (artifact,) = server.post("artifacts/filter", artifacts={"flow_run_id": {"any_": [run_id]}})
    (spent,) = json.loads(artifact["data"])
    assert spent == {
        "model": "loopback",
        "chats": N_CHATS,
        "requests": N_CHATS,
        "tokens": N_CHATS * IN,
        "output tokens": N_CHATS * OUT,
        "dollars": pytest.approx(dollars),
        "under way": 0,
    }
    limits = {limit["name"]: limit for limit in server.post("v2/concurrency_limits/filter")}
    assert limits["loopback-requests"]["slot_decay_per_second"] == pytest.approx(450 / 60)
    payments = all_payments(step.store, step.product)
    assert {payment.run_id for payment in payments} == {run_id}
    assert sum(payment.output_tokens for payment in payments) == N_CHATS * OUT
    assert not list(step.store.list(f"{step.product}/cache/chat_lists/"))

    again = ended(step.start(server.environment))
    assert again["answers"] == ANSWERS
    assert not again["prefect"], "nothing to ask: Prefect is not even imported"


@dataclass
class Failed:
    """The state of a task that raised an error."""

    error: Exception

    def result(self, raise_on_failure):
        return self.error


@pytest.mark.parametrize(
    ("error", "is_tried_again"),
    [
        (ChatError("the service answered without a message"), True),
        (RefusedChatError("the key is not accepted"), False),
        (ChatBudgetError("the next request may cost more"), False),
    ],
)
def test_only_what_may_succeed_is_tried_again(error, is_tried_again):
    assert _is_worth_retrying(None, None, Failed(error)) is is_tried_again


@pytest.mark.soak
def test_after_a_kill_no_more_than_the_requests_under_way_are_paid_for_again(step, service, server):
    service.seconds = 0.2
    with server.worker(step.environment()):
        run = step.start(server.environment)
        end = time.monotonic() + 600
        while not service.bodies and run.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.3)
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate()
    asked = sum(service.asked.values())
    assert 0 < asked < N_CHATS, "the kill came too late to test anything"
    service.seconds = 0.0
    with server.worker(step.environment()):
        assert ended(step.start(server.environment))["answers"] == ANSWERS
    assert sum(service.asked.values()) <= N_CHATS + 3, "3 requests were under way"
    payments = all_payments(step.store, step.product)
    assert sum(payment.n_texts for payment in payments) == N_CHATS


def test_a_worker_that_would_keep_replies_elsewhere_asks_nobody(step, service, monkeypatch):
    for name, value in step.environment().items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreError, match="expected in another/place"):
        complete_chats.fn("loopback", "another/place", "lake/chats.parquet")
    assert not service.bodies
