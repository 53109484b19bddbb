"""Base class of tasks on genes, gene vectors, and the heads that are fitted on them.

A task knows its labels, genes, splits and metrics, and works in memory. Scores of its predictions
are in `genept.benchmarks.resampling`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, ClassVar, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from threadpoolctl import ThreadpoolController

from genept.text import RandomVectors, shuffled

Matrix = NDArray[np.float32]
Scores = NDArray[np.float64]

LOGISTIC: Final = "logistic-regression"
FOREST: Final = "random-forest"
BOOSTING: Final = "gradient-boosting"

MAX_ITER: Final = 1000
"""The authors' 100 leaves some fits unconverged; see docs/parity.md."""


HEADS: Final[dict[str, Callable[[int], Any]]] = {
    LOGISTIC: lambda seed: LogisticRegression(max_iter=MAX_ITER, random_state=seed),
    # In one thread: scikit-learn's own empty the warning filters of the process now and then.
    FOREST: lambda seed: RandomForestClassifier(random_state=seed),
    BOOSTING: lambda seed: HistGradientBoostingClassifier(
        max_iter=50, max_leaf_nodes=7, max_bins=63, random_state=seed
    ),
}


@cache
def _threads() -> ThreadpoolController:
    """Controller of thread pools; created once, because that takes longer than a small fit."""
    return ThreadpoolController()


def binary_scores(head: str, x: Matrix, y: NDArray[np.int64], test: Matrix, seed: int) -> Scores:
    """Fit a head on `x` and `y` (0 or 1); how likely each row of `test` is a 1."""
    with _threads().limit(limits=1):
        model = HEADS[head](seed).fit(x, y)
        scores: Scores = model.predict_proba(test)[:, 1].astype(np.float64)
    return scores


def predicted_labels(
    head: str, x: Matrix, y: NDArray[np.str_], test: Matrix, seed: int
) -> NDArray[np.str_]:
    """Fit a head on `x` and its labels; the label of each row of `test`."""
    with _threads().limit(limits=1):
        labels: NDArray[np.str_] = HEADS[head](seed).fit(x, y).predict(test)
    return labels


def ridge_scores(x: Matrix, y: Matrix, test: Matrix) -> Matrix:
    """Ridge regression, penalty 1, of every column of `y` at once: one factorisation for all."""
    mean = x.mean(axis=0)
    centred = (x - mean).astype(np.float64)
    gram = centred.T @ centred + np.eye(x.shape[1])
    weights = np.linalg.solve(gram, centred.T @ (y - y.mean(axis=0)))
    scores: Matrix = ((test - mean) @ weights).astype(np.float32)
    return scores


MAJORITY: Final = "majority-class"
FREQUENCY: Final = "gene-frequency"

_PREDICTED: Final = dict.fromkeys(
    ("model", "split", "fold", "unit", "partner", "truth", "predicted", "score"), pl.String
) | {"fold": pl.Int64, "score": pl.Float64}


@dataclass(frozen=True, eq=False)
class GeneVectors:
    """One representation of genes.

    Parameters
    ----------
    name
        Name of the representation: a space's id, or that of an ensemble or control.
    genes
        Ensembl ids of the rows.
    matrix
        Genes × dimensions.
    is_control
        Whether it is a control.
    """

    name: str
    genes: tuple[str, ...]
    matrix: Matrix
    is_control: bool = False

    @cached_property
    def _row(self) -> dict[str, int]:
        return {gene: row for row, gene in enumerate(self.genes)}

    def of(self, genes: Sequence[str]) -> Matrix:
        """The vectors of these genes, in this order."""
        rows: Matrix = self.matrix[[self._row[gene] for gene in genes]]
        return rows

    def within(self, genes: Sequence[str]) -> GeneVectors:
        """The same vectors, of these genes alone."""
        return replace(self, genes=tuple(genes), matrix=self.of(genes))

    def shuffled(self, draw: int = 0) -> GeneVectors:
        """The control in which each gene has the vector of another."""
        given = shuffled(self.genes, seed=draw)
        return replace(
            self, name=f"{self.name}@shuffled", matrix=self.matrix[given], is_control=True
        )


