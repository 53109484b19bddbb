"""Every task on genes: the kinds of tasks, and the entries of `gene_tasks.toml`.

To add a kind of task, see CONTRIBUTING.
"""

import tomllib
from collections.abc import Callable, Mapping
from functools import partial
from importlib.resources import files
from typing import Any, Final

from genept.benchmarks.fitted_heads import LOGISTIC
from genept.benchmarks.gene_tasks import KindTask, PropertyTask
from genept.benchmarks.pair_tasks import DISJOINT, InteractionTask, PairTask
from genept.benchmarks.task_base import Task
from genept.benchmarks.term_tasks import FoldsTask, MembershipTask

KINDS: Final[Mapping[str, Callable[..., Task]]] = {
    "property": PropertyTask,
    "kind": KindTask,
    "membership": partial(
        MembershipTask, metrics=("mean_auroc",), clean="5-fold-genes", model="ridge"
    ),
    "term-folds": FoldsTask,
    "pair": partial(PairTask, metrics=("auroc",), clean=DISJOINT),
    "interaction": partial(
        InteractionTask,
        metrics=("auroc",),
        clean=DISJOINT,
        model=f"{LOGISTIC}:all-symmetric",
        stated_by=("interactions",),
    ),
}
"""Class of each kind of task, with what is usual for it."""


def _task(id_: str, entry: Mapping[str, Any]) -> Task:
    fields = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in entry.items()
        if name != "kind"
    }
    return KINDS[entry["kind"]](id=id_, **fields)


TASKS: Final[dict[str, Task]] = {
    id_: _task(id_, entry)
    for id_, entry in tomllib.loads(
        files("genept.benchmarks").joinpath("gene_tasks.toml").read_text("utf-8")
    ).items()
}
"""Tasks by id, in the order of the leaderboard."""
