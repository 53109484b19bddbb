"""Who takes part in a task, on which genes, and who may not and why.

All are scored on the genes that everybody knows. Predicting and scoring are `leaderboard`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import polars as pl

from genept.benchmarks.tasks import GeneVectors, Labels, Task
from genept.embeddings.expression import embedding_matrix
from genept.store.lake import Lake, Part
from genept.store.provenance import sha256_of
from genept.text.spaces import Space, space_of

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
) -> Contest | str:
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
    return Contest(task, asked, genes, tuple(found), left_out)


def entries(
    contest: Contest, *, together: bool = False
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
