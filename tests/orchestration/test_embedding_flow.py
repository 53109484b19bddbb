"""The Prefect flow with the server that Prefect starts for itself, in a process of its own."""

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

asked = []
answers = []

def ask_every_port():
    for process in psutil.Process().children(recursive=True):
        for one in process.net_connections("inet"):
            if one.status == psutil.CONN_LISTEN:
                address = f"http://{one.laddr.ip}:{one.laddr.port}/api"
                answers.append(httpx.post(f"{address}/flow_runs/filter", json={}).status_code)
                answers.append(httpx.get(f"{address}/admin/settings").status_code)

def embed_batch(batch):
    ask_every_port()
    asked.append(list(batch))
    if len(asked) == 2:
        raise ConnectionError("the service hung up")

batches = [["a", "b"], ["c"], ["d"]]
prefect_runner(Path(sys.argv[1]))(batches, embed_batch, 1, threading.Event())
print(json.dumps([asked, answers]))
"""


def test_batches_run_in_order_and_one_that_fails_is_tried_again(tmp_path: Path) -> None:
    home = tmp_path / "home"
    environment = {**os.environ, "HOME": str(home)}
    for name in [name for name in environment if name.startswith("PREFECT_")]:
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", FLOW, str(tmp_path / "prefect")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    asked, answers = json.loads(done.stdout.splitlines()[-1])
    assert asked == [["a", "b"], ["c"], ["c"], ["d"]]
    assert set(answers) == {401}, "the server of Prefect lets whoever has no key do nothing"
    assert (tmp_path / "prefect" / "prefect.db").exists()
    assert not (home / ".prefect").exists(), "the user's own Prefect is left alone"