def random_vectors(genes: Sequence[str], dimensions: int = 384, draw: int = 0) -> GeneVectors:
    """The random control: a vector drawn for each gene."""
    drawn = RandomVectors(dimensions, seed=draw).embed(list(genes))
    return GeneVectors(f"random-{dimensions}", tuple(genes), drawn, is_control=True)


@dataclass(frozen=True)
class Labels:
    """Labels of genes and of pairs of genes.

    Parameters
    ----------
    properties
        Table `gene_properties`.
    pairs
        Table `gene_pairs`.
    """

    properties: pl.DataFrame
    pairs: pl.DataFrame


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """A prediction task on genes.

    Parameters
    ----------
    id
        Name of the task; in the tables of labels its rows have it.
    dataset
        Where its labels come from.
    title
        What is predicted, in a few words.
    stated_by
        Parts of a description that state the answer: spaces whose texts have them, or that are
        made of the same knowledge, are left out.
    metrics
        Names from `resampling.METRICS`, the one that decides first.
    clean
        Name of the split that decides; the others are there to compare with the literature.
    model
        The head that decides.
    draws
        Independent draws of each control for the deciding head and split; its score is their mean.
        Tasks on few genes need more, because single draws vary more.
    further_draws
        Draws of random vectors for the other heads and splits, which cost more.
    """

    id: str
    dataset: str
    title: str
    metrics: tuple[str, ...]
    clean: str
    model: str = LOGISTIC
    stated_by: tuple[str, ...] = ()
    draws: int = 3
    further_draws: int = 1

    scored_by: ClassVar[tuple[str, ...]] = ("genept.benchmarks.task_base",)

    @property
    def code(self) -> tuple[str, ...]:
        """Modules whose behaviour decides what is predicted."""
        return (type(self).__module__, *self.scored_by)

    @abstractmethod
    def rows(self, labels: Labels) -> pl.DataFrame:
        """The labels of this task; empty where their source is not available."""

    @abstractmethod
    def genes(self, rows: pl.DataFrame) -> set[str]:
        """The genes that a space needs vectors of."""

    @abstractmethod
    def known(self, rows: pl.DataFrame, genes: Sequence[str]) -> pl.DataFrame:
        """The rows whose genes are all among `genes`."""

    @abstractmethod
    def unfit(self, rows: pl.DataFrame) -> str | None:
        """Why these labels are too few to score; None if they are enough."""

    @abstractmethod
    def predict(
        self, rows: pl.DataFrame, vectors: GeneVectors, *, draw: int | None = None
    ) -> pl.DataFrame:
        """Fit and predict on every split with every head: model, split, fold, unit, …

        Parameters
        ----------
        draw
            Number of a control's draw: the deciding head on one repeat of the deciding split
            alone, another for each draw, with folds of its own numbers. None: everything.
        """

    @abstractmethod
    def permuted(self, rows: pl.DataFrame, seed: int = 0) -> pl.DataFrame:
        """The same rows with their labels permuted."""

    def baseline(self, rows: pl.DataFrame) -> tuple[str, pl.DataFrame] | None:  # noqa: ARG002 - for tasks that have one
        """Name and predictions of a baseline without vectors; None where that is chance."""
        return None


def predictions(
    model: str,
    split: str,
    fold: int,
    units: Sequence[str],
    truth: Sequence[str],
    *,
    partners: Sequence[str] | None = None,
    score: NDArray[Any] | None = None,
    predicted: Sequence[str] | None = None,
) -> pl.DataFrame:
    """Rows of table `benchmark_predictions`, but for task and representation."""
    n = len(units)
    columns = {
        "model": [model] * n,
        "split": [split] * n,
        "fold": [fold] * n,
        "unit": units,
        "partner": [""] * n if partners is None else partners,
        "truth": truth,
        "predicted": [None] * n if predicted is None else predicted,
        "score": [None] * n if score is None else np.asarray(score, np.float64),
    }
    return pl.DataFrame(columns, schema=_PREDICTED)


def constant(rows: pl.DataFrame, **values: object) -> pl.DataFrame:
    """The rows with columns of one value each.

    Parameters
    ----------
    rows
        Any rows.
    **values
        The value of each column, by name.

    Returns
    -------
    pl.DataFrame
    """
    return rows.with_columns(pl.lit(value).alias(name) for name, value in values.items())
