"""The example task of CONTRIBUTING runs unchanged, beside its controls."""

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest
from gene_spaces import GENES, YES, N, space

from genept.benchmarks.runs.leaderboard import run_tasks
from genept.benchmarks.task_base import Labels

GUIDE = Path(__file__).parents[2] / "CONTRIBUTING.md"


@pytest.fixture
def example(tmp_path, monkeypatch) -> ModuleType:
    """The code block as a module of its own, since a task's code is part of its hash."""
    (code,) = re.findall(r"```python\n(from dataclasses.*?)```", GUIDE.read_text("utf-8"), re.S)
    (tmp_path / "contributed_task.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    import contributed_task

    return contributed_task


def test_the_contributed_task_is_scored_beside_its_controls(lake, example):
    rows = pl.DataFrame(
        {
            "task": example.task.id,
            "position": range(N),
            "input_id": GENES,
            "ensembl_gene_id": GENES,
            "outcome": "ensembl_id",
            "label": ["membrane" if is_positive else "soluble" for is_positive in YES],
            "fate": "scored",
        }
    )
    labels = Labels(rows, pl.DataFrame(schema={"task": pl.String}))
    spaces = [space(lake, "good/text", 3.0), space(lake, "good/kind", 3.0, tells=["location"])]
    parts, remarks = run_tasks(lake, labels, spaces, tasks={example.task.id: example.task})
    results = lake.read([part for part in parts if part.table == "benchmark_results"])
    value = dict(results.select("representation", "value").iter_rows())
    assert set(value) == {
        "good/text", "good/text@shuffled", "good/text@permuted-labels", "random-384",
    }  # fmt: skip
    assert value["good/text"] > 0.9
    assert max(score for name, score in value.items() if name != "good/text") < 0.7
    assert remarks == {f"{example.task.id}/good/kind": "it states the answer: location"}


def test_a_module_of_a_kind_of_task_can_be_named_in_the_registry():
    """The registry imports it, so what it builds on must not import the registry."""
    code = (
        "import sys, genept.benchmarks.gene_tasks; "
        "sys.exit('genept.benchmarks.task_registry' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
