"""Worker processes: results as they are ready, whatever the order of the tasks."""

from __future__ import annotations

import time

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
