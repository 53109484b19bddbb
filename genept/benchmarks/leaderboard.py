"""Every task on genes in every space, beside its controls: steps of the lake, and their tables.

One step per task and space keeps predictions, so that only what an input changed is done again;
scores and paired differences are made of predictions. Tasks themselves know nothing of this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import polars as pl

from genept.benchmarks.comparisons import corrected, paired_differences
from genept.benchmarks.registry import TASKS
from genept.benchmarks.resampling import METRICS, Resampled, resampled
from genept.benchmarks.tasks import GeneVectors, Labels, Task, random_vectors
from genept.embeddings.ensembles import concatenated
from genept.embeddings.expression import embedding_matrix
from genept.store.lake import Lake, NewPart, Part
from genept.store.provenance import Origin, sha256_of
from genept.text.spaces import Space

SHARE_COVERED: Final = 0.8
"""A space that knows fewer of a task's genes is not asked: it would shrink everybody's test."""

LIBRARIES: Final = ("numpy", "scikit-learn", "scipy")
_CODE: Final = (
    "genept.benchmarks.leaderboard",
    "genept.benchmarks.resampling",
    "genept.benchmarks.comparisons",
    "genept.tables",
)


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
class Contest:
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
) -> Contest | None:
    """Who takes part in a task, and on which genes; None without labels or without anybody.

    All are scored on the same genes: those that everybody knows. Drawn vectors and declared
    shuffles take no part as spaces, because every task makes its own controls.
    """
    rows = task.rows(labels)
    wanted = task.genes(rows)
    left_out: dict[str, str] = {}
    found: list[SpaceVectors] = []
    common = set(wanted)
    for one in spaces:
        if one.space.is_random or one.space.variant or not wanted:
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
        return None
    genes = tuple(sorted(common))
    return Contest(task, task.known(rows, genes), genes, tuple(found), left_out)


def entries(contest: Contest) -> list[tuple[str, tuple[SpaceVectors, ...]]]:
    """Name and spaces of whoever is scored: each space, ensembles of one recipe, and chance."""
    alone = [(one.space.id, (one,)) for one in contest.spaces]
    by_recipe: dict[str, list[SpaceVectors]] = {}
    for one in contest.spaces:
        if not one.space.is_control and not one.space.table:
            by_recipe.setdefault(one.space.recipe, []).append(one)
    together = [
        (f"ensemble/{recipe}", tuple(members))
        for recipe, members in by_recipe.items()
        if len(members) > 1
    ]
    return [*alone, *together, ("controls", ())]


def predict(lake: Lake, contest: Contest, name: str, members: Sequence[SpaceVectors]) -> list[Part]:
    """Predictions of one entry and of its controls, unless the lake holds them already."""
    task = contest.task
    origin = Origin(
        code=(*task.code, "genept.text.random_vectors", "genept.text.shuffling"),
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
        chance = random_vectors(contest.genes)
        yield marked(chance, task.predict(rows, chance))
        if (baseline := task.baseline(rows)) is not None:
            known = GeneVectors(baseline[0], (), np.empty((0, 0), np.float32), is_control=True)
            yield marked(known, baseline[1])
        return
    vectors = _joined(name, [one.read(lake, contest.genes) for one in members])
    yield marked(vectors, task.predict(rows, vectors))
    mixed = vectors.shuffled()
    yield marked(mixed, task.predict(rows, mixed, brief=True))
    dealt = GeneVectors(f"{name}@permuted-labels", vectors.genes, vectors.matrix, is_control=True)
    yield marked(dealt, task.predict(task.permuted(rows), dealt, brief=True))


def _joined(name: str, members: Sequence[GeneVectors]) -> GeneVectors:
    if len(members) == 1:
        return members[0]
    matrix = concatenated({one.name: one.matrix for one in members})
    return GeneVectors(name, members[0].genes, matrix)


def score(lake: Lake, contest: Contest, predicted: Sequence[Part]) -> list[Part]:
    """One task's part of table `benchmark_results`, and of the working differences."""
    task = contest.task
    origin = Origin(
        code=_CODE,
        inputs={"/".join(part.partition): part.sha256 for part in predicted},
        settings={"task": repr(task)},
        libraries=("numpy", "polars"),
    )

    def compute() -> list[NewPart]:
        results, deciding = _scored(task, lake.read(predicted))
        differences = paired_differences(deciding, _rivals(deciding, results))
        said = {
            "task": task.id,
            "model": task.model,
            "split": task.clean,
            "metric": task.metrics[0],
        }
        marked = differences.with_columns(**{k: pl.lit(v) for k, v in said.items()})
        return [
            NewPart("benchmark_results", results, (task.id, task.dataset)),
            NewPart("benchmark_differences", marked, (task.id,)),
        ]

    return lake.build(f"benchmarks/{task.id}", origin, compute)


