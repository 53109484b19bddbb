"""What is predicted from each entry of a task and from its controls: a step that is stored.

Which entries there are is `genept.benchmarks.input_tables`; the steps are run, in several
processes, by `genept.benchmarks.runs.stored_steps`.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

import numpy as np
import polars as pl

from genept.benchmarks.input_tables import LIBRARIES, Representation, TaskInputs
from genept.benchmarks.resampling import FUSED
from genept.benchmarks.runs.stored_steps import Step
from genept.benchmarks.task_base import GeneVectors, Task, constant, random_vectors
from genept.embeddings import concatenated
from genept.storage import NewPart, Origin, PartReader

_CODE: Final = (
    "genept.benchmarks.runs.entry_predictions",
    "genept.benchmarks.term_weights",
    "genept.text.local.baselines",
)


def prediction_step(
    inputs: TaskInputs, name: str, members: Sequence[Representation], *, further: bool = False
) -> Step:
    """The step that stores the predictions of one entry and of its controls.

    The controls of an entry are its vectors shuffled among genes, and its labels permuted; one that
    is a control itself has none. That without members has random vectors and the task's baseline.

    Parameters
    ----------
    inputs
        Task, labels and genes.
    name, members
        An entry of `input_tables.entries`: its name, and the representations that are concatenated.
    further
        Whether it has the heads and splits that do not decide, instead of those that do.

    Returns
    -------
    Step
        Its parts are of table `benchmark_predictions`, one per representation.
    """
    task = inputs.task
    read = inputs.inputs | {member.name: member.part.sha256 for member in members}
    settings = {"task": repr(task), "entry": name, "further": further}
    return Step(
        f"benchmarks/{task.id}/{name}{'/further' * further}",
        f"{task.id}: {name}{', other heads and splits' * further}",
        Origin((*task.code, *_CODE), read, settings, LIBRARIES),
        tuple(member.part for member in members),
        partial(_parts, inputs=inputs, name=name, members=members, further=further),
        is_long=name == FUSED,
    )


def _parts(
    copies: PartReader,
    inputs: TaskInputs,
    name: str,
    members: Sequence[Representation],
    *,
    further: bool,
) -> list[NewPart]:
    predictions = (further_predictions if further else predicted)(copies, inputs, name, members)
    return [
        NewPart("benchmark_predictions", rows, (inputs.task.id, representation), None, int(further))
        for representation, rows in predictions
    ]


def predicted(
    copies: PartReader, inputs: TaskInputs, name: str, members: Sequence[Representation]
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Predictions from one representation and its controls, by name of the representation."""
    task, rows = inputs.task, inputs.rows
    draws = range(task.draws)
    if not members:
        drawn = [random_vectors(inputs.genes, draw=draw) for draw in draws]
        by_chance = [task.predict(rows, each, draw=draw) for draw, each in enumerate(drawn)]
        yield _marked(task, drawn[0], pl.concat(by_chance))
        if (baseline := task.baseline(rows)) is not None:
            known = GeneVectors(baseline[0], (), np.empty((0, 0), np.float32), is_control=True)
            yield _marked(task, known, baseline[1])
        return
    if name == FUSED:
        yield from _fused(copies, inputs, members)
        return
    vectors = _vectors(copies, inputs, name, members)
    yield _marked(task, vectors, task.predict(rows, vectors))
    if vectors.is_control:
        return
    mixed = (task.predict(rows, vectors.shuffled(draw), draw=draw) for draw in draws)
    yield _marked(task, vectors.shuffled(), pl.concat(mixed))
    dealt = GeneVectors(f"{name}@permuted-labels", vectors.genes, vectors.matrix, is_control=True)
    given = (task.predict(task.permuted(rows, draw), dealt, draw=draw) for draw in draws)
    yield _marked(task, dealt, pl.concat(given))


def _fused(
    copies: PartReader, inputs: TaskInputs, members: Sequence[Representation]
) -> Iterator[tuple[str, pl.DataFrame]]:
    task, rows = inputs.task, inputs.rows
    read = [member.read(copies, inputs.genes) for member in members]

    def named(suffix: str = "") -> GeneVectors:
        empty = np.empty((0, 0), np.float32)
        return GeneVectors(f"{FUSED}{suffix}", (), empty, is_control=bool(suffix))

    draws = range(task.draws)
    yield _marked(task, named(), task.predict_fused(rows, read))
    mixed = (
        task.predict_fused(rows, [vectors.shuffled(draw) for vectors in read], draw=draw)
        for draw in draws
    )
    yield _marked(task, named("@shuffled"), pl.concat(mixed))
    given = (task.predict_fused(task.permuted(rows, draw), read, draw=draw) for draw in draws)
    yield _marked(task, named("@permuted-labels"), pl.concat(given))


def further_predictions(
    copies: PartReader, inputs: TaskInputs, name: str, members: Sequence[Representation]
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Predictions by the heads and on the splits that do not decide; of random vectors, several."""
    task, rows = inputs.task, inputs.rows
    if name == FUSED:
        return
    if members:
        vectors = _vectors(copies, inputs, name, members)
        if (predictions := task.further(rows, vectors)) is not None:
            yield _marked(task, vectors, predictions)
        return
    frames = []
    for draw in range(task.further_draws):
        drawn = random_vectors(inputs.genes, draw=draw)
        if (predictions := task.further(rows, drawn)) is not None:
            own = pl.col("fold") + draw * (1 + pl.col("fold").max())
            frames.append(predictions.with_columns(own))
    if frames:
        yield _marked(task, random_vectors(inputs.genes), pl.concat(frames))


def _marked(
    task: Task, vectors: GeneVectors, predictions: pl.DataFrame
) -> tuple[str, pl.DataFrame]:
    of = {"representation": vectors.name, "is_control": vectors.is_control}
    return vectors.name, constant(predictions, task=task.id, **of)


def _vectors(
    copies: PartReader, inputs: TaskInputs, name: str, members: Sequence[Representation]
) -> GeneVectors:
    """A representation, or several side by side."""
    read = [member.read(copies, inputs.genes) for member in members]
    if len(read) == 1:
        return read[0]
    joined = {vectors.name: vectors.of(inputs.genes) for vectors in read}
    return GeneVectors(name, inputs.genes, concatenated(joined))
