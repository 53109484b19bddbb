"""Lineages of labels in an ontology, and whether descriptions rank them above other lineages.

A lineage is what a label means and all that is above it, without terms so general that they say
little. Scores of terms come from `genept.embeddings.text_readings.group_terms`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genept.embeddings.text_readings.group_effects import GroupEffects
from genept.embeddings.text_readings.group_terms import GeneSets, inflation, score_sets
from genept.embeddings.text_readings.label_meanings import LabelQuery, Ontology, declared_terms

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

GENERAL: Final = 0.1
"""A term with more than this share of its ontology below it is of no lineage: "motile cell"."""

PREFIXES: Final[Mapping[str, tuple[str, ...]]] = {
    "cell_type": ("CL",),
    "tissue": ("UBERON", "MONDO"),
    "tissue_subtype": ("UBERON", "MONDO"),
    "diagnosis": ("MONDO", "UBERON"),
}
"""Ontologies that name the values of a label."""

DRAWS: Final = 100
"""Times that genes are shuffled."""

RESAMPLES: Final = 1000

FEWEST_GROUPS: Final = 3
"""The effects of two groups are often one and its opposite."""


@dataclass(frozen=True)
class Lineages:
    """Lineages of labels in an ontology.

    Parameters
    ----------
    ontology
        Terms by id; empty: a label is its words, and has nothing above it.
    """

    ontology: Ontology

    def of(self, query: LabelQuery) -> frozenset[str]:
        """The terms at or above a label, without general ones; without terms its words."""
        known = [term for term in query.terms if term in self.ontology]
        every = {id_ for term in known for id_ in (term, *self.ontology[term].ancestors)}
        return frozenset(every & self._specific) if known else frozenset({query.words})

    def candidates(self, grouping: str, queries: Sequence[LabelQuery]) -> list[LabelQuery]:
        """What a group could be called, by ids of terms, or words.

        The lineages of the collection's own labels, and those of all labels that are declared to
        mean a term of the ontologies of the grouping.
        """
        ids = {id_ for query in queries for id_ in self.of(query)}
        prefixes = PREFIXES.get(grouping, ())
        for term in declared_terms():
            if term in self.ontology:
                above = self.of(LabelQuery(term, term, (term,)))
                ids |= {id_ for id_ in above if id_.split(":")[0] in prefixes}
        return [
            LabelQuery(id_, self._name(id_), (id_,) if id_ in self.ontology else ())
            for id_ in sorted(ids)
        ]

    def own(self, queries: Sequence[LabelQuery], ids: Sequence[str]) -> Flags:
        """Which terms, by id or words, are of the lineage of each label, labels × terms."""
        lineages = [self.of(query) for query in queries]
        shape = (len(queries), len(ids))
        return np.array([[id_ in own for id_ in ids] for own in lineages], np.bool_).reshape(shape)

    def named(self, queries: Sequence[LabelQuery], names: Sequence[str]) -> Flags:
        """Which names, such as of the Gene Ontology, have a term of each label's lineage in them.

        Of several names in one, the longest counts: "natural killer cell" is no "killer cell".
        Labels × names.
        """
        lineages = [self.of(query) for query in queries]
        called = {self._name(id_).lower(): id_ for own in lineages for id_ in own}
        if not called:
            return np.zeros((len(queries), len(names)), np.bool_)
        longest = "|".join(sorted(map(re.escape, called), key=len, reverse=True))
        pattern = re.compile(rf"(?<![\w-])({longest})s?(?![\w-])")
        meant = [{called[hit] for hit in pattern.findall(name.lower())} for name in names]
        flags = np.array([[bool(own & hits) for hits in meant] for own in lineages], np.bool_)
        return flags.reshape(len(queries), len(names))

    def _name(self, id_: str) -> str:
        return self.ontology[id_].name if id_ in self.ontology else id_

    @cached_property
    def _specific(self) -> frozenset[str]:
        """Ids of terms that are not general."""
        below = Counter(above for term in self.ontology.values() for above in term.ancestors)
        sizes = Counter(id_.split(":")[0] for id_ in self.ontology)
        return frozenset(
            id_ for id_ in self.ontology if below[id_] <= GENERAL * sizes[id_.split(":")[0]]
        )


@dataclass(frozen=True)
class LineageBar:
    """How well descriptions tell the lineage of each group from the others.

    Parameters
    ----------
    labels
        Groups that have a lineage of their own.
    auroc
        Of each: the chance that a term of its lineage is above one of other lineages alone.
    others
        Of each: mean of the same lineage among the scores of the other groups.
    shuffled
        Groups × draws: with effects dealt to other genes.
    n_terms
        Terms that are compared.
    """

    labels: tuple[str, ...]
    auroc: Floats
    others: Floats
    shuffled: Floats
    n_terms: int

    @property
    def scores(self) -> dict[str, tuple[float, float, float]]:
        """Means over groups, with 95 % intervals: of what is in ``own``, ``others``, ``shuffled``.

        Intervals of the first two are bootstrapped over groups; of ``shuffled`` it is where 95 %
        of the draws are.
        """
        n = len(self.auroc)
        drawn = np.random.default_rng(0).integers(0, n, (RESAMPLES, n))
        means = {
            "own": (self.auroc, self.auroc[drawn].mean(axis=1)),
            "others": (self.others, self.others[drawn].mean(axis=1)),
            "shuffled": (self.shuffled, self.shuffled.mean(axis=0)),
        }
        scores: dict[str, tuple[float, float, float]] = {}
        for name, (values, of_draws) in means.items():
            low, high = np.quantile(of_draws, [0.025, 0.975])
            scores[name] = (float(values.mean()), float(low), float(high))
        return scores


def lineage_bar(
    effects: GroupEffects, sets: GeneSets, own: Flags, labels: Sequence[str], *, seed: int = 0
) -> LineageBar | None:
    """Rank terms in each group, and compare its lineage with those of the other groups.

    Parameters
    ----------
    effects
        Differences of the groups from the rest.
    sets
        Terms that are scored.
    own
        Groups × terms: which are of the lineage. Terms of no lineage, or of all, are left out.
    labels
        Of the groups.
    seed
        Of the shuffled genes.

    Returns
    -------
    LineageBar or None
        None if fewer than `FEWEST_GROUPS` have terms of their own.
    """
    compared = np.asarray(own.any(axis=0) & ~own.all(axis=0), np.bool_)
    own, sets = own[:, compared], sets.only(compared)
    defined = np.flatnonzero(own.any(axis=1) & ~own.all(axis=1))
    if len(defined) < FEWEST_GROUPS:
        return None
    rng = np.random.default_rng(seed)
    inflated = inflation(sets, effects.residuals)
    z = score_sets(effects, sets, inflated).z[defined]
    drawn = [score_sets(effects.shuffled(rng), sets, inflated).z[defined] for _ in range(DRAWS)]
    of_others = [np.roll(z, shift, axis=0) for shift in range(1, len(z))]
    return LineageBar(
        tuple(labels[int(at)] for at in defined),
        aurocs(z, own[defined]),
        np.mean([aurocs(each, own[defined]) for each in of_others], axis=0),
        np.array([aurocs(each, own[defined]) for each in drawn]).T,
        int(compared.sum()),
    )


def aurocs(scores: Floats, own: Flags) -> Floats:
    """Area under the ROC curve, row by row; ties count half.

    Parameters
    ----------
    scores
        Rows × terms.
    own
        Which are positive; in every row some are, and some are not.

    Returns
    -------
    NDArray of float64
        One for each row.
    """
    from scipy.stats import rankdata

    n_own = own.sum(axis=1)
    ranked = np.where(own, rankdata(scores, axis=1), 0).sum(axis=1)
    above = ranked - n_own * (n_own + 1) / 2
    return np.asarray(above / (n_own * (own.shape[1] - n_own)), np.float64)
