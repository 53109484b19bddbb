"""Every task on genes: the kinds of tasks, and the entries of `gene_tasks.toml`.

To add a kind of task, see CONTRIBUTING.
"""

import tomllib
from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib.resources import files
from typing import Any, Final

from genept.benchmarks.classifiers import LOGISTIC
from genept.benchmarks.gene_tasks import KindTask, PropertyTask
from genept.benchmarks.pairs import DISJOINT, InteractionTask, PairTask
from genept.benchmarks.split_tasks import (
    NESTED,
    SINCE,
    DatedTermsTask,
    EffectDirectionTask,
    NestedPairTask,
)
from genept.benchmarks.task_base import Task
from genept.benchmarks.terms import FoldsTask, MembershipTask
from genept.common import Plugin, SourceError, console, plugins_of

KINDS: Final[Mapping[str, Callable[..., Task]]] = {
    "property": PropertyTask,
    "kind": KindTask,
    "membership": partial(
        MembershipTask, metrics=("mean_auroc",), clean="5-fold-genes", model="ridge"
    ),
    "term-folds": FoldsTask,
    "dated-membership": partial(
        DatedTermsTask, metrics=("mean_auroc",), clean=SINCE, model="ridge", draws=1
    ),
    "pair": partial(PairTask, metrics=("auroc",), clean=DISJOINT),
    "nested-pair": partial(
        NestedPairTask,
        metrics=("auroc",),
        clean=NESTED,
        model=f"{LOGISTIC}:product",
        draws=1,
    ),
    "direction": partial(
        EffectDirectionTask, metrics=("auroc",), clean=DISJOINT, model=f"{LOGISTIC}:concatenation"
    ),
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
"""Tasks of this package by id, in the order of the leaderboard."""


@cache
def all_tasks() -> dict[str, Task]:
    """Return every task on genes, those that other distributions add included.

    They are entry points of group ``genept.tasks``: the name is the task's id, the value the task.
    One that cannot be loaded is left out, and named once on the terminal.

    Returns
    -------
    dict of str to Task
        By id, in the order of the leaderboard.
    """
    tasks = dict(TASKS)
    for id_, plugin in plugins_of("genept.tasks").items():
        try:
            tasks[id_] = _plugin_task(plugin)
        except SourceError as error:
            console.print(f"Left out: {error}", style="yellow", markup=False)
    return tasks


def _plugin_task(plugin: Plugin) -> Task:
    task = plugin.load()
    if plugin.name in TASKS:
        raise plugin.faulty("is a task of genept-platform itself")
    if not isinstance(task, Task):
        raise plugin.faulty(f"is no genept.benchmarks.Task but {type(task).__name__}")
    if task.id != plugin.name:
        raise plugin.faulty(f"calls itself {task.id!r}")
    return task
