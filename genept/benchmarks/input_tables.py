"""Which representations take part in a task, and on which genes.

What is predicted from each is `genept.benchmarks.runs.entry_predictions`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import polars as pl

from genept.benchmarks.resampling import FUSED
from genept.benchmarks.task_base import (
    NAMED,
    GeneVectors,
    Labels,
    Task,
    with_families,
)
from genept.benchmarks.term_weights import TermWeights
from genept.embeddings import embedding_matrix
from genept.storage import Lake, Part, PartReader, sha256_of
from genept.text import Space

LIBRARIES: Final = ("numpy", "scikit-learn", "scipy")
"""What predictions depend on beyond the code of this package."""

SHARE_COVERED: Final = 0.8
"""A space that has vectors for fewer of a task's genes is left out: all are scored on the same."""


@dataclass(frozen=True)
class SpaceVectors:
    """The vectors of one space.

    Parameters
    ----------
    space, part
        The space, and its part of table `gene_embeddings`.
    tells
        Parts of descriptions, such as ``go`` or ``go<2024-01-01`` (annotations before a day),
        that its texts contain, or that a space beyond texts is made of; none for a registered one.
    texts
        The part of table `gene_descriptions` that its vectors were made of, for a control of the
        same texts; None for a space without texts.
    """

    space: Space
    part: Part
    tells: frozenset[str] = frozenset()
    texts: Part | None = None

    @property
    def name(self) -> str:
        """Name of the representation: the id of the space."""
        return self.space.id

    def read(self, copies: PartReader, genes: Sequence[str]) -> GeneVectors:
        """The vectors of these genes."""
        rows = copies.read_arrow(self.part, ["ensembl_gene_id", "embedding"])
        known = tuple(rows["ensembl_gene_id"].to_pylist())
        vectors = GeneVectors(
            self.space.id, known, embedding_matrix(rows), is_control=self.space.is_control
        )
        return vectors.within(genes)


Representation = SpaceVectors | TermWeights
Entry = tuple[str, tuple[Representation, ...]]
"""Name and members of what is scored; see `entries`."""


@dataclass(frozen=True)
class TaskInputs:
    """One task, the genes that all of its spaces have, and why other spaces are left out.

    Parameters
    ----------
    task
        The task.
    rows
        Its labels, of `genes` alone.
    genes
        Ensembl ids of the genes of the task of which every space has a vector, sorted.
    spaces
        Spaces that take part.
    left_out
        Why other spaces do not, by space; why genes are not scored, by their number.
    """

    task: Task
    rows: pl.DataFrame
    genes: tuple[str, ...]
    spaces: tuple[SpaceVectors, ...]
    left_out: Mapping[str, str]

    @cached_property
    def inputs(self) -> dict[str, str]:
        """Content hashes of labels and genes: equal inputs are scored once."""
        columns = [column for column in self.rows.columns if column not in ("task", "outcome")]
        content = self.rows.select(columns).write_csv()
        return {"labels": sha256_of(content), "genes": sha256_of(self.genes)}


def task_inputs(
    lake: Lake, task: Task, labels: Labels, spaces: Sequence[SpaceVectors]
) -> TaskInputs | str:
    """Spaces and genes of a task; or why it cannot be scored.

    All are scored on the same genes: those that every space has. Random vectors and declared
    shuffles take no part as spaces, because every task makes its own controls.

    Parameters
    ----------
    lake
        Where parts of tables are kept.
    task
        The task.
    labels
        Tables `gene_properties` and `gene_pairs`.
    spaces
        Spaces with their vectors. One that states the answer, or that has vectors for fewer
        than 80 % of the genes, is left out.

    Returns
    -------
    TaskInputs or str
        What to score; or a sentence on why the task cannot be scored.
    """
    rows = task.rows(labels)
    wanted = task.genes(rows)
    if not wanted:
        return task.without_labels
    left_out: dict[str, str] = {}
    taking_part: list[SpaceVectors] = []
    common = set(wanted)
    for vectors in spaces:
        if vectors.space.is_random or vectors.space.variant:
            continue
        known = wanted & set(lake.read(vectors.part, ["ensembl_gene_id"])["ensembl_gene_id"])
        if stated := sorted(filter(task.states, vectors.tells)):
            left_out[vectors.space.id] = f"it states the answer: {', '.join(stated)}"
        elif len(known) < SHARE_COVERED * len(wanted):
            counted = f"{len(known):,} of {len(wanted):,} genes"
            left_out[vectors.space.id] = (
                f"has vectors for {counted}, and {SHARE_COVERED:.0%} are needed"
            )
        else:
            taking_part.append(vectors)
            common &= known
    if not taking_part:
        reasons = "; ".join(f"{space} {why}" for space, why in left_out.items())
        return f"no space takes part: {reasons}" if reasons else "there is no space to score"
    if missing := wanted - common:
        genes_missing = f"{len(missing):,} of {len(wanted):,} genes"
        left_out[genes_missing] = "some space that takes part has no vector of them"
    genes = tuple(sorted(common))
    scored = task.known(rows, genes)
    if why := task.unfit(scored):
        return f"{why}, among the genes that every space knows"
    if task.has_families:
        scored = with_families(scored, lake.read(taking_part[0].part, NAMED), labels.groups)
    return TaskInputs(task, scored, genes, tuple(taking_part), left_out)


def entries(
    inputs: TaskInputs, *, together: bool = False, slow_controls: bool = False
) -> list[Entry]:
    """Name and members of each entry: every space, ensembles of one recipe, and controls.

    Parameters
    ----------
    inputs
        Task and spaces.
    together
        Whether there is also an ensemble of all spaces of texts, whatever their recipe.
    slow_controls
        Whether sparse vectors are scored where that takes minutes.

    Returns
    -------
    list of tuple
        Name and members: a space alone under its id, ``ensemble/<recipe>`` for the spaces of one
        recipe, ``ensemble/all``, `resampling.FUSED` of everything with a head each, for tasks that
        have it, ``tf-idf/<recipe>`` for tasks that take sparse vectors, and
        ``controls`` without a member.
    """
    alone: list[Entry] = [(vectors.name, (vectors,)) for vectors in inputs.spaces]
    by_recipe: dict[str, list[SpaceVectors]] = {}
    for vectors in inputs.spaces:
        if vectors.space.has_recipe and not vectors.space.is_control:
            by_recipe.setdefault(vectors.space.recipe, []).append(vectors)
    ensembles: list[Entry] = [
        (f"ensemble/{recipe}", tuple(members))
        for recipe, members in by_recipe.items()
        if len(members) > 1
    ]
    if together and len(by_recipe) > 1:
        every_space = tuple(vectors for members in by_recipe.values() for vectors in members)
        ensembles.append(("ensemble/all", every_space))
    texts = {vectors.space.recipe: vectors.texts for vectors in inputs.spaces if vectors.texts}
    takes_sparse = inputs.task.takes_sparse and (slow_controls or not inputs.task.sparse_is_slow)
    sparse = [TermWeights(*of) for of in texts.items() if takes_sparse]
    characters = (replace(each, characters=True) for each in sparse if inputs.task.fuses)
    every: tuple[Representation, ...] = (*inputs.spaces, *sparse, *characters)
    fused: list[Entry] = [(FUSED, every)] if inputs.task.fuses and len(every) > 1 else []
    controls: list[Entry] = [(each.name, (each,)) for each in sparse]
    return [*alone, *ensembles, *fused, *controls, ("controls", ())]
