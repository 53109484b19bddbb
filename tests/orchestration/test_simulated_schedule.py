"""Many nightly runs with faults: each ends published or refused, and leaves no residue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from simulated_schedule import FAULTS, simulate

N_RUNS, SEED = 30, 346
"""As many runs as fit into two minutes, with nearly every fault; `simulated_schedule.py 200` covers
most of a year."""


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_every_run_ends_published_or_cleanly_refused(tmp_path: Path) -> None:
    outcomes: list[dict[str, Any]] = []
    count = simulate(N_RUNS, SEED, tmp_path, report=outcomes.append)
    assert len(outcomes) == N_RUNS
    assert count["no news"] > N_RUNS / 2
    assert count["published"] > 2
    assert count["refused"] > 2
    assert sum(count[fault] > 0 for fault in FAULTS) >= 5