def _scored(task: Task, rows: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, Resampled]]:
    """Rows of table `benchmark_results`, and every representation's deciding score."""
    results: list[dict[str, Any]] = []
    deciding: dict[str, Resampled] = {}
    of = ["representation", "model", "split", "is_control"]
    for (representation, model, split, is_control), part in rows.group_by(of, maintain_order=True):
        for metric in task.metrics:
            found = resampled(part, metric)
            low, high = found.interval
            row = {
                "task": task.id,
                "dataset": task.dataset,
                "representation": representation,
                "model": model,
                "split": split,
                "metric": metric,
                "value": found.value,
                "ci_low": low,
                "ci_high": high,
                "n": part.height,
                "is_control": is_control,
            }
            results.append(row)
            if metric == "auroc" and part["fold"].n_unique() > 1:
                spread = {"value": _spread(part), "ci_low": None, "ci_high": None}
                results.append(row | {"metric": "auroc_sd_of_folds"} | spread)
            if (model, split, metric) == (task.model, task.clean, task.metrics[0]):
                deciding[str(representation)] = found
    return pl.DataFrame(results, infer_schema_length=None), deciding


def _spread(part: pl.DataFrame) -> float:
    """Standard deviation of the folds' scores, as the authors print it."""
    ones = [
        METRICS["auroc"](fold)(np.ones(fold.height))
        for fold in part.sort("fold", "unit", "partner").partition_by("fold")
    ]
    return float(np.std(ones))


def _rivals(deciding: Mapping[str, Resampled], results: pl.DataFrame) -> list[tuple[str, str]]:
    """Pairs worth a test: all that know something, and each of them with its controls."""
    control = dict(zip(results["representation"], results["is_control"], strict=True))
    knowing = [name for name in deciding if not control[name]]
    pairs = [(a, b) for at, a in enumerate(knowing) for b in knowing[at + 1 :]]
    for name in knowing:
        own = [other for other in deciding if other == f"{name}@shuffled"]
        common = [other for other in deciding if control[other] and "@" not in other]
        pairs += [(name, other) for other in (*own, *common)]
    return [(a, b) for a, b in pairs if len(deciding[a].draws) == len(deciding[b].draws)]


def compare(lake: Lake, parts: Sequence[Part]) -> Part:
    """Table `benchmark_comparisons`: the differences of every task, corrected over all of them."""
    differences = [part for part in parts if part.table == "benchmark_differences"]
    origin = Origin(code=_CODE, inputs={part.partition[0]: part.sha256 for part in differences})

    def compute() -> list[NewPart]:
        rows = lake.read(differences) if differences else _no_differences()
        return [NewPart("benchmark_comparisons", corrected(rows))]

    (part,) = lake.build("benchmarks/comparisons", origin, compute)
    return part


def _no_differences() -> pl.DataFrame:
    empty = paired_differences({}, [])
    return empty.with_columns(**{name: pl.lit("") for name in ("task", "model", "split", "metric")})


def run_tasks(
    lake: Lake,
    labels: Labels,
    spaces: Sequence[SpaceVectors],
    *,
    tasks: Mapping[str, Task] = TASKS,
    advance: Callable[[str], None] = lambda _: None,
) -> tuple[list[Part], dict[str, str]]:
    """Hold every task: parts of `benchmark_results` and `benchmark_comparisons`, and remarks.

    Parameters
    ----------
    advance
        Told what is done next, an entry of a task at a time.

    Returns
    -------
    tuple of list of Part and dict
        Parts, and by task or task and space why it was not scored.
    """
    parts: list[Part] = []
    remarks: dict[str, str] = {}
    for task in tasks.values():
        held = contest(lake, task, labels, spaces)
        if held is None:
            remarks[task.id] = "no labels are at hand, or no space knows their genes"
            continue
        remarks |= {f"{task.id}/{space}": why for space, why in held.left_out.items()}
        predicted: list[Part] = []
        for name, members in entries(held):
            advance(f"{task.id}: {name}")
            predicted += predict(lake, held, name, members)
        advance(f"{task.id}: scores")
        parts += score(lake, held, predicted)
    return [*parts, compare(lake, parts)], remarks
