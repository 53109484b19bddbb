"""What is predicted of a task's genes from one entry's vectors, and from those of its controls.

A control is drawn several times, and its score is the mean: of a hundred genes, a single draw may
lie far from chance by luck. Scoring, comparing and the order of things are `leaderboard`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import polars as pl

from genept.benchmarks.contests import Contest, SpaceVectors
from genept.benchmarks.tasks import GeneVectors, Task, random_vectors
from genept.embeddings.ensembles import concatenated
from genept.store.lake import Lake, NewPart, Part
from genept.store.provenance import Origin

LIBRARIES: Final = ("numpy", "scikit-learn", "scipy")
_CODE: Final = (
    "genept.benchmarks.predicting",
    "genept.text.random_vectors",
    "genept.text.shuffling",
)


def predict(lake: Lake, contest: Contest, name: str, members: Sequence[SpaceVectors]) -> list[Part]:
    """Predictions of one entry and of its controls, unless the lake holds them already."""
    task = contest.task
    origin = Origin(
        code=(*task.code, *_CODE),
        inputs=contest.inputs | {one.space.id: one.part.sha256 for one in members},
        settings={"task": repr(task), "entry": name},
        libraries=LIBRARIES,
    )

    def compute() -> list[NewPart]:
        return [
            NewPart("benchmark_predictions", rows, (task.id, representation))
            for representation, rows in _predicted(lake, contest, name, members)
        ]

    return lake.build(f"benchmarks/{task.id}/{name}", origin, compute)


def _predicted(
    lake: Lake, contest: Contest, name: str, members: Sequence[SpaceVectors]
) -> Iterator[tuple[str, pl.DataFrame]]:
    task, rows = contest.task, contest.rows

    def marked(vectors: GeneVectors, found: pl.DataFrame) -> tuple[str, pl.DataFrame]:
        said = {"task": task.id, "representation": vectors.name, "is_control": vectors.is_control}
        return vectors.name, found.with_columns(**{k: pl.lit(v) for k, v in said.items()})

    if not members:
        yield marked(random_vectors(contest.genes), _by_chance(task, rows, contest.genes))
        if (baseline := task.baseline(rows)) is not None:
            known = GeneVectors(baseline[0], (), np.empty((0, 0), np.float32), is_control=True)
            yield marked(known, baseline[1])
        return
    vectors = _joined(name, [one.read(lake, contest.genes) for one in members])
    yield marked(vectors, task.predict(rows, vectors))
    draws = range(task.draws)
    mixed = (task.predict(rows, vectors.shuffled(draw), draw=draw) for draw in draws)
    yield marked(vectors.shuffled(), pl.concat(mixed))
    dealt = GeneVectors(f"{name}@permuted-labels", vectors.genes, vectors.matrix, is_control=True)
    given = (task.predict(task.permuted(rows, draw), dealt, draw=draw) for draw in draws)
    yield marked(dealt, pl.concat(given))


def _by_chance(task: Task, rows: pl.DataFrame, genes: Sequence[str]) -> pl.DataFrame:
    """Predictions from random vectors, every draw in folds of its own: scores are their means."""
    drawn = [random_vectors(genes, draw=draw) for draw in range(task.draws)]
    found = [task.predict(rows, one, draw=draw) for draw, one in enumerate(drawn)]
    decides = (pl.col("model") == task.model) & (pl.col("split") == task.clean)
    for draw, one in enumerate(drawn[: task.further_draws]):
        further = task.predict(rows, one).filter(~decides)
        found.append(further.with_columns(pl.col("fold") + draw * (1 + pl.col("fold").max())))
    return pl.concat(found)


def _joined(name: str, members: Sequence[GeneVectors]) -> GeneVectors:
    if len(members) == 1:
        return members[0]
    matrix = concatenated({one.name: one.matrix for one in members})
    return GeneVectors(name, members[0].genes, matrix)
