"""Terms with members, non-members and folds of their own, and the settings chosen on those folds.

How strongly the head is penalised, and how vectors are scaled, is chosen inside the training folds,
in the same way for every representation; the genes that are held out are scored once. The task is
`genept.benchmarks.terms.term_tasks.FoldsTask`.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.benchmarks.fitted_heads import (
    Features,
    Scaling,
    logistic_scores,
    scaled,
    seen_columns,
)
from genept.benchmarks.influence import ScoredTerm, area
from genept.datasources import HOLDOUT, TRAINING_FOLDS

STRENGTHS: Final = (0.1, 1.0, 10.0, 100.0)
"""Values of C, from the strongest penalty to the weakest."""


class Setting(NamedTuple):
    """How a representation is scaled, and how little the head is penalised.

    Parameters
    ----------
    scaling
        As `genept.benchmarks.fitted_heads.scaled` has it.
    c
        scikit-learn's C.
    """

    scaling: Scaling
    c: float


OF_CONTROLS: Final = Setting("standardised", 1.0)
"""Of vectors and labels that were mixed up: none is better there, so none is chosen."""


class FoldedTerm(NamedTuple):
    """One term: rows of the matrix, whether they are members, and their splits, shape (n,)."""

    name: str
    rows: NDArray[np.intp]
    is_member: NDArray[np.bool_]
    split: NDArray[np.str_]

    @property
    def is_scorable(self) -> bool:
        """Whether every split has members and others."""
        splits = (self.is_member[self.split == split] for split in (*TRAINING_FOLDS, HOLDOUT))
        return all(members.any() and not members.all() for members in splits)

    def scored(self, x: Features, c: float) -> ScoredTerm:
        """The genes that are held out, scored by a head fitted on all training folds."""
        held_out = self.split == HOLDOUT
        (score,) = scores_of(self, x, (c,), HOLDOUT)
        rows = self.rows[held_out]
        return ScoredTerm(
            self.name, rows, self.is_member[held_out], score, np.zeros(len(rows), np.int64)
        )


def folded_terms(rows: pl.DataFrame, genes: Sequence[str]) -> list[FoldedTerm]:
    """The terms that can be scored, by name; genes of a term by Ensembl id.

    Raises
    ------
    ValueError
        A gene is in two rows of one term: it could be in training and held out.
    """
    again = rows.filter(pl.struct("label", "ensembl_gene_id").is_duplicated())
    if again.height:
        label, gene = again.select("label", "ensembl_gene_id").row(0)
        raise ValueError(
            f"gene {gene} is in more than one row of term {label}: it could be in training and "
            "held out; expected rows of fate `scored` alone"
        )
    ordered = rows.sort("label", "ensembl_gene_id")
    terms = (
        FoldedTerm(
            str(label),
            np.searchsorted(genes, part["ensembl_gene_id"].to_numpy().astype(np.str_)),
            part["is_member"].to_numpy().astype(np.bool_),
            part["split"].to_numpy().astype(np.str_),
        )
        for (label,), part in ordered.group_by("label", maintain_order=True)
    )
    return [term for term in terms if term.is_scorable]


def chosen_setting(terms: Sequence[FoldedTerm], matrix: Features) -> Setting:
    """The setting whose area, over training folds and terms, is largest: see `cross_validated`."""
    return cross_validated(terms, matrix)[0]


def cross_validated(
    terms: Sequence[FoldedTerm], matrix: Features
) -> tuple[Setting, list[NDArray[np.float64]]]:
    """The best setting, and its scores of the genes of each training fold of each term.

    Each training fold is scored by a head that was fitted on the other two; no held-out gene is
    read. Of equal settings, the first.
    """
    fits: dict[Setting, tuple[float, list[NDArray[np.float64]]]] = {}
    for scaling in get_args(Scaling):
        x = scaled(matrix, scaling)
        tests = [list(scores_of(term, x, STRENGTHS, fold)) for term, fold in _tests(terms)]
        for at, c in enumerate(STRENGTHS):
            scores = [of_test[at] for of_test in tests]
            fits[Setting(scaling, c)] = float(np.mean(_areas(terms, scores))), scores
    best = max(fits, key=lambda setting: fits[setting][0])
    return best, fits[best][1]


def _tests(terms: Sequence[FoldedTerm]) -> list[tuple[FoldedTerm, str]]:
    return [(term, fold) for term in terms for fold in TRAINING_FOLDS]


def fold_truth(terms: Sequence[FoldedTerm]) -> list[NDArray[np.bool_]]:
    """Labels of the genes of each training fold of each term."""
    return [term.is_member[term.split == fold] for term, fold in _tests(terms)]


def _areas(terms: Sequence[FoldedTerm], scores: Sequence[NDArray[np.float64]]) -> list[float]:
    return [area(truth, score) for truth, score in zip(fold_truth(terms), scores, strict=True)]


def scores_of(
    term: FoldedTerm, x: Features, strengths: Sequence[float], test: str
) -> Iterator[NDArray[np.float64]]:
    """Scores of the genes of one split, by heads fitted on the training folds without it.

    Parameters
    ----------
    term, x
        The term, and the scaled vectors of all genes.
    strengths
        Values of C, rising: each fit starts where the last one ended.
    test
        The split that is scored.

    Yields
    ------
    NDArray of float64
        For each C, in the order of the term's genes in that split.
    """
    is_test = term.split == test
    is_training = np.isin(term.split, TRAINING_FOLDS) & ~is_test
    seen, new = seen_columns(x[term.rows[is_training]], x[term.rows[is_test]])
    yield from logistic_scores(seen, term.is_member[is_training], new, strengths)
