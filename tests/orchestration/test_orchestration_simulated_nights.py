"""Many nights with faults: each ends published or refused, and nothing is left over."""

from __future__ import annotations

from pathlib import Path

import pytest
from simulated_nights import simulate

N_NIGHTS = 60
"""What fits into some two minutes; `simulated_nights.py 200` goes on for longer."""


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_every_night_ends_published_or_cleanly_refused(tmp_path: Path) -> None:
    told: list[str] = []
    count = simulate(N_NIGHTS, seed=20, folder=tmp_path, tell=told.append)
    assert len(told) == N_NIGHTS
    assert count["no news"] > N_NIGHTS / 2
    assert count["published"] > 2
    assert count["refused"] > 0
