"""Many nights with faults: each ends published or refused, and nothing is left over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from simulated_nights import FAULTS, simulate

N_NIGHTS, SEED = 30, 346
"""What fits into some two minutes, with nearly every fault; `simulated_nights.py 200` is a year's
better half."""


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_every_night_ends_published_or_cleanly_refused(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    count = simulate(N_NIGHTS, SEED, tmp_path, tell=told.append)
    assert len(told) == N_NIGHTS
    assert count["no news"] > N_NIGHTS / 2
    assert count["published"] > 2
    assert count["refused"] > 2
    assert sum(count[fault] > 0 for fault in FAULTS) >= 5
