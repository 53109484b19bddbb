"""What the commands on results print."""

import polars as pl
import pytest

from genept.benchmarks.task_registry import TASKS
from genept.cli import bench_commands


@pytest.mark.parametrize("id_", ["go-terms-folds", "go-terms"])
def test_published_means_stand_below_ours_and_are_marked(capsys, id_: str) -> None:
    task = TASKS[id_]
    rows = pl.DataFrame(
        {
            "task": id_, "dataset": task.dataset, "model": task.model, "split": task.clean,
            "metric": task.metrics[0], "representation": ["tf-idf/name", "lsa-384/name"],
            "value": [0.6, 0.5], "ci_low": 0.4, "ci_high": 0.7, "n": 56,
            "is_control": [True, False],
        }
    )  # fmt: skip
    bench_commands._print(rows)
    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in lines if " 0." in line]
    marked = [line for line in lines if line.rstrip().endswith("published")]
    assert names[:2] == ["tf-idf/name", "lsa-384/name"]
    assert len(marked) == len(task.published_scores) == len(names) - 2
    if marked:
        assert "GenePT 3-large" in marked[0]
        assert "0.926" in marked[0]
        assert " to " not in marked[0], "others' scores have no interval of ours"
