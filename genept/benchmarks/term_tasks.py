"""Membership in many terms: on folds of all genes, or on the folds that a publisher made of each.

Genes are drawn for all terms at once. Of terms with their own members, non-members and folds, how
strongly the head is penalised, and how vectors are scaled, is chosen inside the training folds, in
the same way for every representation; the genes that are held out are scored once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.model_selection import KFold

from genept.benchmarks.fitted_heads import (
    Features,
    Scaling,
    logistic_scores,
    ridge_scores,
    scaled,
    seen_columns,
)
from genept.benchmarks.gene_tasks import FOLDS, GeneTask
from genept.benchmarks.influence import ScoredTerm, area, gene_values
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


@dataclass(frozen=True, kw_only=True)
class FoldsTask(GeneTask):
    """Which genes belong to each of many terms, on the publisher's folds of each term.

    Logistic regression of every term on the genes of its training folds, scored on the genes that
    are held out: area under the ROC curve, mean over terms. Intervals draw genes, for all terms at
    once.
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
        """Values of held-out genes, whose mean is the area under the curve, over terms."""
        genes = sorted(set(rows["ensembl_gene_id"]))
        _, values = self.areas(rows, vectors, None if draw is None else OF_CONTROLS)
        held_out = np.flatnonzero(np.isfinite(values))
        names = [genes[at] for at in held_out]
        return predictions(
            self.model, self.clean, draw or 0, names, [""] * len(names), score=values[held_out]
        )

    def areas(
        self, rows: pl.DataFrame, vectors: GeneVectors, setting: Setting | None = None
    ) -> tuple[dict[str, float], NDArray[np.float64]]:
        """Area of each term, and values of the genes by id: see `influence.gene_values`.

        By default, the setting is chosen inside the training folds.
        """
        genes = sorted(set(rows["ensembl_gene_id"]))
        terms, matrix = _terms(rows, genes), vectors.features_of(genes)
        scaling, c = setting or chosen_setting(terms, matrix)
        x = scaled(matrix, scaling)
        return gene_values((term.scored(x, c) for term in terms), len(genes))


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
        areas = [
            [area(term.is_member[term.split == fold], score)
             for score in scores_of(term, x, STRENGTHS, fold)]
            for term in terms
            for fold in TRAINING_FOLDS
        ]  # fmt: skip
        means = np.mean(areas, axis=0).tolist()
        scores |= {Setting(scaling, c): mean for c, mean in zip(STRENGTHS, means, strict=True)}
    return max(scores, key=scores.__getitem__)


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


@dataclass(frozen=True, kw_only=True)
class MembershipTask(GeneTask):
    """Which genes belong to each of many terms: mean area under the ROC curve over terms.

    Ridge regression on all terms at once, five folds of genes, vectors standardised, the penalty
    chosen on the training genes. Intervals draw genes, for all terms at once.
    """

    smallest: int = 20
    largest: int = 500

    takes_sparse: ClassVar[bool] = True
    sparse_is_slow: ClassVar[bool] = True

    def rows(self, labels: Labels) -> pl.DataFrame:
        """Genes and their terms."""
        named = super().rows(labels)
        return named.unique(["ensembl_gene_id", "label"], keep="first", maintain_order=True)

    def unfit(self, rows: pl.DataFrame) -> str | None:
        """Why fewer than two terms have a size that is scored; None if two or more have."""
        n = self._sized(rows)["label"].n_unique()
        sizes = f"{self.smallest} to {self.largest:,} genes"
        return None if n > 1 else f"{n} terms have {sizes}, and two are needed"

    def predict(
        self, rows: pl.DataFrame, vectors: GeneVectors, *, draw: int | None = None
    ) -> pl.DataFrame:
        """Values of genes, whose mean is the area under the curve, over folds and terms."""
        _, values = self.areas(rows, vectors, draw=draw)
        genes = sorted(vectors.genes)
        return predictions(
            self.model, self.clean, draw or 0, genes, [""] * len(genes), score=values
        )

    def areas(
        self, rows: pl.DataFrame, vectors: GeneVectors, *, draw: int | None = None
    ) -> tuple[dict[str, float], NDArray[np.float64]]:
        """Area of each term, and the value of each gene: see `influence.gene_values`."""
        genes = sorted(vectors.genes)
        terms, members = self._members(rows, genes)
        matrix = scaled(vectors.features_of(genes), "standardised")
        scores = np.empty(members.shape, np.float32, order="F")
        folds = np.empty(len(genes), np.int64)
        splitter = KFold(FOLDS, shuffle=True, random_state=draw or 0)
        for number, (train, test) in enumerate(splitter.split(genes)):
            folds[test] = number
            scores[test] = ridge_scores(matrix[train], members[train], matrix[test])
        every = np.arange(len(genes))
        scored = (
            ScoredTerm(name, every, members[:, term] > 0, scores[:, term], folds)
            for term, name in enumerate(terms)
        )
        return gene_values(scored, len(genes))

    def _sized(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows.filter(pl.len().over("label").is_between(self.smallest, self.largest))

    def _members(
        self, rows: pl.DataFrame, genes: Sequence[str]
    ) -> tuple[list[str], NDArray[np.float32]]:
        sized = self._sized(rows)
        terms = sized["label"].unique().sort().to_list()
        members = np.zeros((len(genes), len(terms)), np.float32)
        at = [
            sized[column].cast(pl.Enum(names)).to_physical().to_numpy()
            for names, column in ((genes, "ensembl_gene_id"), (terms, "label"))
        ]
        members[at[0], at[1]] = 1
        return terms, members
