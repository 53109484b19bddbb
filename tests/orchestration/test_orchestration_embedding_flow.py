"""The Prefect flow with the server that Prefect starts for itself, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

FLOW = """
import json, sys
from orchestration.embedding_flow import prefect_runner

asked = []

def embed_batch(batch):
    asked.append(list(batch))
    if len(asked) == 2:
        raise ConnectionError("the service hung up")

prefect_runner([["a", "b"], ["c"], ["d"]], embed_batch)
print(json.dumps(asked))
"""


def test_batches_run_in_order_and_one_that_fails_is_tried_again(tmp_path: Path) -> None:
    environment = {**os.environ, "PREFECT_HOME": str(tmp_path), "HOME": str(tmp_path)}
    environment.pop("PREFECT_API_URL", None)
    done = subprocess.run(
        [sys.executable, "-c", FLOW],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [["a", "b"], ["c"], ["c"], ["d"]]
