"""Terms of which each has its own members, non-members and folds, as a publisher made them.

How strongly the head is penalised, and how vectors are scaled, is chosen inside the training folds,
in the same way for every representation; the genes that are held out are scored once. Tasks on
terms without folds are in `genept.benchmarks.gene_tasks`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from genept.benchmarks.fitted_heads import (
    MAX_ITER,
    Features,
    Scaling,
    area,
    in_one_thread,
    scaled,
    seen_columns,
)
from genept.benchmarks.gene_tasks import GeneTask
from genept.benchmarks.task_base import GeneVectors, Labels, predictions
from genept.datasources import HOLDOUT, TRAINING_FOLDS

HELD_OUT: Final = "publisher-holdout"

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


@dataclass(frozen=True, kw_only=True)
class FoldsTask(GeneTask):
    """Which genes belong to each of many terms, on the publisher's folds of each term.

    Logistic regression of every term on the genes of its training folds, scored on the genes that
    are held out: area under the ROC curve, mean over terms. Intervals are over terms: how well
    other terms of the kind would be predicted.
    """

    metrics: tuple[str, ...] = ("mean_auroc",)
    clean: str = HELD_OUT
    draws: int = 1
    further_draws: int = 0

    takes_sparse: ClassVar[bool] = True

    @property
    def without_labels(self) -> str:
        """Why there are no labels, and the command that reads them."""
        return (
            f"no labels are available: source {self.dataset} is in a mirror alone; "
            f"GENEPT_MIRRORS='[\"/path/of/folder\"]' genept bench run --task {self.id}"
        )

    def rows(self, labels: Labels) -> pl.DataFrame:
        """The rows whose gene is known, each gene of a term once."""
        return super().rows(labels).filter(fate="scored")

    def unfit(self, rows: pl.DataFrame) -> str | None:
        """Why fewer than two terms can be scored; None if two or more can."""
        n = len(_terms(rows, sorted(set(rows["ensembl_gene_id"]))))
        return None if n > 1 else f"{n} terms have members and others in every split"

    def permuted(self, rows: pl.DataFrame, seed: int = 0) -> pl.DataFrame:
        """The same genes with each other's membership, within each term and split."""
        shuffled = pl.col("is_member").shuffle(seed).over("label", "split")
        return rows.sort("position").with_columns(shuffled)

    def predict(
        self, rows: pl.DataFrame, vectors: GeneVectors, *, draw: int | None = None
    ) -> pl.DataFrame:
        """The area under the curve of every term, on the genes that are held out."""
        genes = sorted(set(rows["ensembl_gene_id"]))
        terms, matrix = _terms(rows, genes), vectors.features_of(genes)
        scaling, c = chosen_setting(terms, matrix)
        x = scaled(matrix, scaling)
        areas = [areas_of(term, x, (c,), HOLDOUT)[0] for term in terms]
        names = [term.name for term in terms]
        return predictions(
            self.model, self.clean, draw or 0, names, [""] * len(names), score=np.asarray(areas)
        )


def _terms(rows: pl.DataFrame, genes: Sequence[str]) -> list[FoldedTerm]:
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
    """The setting whose area, over training folds and terms, is largest; no held-out gene is read.

    Each training fold is scored by a head that was fitted on the other two. Of equal settings, the
    first.
    """
    scores: dict[Setting, float] = {}
    for scaling in get_args(Scaling):
        x = scaled(matrix, scaling)
        areas = [areas_of(term, x, STRENGTHS, fold) for term in terms for fold in TRAINING_FOLDS]
        means = np.mean(areas, axis=0).tolist()
        scores |= {Setting(scaling, c): mean for c, mean in zip(STRENGTHS, means, strict=True)}
    return max(scores, key=scores.__getitem__)


def areas_of(term: FoldedTerm, x: Features, strengths: Sequence[float], test: str) -> list[float]:
    """Area on the genes of one split, of heads fitted on the training folds without it.

    Parameters
    ----------
    term, x
        The term, and the scaled vectors of all genes.
    strengths
        Values of C, rising: each fit starts where the last one ended.
    test
        The split that is scored.
    """
    is_test = term.split == test
    is_training = np.isin(term.split, TRAINING_FOLDS) & ~is_test
    seen, new = seen_columns(x[term.rows[is_training]], x[term.rows[is_test]])
    head = LogisticRegression(max_iter=MAX_ITER, warm_start=True)
    areas = []
    with in_one_thread():
        for c in strengths:
            head.set_params(C=c).fit(seen, term.is_member[is_training])
            areas.append(area(term.is_member[is_test], head.decision_function(new)))
    return areas
