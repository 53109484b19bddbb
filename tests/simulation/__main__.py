"""Simulate one seed and print every event; see ``CONTRIBUTING.md`` for how to call it."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from simulation.library import seams
from simulation.scenario import run_seed

if __name__ == "__main__":
    with TemporaryDirectory() as folder, seams():
        report = run_seed(int(sys.argv[1]), Path(folder), trace=True)
    print("\n".join(report.trace))
    print(report if report.violations else "no invariant is violated")
