"""Membership in many terms: on folds of all genes, or on the folds that a publisher made of each.

Genes are drawn for all terms at once. Of terms with their own members, non-members and folds, how
strongly the head is penalised, and how vectors are scaled, is chosen inside the training folds, in
the same way for every representation; the genes that are held out are scored once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.model_selection import KFold

from genept.benchmarks.fitted_heads import ridge_scores, scaled
from genept.benchmarks.gene_tasks import FOLDS, GeneTask
from genept.benchmarks.influence import ScoredTerm, gene_values
from genept.benchmarks.task_base import GeneVectors, Labels, predictions
from genept.benchmarks.terms.folded_terms import (
    OF_CONTROLS,
    Setting,
    chosen_setting,
    cross_validated,
    fold_truth,
    folded_terms,
)
from genept.benchmarks.terms.late_fusion import chosen_members, mean_score

HELD_OUT: Final = "publisher-holdout"


@dataclass(frozen=True, kw_only=True)
class FoldsTask(GeneTask):
    """Which genes belong to each of many terms, on the publisher's folds of each term.

    Logistic regression of every term on the genes of its training folds, scored on the genes that
    are held out: area under the ROC curve, mean over terms. Intervals draw genes, for all terms at
    once.

    Parameters
    ----------
    metrics, clean, draws, further_draws
        As in `genept.benchmarks.task_base.Task`: a mean over many terms hardly moves from draw to
        draw.
    """

    metrics: tuple[str, ...] = ("mean_auroc",)
    clean: str = HELD_OUT
    draws: int = 1
    further_draws: int = 0

    scored_by: ClassVar[tuple[str, ...]] = (
        *GeneTask.scored_by,
        "genept.benchmarks.terms.folded_terms",
        "genept.benchmarks.terms.late_fusion",
    )
    takes_sparse: ClassVar[bool] = True
    fuses: ClassVar[bool] = True

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
        n = len(folded_terms(rows, sorted(set(rows["ensembl_gene_id"]))))
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
        return self._predictions(genes, values, draw)

    def predict_fused(
        self, rows: pl.DataFrame, members: Sequence[GeneVectors], *, draw: int | None = None
    ) -> pl.DataFrame:
        """The same for the mean of standardised scores of heads on several representations.

        Which representations take part is chosen on the training folds, over all terms; of a
        control's draw, all do.
        """
        genes = sorted(set(rows["ensembl_gene_id"]))
        terms = folded_terms(rows, genes)
        known = {vectors.name: vectors.features_of(genes) for vectors in members}
        settings, chosen = dict.fromkeys(known, OF_CONTROLS), list(known)
        if draw is None:
            validated = {name: cross_validated(terms, matrix) for name, matrix in known.items()}
            settings = {name: setting for name, (setting, _) in validated.items()}
            of_folds = {name: scores for name, (_, scores) in validated.items()}
            chosen = chosen_members(of_folds, fold_truth(terms))
        scored = []
        for name in chosen:
            x = scaled(known[name], settings[name].scaling)
            scored.append([term.scored(x, settings[name].c) for term in terms])
        fused = (
            of_term[0]._replace(score=mean_score([each.score for each in of_term]))
            for of_term in zip(*scored, strict=True)
        )
        return self._predictions(genes, gene_values(fused, len(genes))[1], draw)

    def _predictions(
        self, genes: Sequence[str], values: NDArray[np.float64], draw: int | None
    ) -> pl.DataFrame:
        held_out = np.flatnonzero(np.isfinite(values)).tolist()
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
        terms, matrix = folded_terms(rows, genes), vectors.features_of(genes)
        scaling, c = setting or chosen_setting(terms, matrix)
        x = scaled(matrix, scaling)
        return gene_values((term.scored(x, c) for term in terms), len(genes))


@dataclass(frozen=True, kw_only=True)
class MembershipTask(GeneTask):
    """Which genes belong to each of many terms: mean area under the ROC curve over terms.

    Ridge regression on all terms at once, five folds of genes, vectors standardised, the penalty
    chosen on the training genes. Intervals draw genes, for all terms at once.

    Parameters
    ----------
    smallest, largest
        Number of genes of a term from which and up to which it is scored.
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
