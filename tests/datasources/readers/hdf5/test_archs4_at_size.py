"""500 of 200,000 samples of ARCHS4's layout: what travels, memory, a cut, a kill, equality."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[3] / "bench" / "bench_ranges.py"


@pytest.mark.soak
@pytest.mark.timeout(1_800)
def test_a_selection_costs_little_more_than_its_chunks(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, str(BENCH)],
        env=os.environ | {"GENEPT_BENCH_FOLDER": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    lines = {line.partition(" ")[0].rstrip(":"): line for line in ended.stdout.splitlines()}
    for choice in ("series", "scattered", "cut", "killed"):
        assert lines[choice].endswith("equal to the local file")

    def number(choice: str, pattern: str) -> float:
        match = re.search(pattern, lines[choice])
        assert match is not None
        return float(match[1])

    assert number("series", r"\(([\d.]+) x\)") <= 1.3
    assert number("series", r"peak (\d+) MiB") <= 476, "500 MB"
    assert number("scattered", r"peak (\d+) MiB") <= 500
    assert number("cut", r"together ([\d.]+) x") <= 1.02
    assert number("killed", r"together ([\d.]+) x") <= 1.2
