"""Worker processes: results as they are ready, whatever the order of the tasks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from genept.common.workers import Workers


def slept(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def failed(task: int) -> int:
    raise ValueError(f"task {task}")


def test_a_long_task_keeps_no_other_waiting() -> None:
    with Workers(2) as workers:
        results = list(workers.completed(slept, [1.5, *[0.01] * 8]))
    assert results[-1] == (0, 1.5), "seven and more others were ready before"
    assert sorted(results) == [(0, 1.5), *((at, 0.01) for at in range(1, 9))]


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("tasks", [[], [0.0], [0.0, 0.1, 0.2]])
def test_every_result_is_given_once(processes: int, tasks: list[float]) -> None:
    with Workers(processes) as workers:
        assert dict(workers.completed(slept, tasks)) == dict(enumerate(tasks))


def test_what_a_task_raises_is_raised_here() -> None:
    with Workers(2) as workers, pytest.raises(ValueError, match="task [12]"):
        list(workers.completed(failed, [1, 2]))


KILLED = """
import os, sys, time
from genept.common.workers import Workers
from test_workers import identified

if __name__ == "__main__":
    with Workers(2) as workers:
        for at, pid in workers.completed(identified, [3e7] * 8):
            print(pid, flush=True)
"""


def identified(n_bytes: float) -> tuple[int, bytes]:
    """Id of the worker, and a result that does not fit into a pipe."""
    time.sleep(0.1)
    return os.getpid(), bytes(int(n_bytes))


def test_workers_end_with_a_process_that_is_killed(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(KILLED.replace("print(pid", "print(pid[0]"))
    places = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    with subprocess.Popen(
        [sys.executable, str(program)],
        env=os.environ | {"PYTHONPATH": places}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True,
    ) as started:  # fmt: skip
        assert started.stdout is not None
        workers = {int(started.stdout.readline()) for _ in range(3)}
        started.kill()
    until = time.monotonic() + 20
    while workers and time.monotonic() < until:
        workers = {pid for pid in workers if psutil.pid_exists(pid)}
        time.sleep(0.1)
    assert not workers
