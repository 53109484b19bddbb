"""Which representations take part in a task, on which genes; and what is predicted from each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl

from genept.benchmarks.tasks.base import GeneVectors, Labels, Task, random_vectors
from genept.embeddings.ensembles import concatenated
from genept.embeddings.expression import embedding_matrix
from genept.storage.lake import Lake
from genept.storage.provenance import NewPart, Origin, Part, sha256_of
from genept.text.embedders.spaces import Space, space_of

SHARE_COVERED: Final = 0.8
"""A space that knows fewer of a task's genes is not asked: it would shrink everybody's test."""


TFIDF: Final = "lsa-384"

NAME_ONLY: Final = "minilm-l6-v2/name"


@dataclass(frozen=True)
class SpaceVectors:
    """One space: its part of table `gene_embeddings`, and the parts that its texts tell."""

    space: Space
    part: Part
    tells: frozenset[str] = frozenset()

    def read(self, lake: Lake, genes: Sequence[str]) -> GeneVectors:
        """The vectors of these genes."""
        rows = lake.read_arrow(self.part, ["ensembl_gene_id", "embedding"])
        known = tuple(rows["ensembl_gene_id"].to_pylist())
        vectors = GeneVectors(
            self.space.id, known, embedding_matrix(rows), is_control=self.space.is_control
        )
        return vectors.within(genes)


@dataclass(frozen=True)
class TaskInputs:
    """One task, the genes that every space in it knows, and who may not take part and why."""

    task: Task
    rows: pl.DataFrame
    genes: tuple[str, ...]
    spaces: tuple[SpaceVectors, ...]
    left_out: Mapping[str, str]

    @cached_property
    def inputs(self) -> dict[str, str]:
        """Content hashes of labels and genes: equal contests are not held twice."""
        columns = [column for column in self.rows.columns if column not in ("task", "outcome")]
        content = self.rows.select(columns).write_csv()
        return {"labels": sha256_of(content), "genes": sha256_of(self.genes)}


def contest(
    lake: Lake, task: Task, labels: Labels, spaces: Sequence[SpaceVectors]
) -> TaskInputs | str:
    """Who takes part in a task, and on which genes; or why it cannot be held.

    All are scored on the same genes: those that everybody knows. Drawn vectors and declared
    shuffles take no part as spaces, because every task makes its own controls.
    """
    rows = task.rows(labels)
    wanted = task.genes(rows)
    if not wanted:
        return "no labels are at hand"
    left_out: dict[str, str] = {}
    found: list[SpaceVectors] = []
    common = set(wanted)
    for one in spaces:
        if one.space.is_random or one.space.variant:
            continue
        known = wanted & set(lake.read(one.part, ["ensembl_gene_id"])["ensembl_gene_id"])
        if told := sorted(set(task.told_by) & one.tells):
            left_out[one.space.id] = f"its texts tell the answer: {', '.join(told)}"
        elif len(known) < SHARE_COVERED * len(wanted):
            left_out[one.space.id] = f"knows {len(known):,} of {len(wanted):,} genes"
        else:
            found.append(one)
            common &= known
    if not found:
        reasons = "; ".join(f"{space} {why}" for space, why in left_out.items())
        return f"no space takes part: {reasons}" if reasons else "there is no space to ask"
    genes = tuple(sorted(common))
    asked = task.known(rows, genes)
    if why := task.unfit(asked):
        return f"{why}, among the genes that every space knows"
    return TaskInputs(task, asked, genes, tuple(found), left_out)


def entries(
    contest: TaskInputs, *, together: bool = False
) -> list[tuple[str, tuple[SpaceVectors, ...]]]:
    """Name and spaces of whoever is scored: each space, ensembles of one recipe, and chance.

    Parameters
    ----------
    together
        Whether all spaces of texts stand side by side, too, whatever their recipe.
    """
    alone = [(one.space.id, (one,)) for one in contest.spaces]
    by_recipe: dict[str, list[SpaceVectors]] = {}
    for one in contest.spaces:
        if not one.space.is_control and not one.space.table:
            by_recipe.setdefault(one.space.recipe, []).append(one)
    ensembles = [
        (f"ensemble/{recipe}", tuple(members))
        for recipe, members in by_recipe.items()
        if len(members) > 1
    ]
    if together and len(by_recipe) > 1:
        everybody = tuple(one for members in by_recipe.values() for one in members)
        ensembles.append(("ensemble/all", everybody))
    return [*alone, *ensembles, ("controls", ())]


def companions(spaces: Iterable[Space]) -> list[Space]:
    """The spaces that others must stand beside: TF-IDF of the same texts, and the name alone."""
    asked = [one for one in spaces if one.needs_embedder and not one.is_control]
    wanted = [f"{TFIDF}/{one.recipe}" for one in asked] + [NAME_ONLY] * bool(asked)
    have = {one.id for one in spaces}
    return [space_of(id_) for id_ in dict.fromkeys(wanted) if id_ not in have]


LIBRARIES: Final = ("numpy", "scikit-learn", "scipy")

_CODE: Final = ("genept.benchmarks.tasks.task_inputs", "genept.text.embedders.baselines")


def predict(
    lake: Lake, contest: TaskInputs, name: str, members: Sequence[SpaceVectors]
) -> list[Part]:
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
    lake: Lake, contest: TaskInputs, name: str, members: Sequence[SpaceVectors]
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
