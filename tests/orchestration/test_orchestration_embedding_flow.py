"""The Prefect flow with the server that Prefect starts for itself, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

FLOW = """
import json, sys
from pathlib import Path
from orchestration.embedding_flow import prefect_runner

asked = []

def embed_batch(batch):
    asked.append(list(batch))
    if len(asked) == 2:
        raise ConnectionError("the service hung up")

prefect_runner(Path(sys.argv[1]))([["a", "b"], ["c"], ["d"]], embed_batch)
print(json.dumps(asked))
"""


def test_batches_run_in_order_and_one_that_fails_is_tried_again(tmp_path: Path) -> None:
    home = tmp_path / "home"
    environment = {**os.environ, "HOME": str(home)}
    for name in ("PREFECT_API_URL", "PREFECT_HOME"):
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
    assert json.loads(done.stdout.splitlines()[-1]) == [["a", "b"], ["c"], ["c"], ["d"]]
    assert (tmp_path / "prefect" / "prefect.db").exists()
    assert not (home / ".prefect").exists(), "the user's own Prefect is left alone"
