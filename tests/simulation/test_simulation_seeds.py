"""Many seeds: no invariant is violated, and every kind of fault took effect.

A seed that fails is printed, with how to repeat it. Once it is understood, it belongs in
`FIXED_SEEDS`, beside a test of the module that was at fault.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from simulation.library import seams
from simulation.scenario import QUICK, Report, run_seed

MANY = 10_000
CHUNK = 100
FAULT_COUNTERS = (
    "request lost",
    "answer of a read lost",
    "answer of a write lost",
    "answer 409",
    "answer 503",
    "body of an answer cut",
    "every attempt of a call failed",
    "process cut off from the store for a call",
    "process died after a write, before its answer",
    "process died before a call",
    "process suspended before a chosen request",
    "process suspended before a swap",
    "process suspended for a while",
    "process suspended after a review",
    "process suspended for days",
    "write delivered late, after its timeout: refused",
    "write delivered late, after its timeout: took effect",
    "write delivered twice: refused",
    "write of a process that died meanwhile: took effect",
    "publication with a wrong clock",
    "clock set while a process ran",
    "store out of reach of everybody for a while",
    "run given up while it was alive",
    "given-up run came back",
    "manifest lost",
)
EVENT_COUNTERS = (
    "release published",
    "nothing new",
    "release held",
    "hold approved",
    "rolled back",
    "denied release allowed",
    "garbage deleted: lake parts",
    "garbage deleted: lake records",
    "garbage deleted: lake tables",
    "garbage deleted: release",
    "release read whole",
    "release read by version 0.1.0",
    "manifest written by a later version",
    "pointer written by a later version",
)
AGAIN = "PYTHONPATH=tests:tests/support .venv/bin/python -m simulation"
FIXED_SEEDS: tuple[int, ...] = ()
"""Seeds that failed once."""


def run_seeds(seeds: Iterable[int], folder: Path) -> tuple[Counter[str], list[str]]:
    """Counters of what took effect, and a text for each seed that violates an invariant."""
    counters: Counter[str] = Counter()
    failed = []
    with seams():
        for seed in seeds:
            report = run_seed(seed, folder)
            counters += report.counters
            if report.violations:
                failed.append(f"{report}\n    {AGAIN} {seed}")
    return counters, failed


def summary(counters: Counter[str]) -> str:
    return "\n".join(f"{count:9,}  {event}" for event, count in sorted(counters.items()))


def test_few_seeds(tmp_path: Path) -> None:
    counters, failed = run_seeds([*FIXED_SEEDS, *range(QUICK)], tmp_path)
    print(summary(counters))
    assert not failed, "\n".join(failed)
    assert not [counter for counter in (*FAULT_COUNTERS, *EVENT_COUNTERS) if not counters[counter]]


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_many_seeds(tmp_path: Path) -> None:
    chunks = [range(start, start + CHUNK) for start in range(0, MANY, CHUNK)]
    counters: Counter[str] = Counter()
    failed: list[str] = []
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for chunk_counters, chunk_failed in pool.map(run_seeds, chunks, [tmp_path] * len(chunks)):
            counters += chunk_counters
            failed += chunk_failed
    print(summary(counters))
    assert not failed, "\n".join(failed)


def test_a_seed_decides_everything(tmp_path: Path) -> None:
    def lived() -> Report:
        with seams():
            return run_seed(11, tmp_path, trace=True)

    first, second = lived(), lived()
    assert first.trace == second.trace
    assert first.counters == second.counters
    assert len(first.trace) > 100
