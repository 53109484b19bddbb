"""Which statements hold of groups of observations: genes, terms, programs and labels.

Tests are in `genept.embeddings.text_readings.group_terms`; how statements are written down, in
`genept.embeddings.text_readings.group_description`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.embeddings.text_readings.group_description import (
    FEWEST,
    LEVEL,
    GroupDescription,
    Kind,
    Outcome,
    Statement,
)
from genept.embeddings.text_readings.group_effects import GroupEffects
from genept.embeddings.text_readings.group_terms import (
    GeneSets,
    SetScores,
    apart,
    evidence,
    gene_sets,
    score_sets,
    text_sets,
)
from genept.embeddings.text_readings.label_meanings import LabelQuery

STATED: Final = 10
"""Statements of each kind at most."""

EVIDENCE: Final = 5
"""Genes that are named as evidence of a statement."""

OVERLAP: Final = 0.5
"""A term is left out if it shares more than this of its genes with one above it."""


@dataclass(frozen=True)
class Vocabulary:
    """What groups are described in; a frame without rows, or no label: not looked at.

    Parameters
    ----------
    genes
        Ensembl ids of the collection's gene axis, in its order.
    symbols
        By Ensembl id; others are shown by their id.
    go_terms, programs
        Columns ``name`` and ``ensembl_gene_id``; the name of a program is its number.
    program_names
        What the genes of a program share, by number; others are shown by the number.
    labels
        What a group could be called: labels are ids of terms, or words.
    similarity
        Genes of the axis × labels, as of `text_similarity`; NaN without a description.
    """

    genes: Sequence[str]
    symbols: Mapping[str, str]
    go_terms: pl.DataFrame
    programs: pl.DataFrame
    program_names: Mapping[str, str]
    labels: Sequence[LabelQuery]
    similarity: NDArray[np.float64]

    def symbol(self, gene: int) -> str:
        """Symbol of a gene of the axis."""
        return self.symbols.get(self.genes[gene], self.genes[gene])

    def sets(self, effects: GroupEffects) -> dict[Kind, GeneSets]:
        """Terms, programs and labels on the measured genes; what there is none of is left out."""
        measured = [self.genes[at] for at in effects.genes]
        sets_of: dict[Kind, GeneSets] = {
            "go_term": gene_sets(self.go_terms, measured),
            "program": gene_sets(self.programs, measured),
        }
        if self.labels:
            ids = [query.label for query in self.labels]
            sets_of["label"] = text_sets(ids, self.similarity[effects.genes])
        return {kind: sets for kind, sets in sets_of.items() if sets.names}


def describe_groups(
    effects: GroupEffects,
    vocabulary: Vocabulary,
    collection: str,
    grouping: str,
    groups: Sequence[str],
    *,
    fewest: int = FEWEST,
) -> list[GroupDescription]:
    """Describe every group of a collection.

    Parameters
    ----------
    effects
        Differences of the groups from the rest.
    vocabulary
        What they are described in.
    collection
        Id of the collection.
    grouping, groups
        Label, and its values in the order of the effects.
    fewest
        Observations that a group must have; 1 for a single observation that was asked for.

    Returns
    -------
    list of GroupDescription
        One for each group.
    """
    sets = vocabulary.sets(effects)
    scored = {kind: (each, score_sets(effects, each)) for kind, each in sets.items()}
    described = []
    for number, group in enumerate(groups):
        n, others = int(effects.sizes[number]), int(effects.total - effects.sizes[number])
        outcome: Outcome | None = None
        statements: list[Statement] = []
        if others < min(FEWEST, fewest):
            outcome = "no_others"
        elif n < fewest:
            outcome = "too_few_observations"
        else:
            statements = _genes(effects, number, vocabulary)
            for kind, (of_kind, score) in scored.items():
                statements += _sets(effects, number, vocabulary, kind, of_kind, score)
            tested = any(it.q is not None for it in statements)
            outcome = "described" if tested else "nothing_stands_out"
        described.append(
            GroupDescription(
                collection, grouping, group, n, effects.total,
                outcome, tuple(statements), ("gene", *sets),
            )
        )  # fmt: skip
    return described


def _sets(
    effects: GroupEffects,
    group: int,
    vocabulary: Vocabulary,
    kind: Kind,
    sets: GeneSets,
    score: SetScores,
) -> list[Statement]:
    """The terms, programs or labels that stand out in a group."""
    sure = [int(at) for at in score.order[group] if score.q[group, at] < LEVEL]
    statements = []
    for at in sure[:STATED] if kind == "label" else apart(sets, sure, STATED, OVERLAP):
        from_genes = evidence(effects, sets, group, at, EVIDENCE)
        statements.append(
            Statement(
                kind, *_called(vocabulary, kind, sets.names[at]),
                float(score.effect[group, at]), float(score.q[group, at]),
                tuple(vocabulary.symbol(int(effects.genes[gene])) for gene, _ in from_genes),
                tuple(weight for _, weight in from_genes),
            )
        )  # fmt: skip
    return statements


def _called(vocabulary: Vocabulary, kind: Kind, name: str) -> tuple[str | None, str]:
    """Id, if there is one, and name of a set."""
    if kind == "program":
        return name, vocabulary.program_names.get(name, f"program {name}")
    if kind == "label":
        words = {query.label: query.words for query in vocabulary.labels}
        return (name if words[name] != name else None), words[name]
    return None, name


def _genes(effects: GroupEffects, group: int, vocabulary: Vocabulary) -> list[Statement]:
    """The genes with the largest effects, of those that are surely higher."""
    from scipy.stats import false_discovery_control, t

    z, effect = effects.z[group], effects.effect[group]
    tested = np.isfinite(z)
    q = np.full(len(z), np.nan)
    if tested.any():
        smaller = min(int(effects.sizes[group]), int(effects.total - effects.sizes[group]))
        q[tested] = false_discovery_control(t.sf(z[tested], smaller - 1))
    stated = np.flatnonzero((effect > 0) & (~tested | (q < LEVEL)))
    order = stated[np.argsort(-effect[stated], kind="stable")][:STATED]
    return [
        Statement(
            "gene", vocabulary.genes[effects.genes[at]], vocabulary.symbol(int(effects.genes[at])),
            float(effect[at]), float(q[at]) if tested[at] else None,
        )
        for at in order
    ]  # fmt: skip
