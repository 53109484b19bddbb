"""The Prefect flow with a server that Prefect starts itself, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

FLOW = """
import json, sys, threading
from pathlib import Path

import httpx, psutil

from orchestration.embedding_flow import prefect_runner

embedded = []
statuses = []

def request_every_port():
    for process in psutil.Process().children(recursive=True):
        for connection in process.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                address = f"http://{connection.laddr.ip}:{connection.laddr.port}/api"
                statuses.append(httpx.post(f"{address}/flow_runs/filter", json={}).status_code)
                statuses.append(httpx.get(f"{address}/admin/settings").status_code)

def embed_batch(batch):
    request_every_port()
    embedded.append(list(batch))
    if len(embedded) == 2:
        raise ConnectionError("the service hung up")

batches = [["a", "b"], ["c"], ["d"]]
prefect_runner(Path(sys.argv[1]))(batches, embed_batch, 1, threading.Event())
print(json.dumps([embedded, statuses]))
"""


def test_batches_run_in_order_and_a_failed_one_is_retried(tmp_path: Path) -> None:
    home = tmp_path / "home"
    environment = {**os.environ, "HOME": str(home)}
    for name in [name for name in environment if name.startswith("PREFECT_")]:
        environment.pop(name, None)
    process = subprocess.run(
        [sys.executable, "-c", FLOW, str(tmp_path / "prefect")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    embedded, statuses = json.loads(process.stdout.splitlines()[-1])
    assert embedded == [["a", "b"], ["c"], ["c"], ["d"]]
    assert set(statuses) == {401}, "Prefect's server refuses all requests without the key"
    assert (tmp_path / "prefect" / "prefect.db").exists()
    assert not (home / ".prefect").exists(), "the user's own Prefect is not touched"
