"""The report of a failed run: what to do, posted to a webhook if one is set, without secrets."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import dagster as dg
import pytest
from pydantic import SecretStr, ValidationError

from genept.client.platform import Platform
from genept.common.settings import Settings
from genept.storage.object_store import ObjectStore
from orchestration.failures import failures

KEY = "sk-planted-marker"


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[bytes]]]:
    """Address of a server on loopback, and the bodies posted to it."""
    bodies: list[bytes] = []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    with HTTPServer(("127.0.0.1", 0), Webhook) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/hook/s3cret-path", bodies
        server.shutdown()
        thread.join()


def failed_run(settings: Settings, store: ObjectStore | None, instance: dg.DagsterInstance) -> None:
    @dg.op
    def refuses() -> None:
        raise ValueError(f"the service did not take {KEY}: set another")

    @dg.job
    def nightly() -> None:
        refuses()

    result = nightly.execute_in_process(
        instance=instance, raise_on_error=False, tags={"dagster/partition": "2026-11-05"}
    )
    platform = Platform(settings)
    if store is not None:
        platform.store = store
    context = dg.build_run_status_sensor_context(
        sensor_name="failures",
        dagster_instance=instance,
        dagster_run=result.dagster_run,
        dagster_event=result.get_run_failure_event(),
        resources={"platform": platform},
    )
    failures(context.for_run_failure())


def test_the_report_says_what_failed_and_what_to_do_and_contains_no_secret(
    tmp_path: Path,
    object_store: ObjectStore,
    store_prefix: str,
    webhook: tuple[str, list[bytes]],
) -> None:
    address, bodies = webhook
    settings = Settings(
        state_dir=tmp_path,
        product=store_prefix.rpartition("/")[2].replace("_", "-").lower()[:40],
        openai_api_key=SecretStr(KEY),
        failure_webhook=SecretStr(address),
    )
    with dg.instance_for_test() as instance:
        failed_run(settings, object_store, instance)
    (report,) = (path.read_text() for path in (tmp_path / "failures").glob("*.md"))
    assert "- day: 2026-11-05" in report
    assert "- `refuses`: ValueError: the service did not take (hidden): set another" in report
    assert "## What to do" in report
    (body,) = bodies
    assert json.loads(body)["text"] == report
    (info,) = object_store.list(f"{settings.product}/failures/")
    assert object_store.get(info.key).decode() == report
    for text in (report, body.decode()):
        assert KEY not in text
        assert "s3cret-path" not in text


def test_the_report_is_written_when_webhook_and_store_are_unreachable(tmp_path: Path) -> None:
    settings = Settings(
        state_dir=tmp_path,
        s3_endpoint="http://127.0.0.1:9",
        s3_access_key="a",
        s3_secret_key=SecretStr("b-secret"),
        failure_webhook=SecretStr("http://127.0.0.1:9/hook/s3cret-path"),
    )
    with dg.instance_for_test() as instance:
        failed_run(settings, None, instance)
    (report,) = (path.read_text() for path in (tmp_path / "failures").glob("*.md"))
    assert "The webhook could not be called: ConnectError" in report
    assert "The store has no copy of this report" in report
    assert "s3cret-path" not in report


@pytest.mark.parametrize("address", ["http://example.org/x", "ftp://127.0.0.1/x", "https://"])
def test_a_webhook_is_encrypted_or_on_this_machine(address: str) -> None:
    with pytest.raises(ValidationError, match="must begin with https"):
        Settings(failure_webhook=SecretStr(address))
