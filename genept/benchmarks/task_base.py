"""Base class of tasks on genes, and gene vectors.

A task knows its labels, genes, splits and metrics, and works in memory. Heads are in
`genept.benchmarks.fitted_heads`, scores of predictions in `genept.benchmarks.resampling`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.benchmarks.classifiers import LOGISTIC
from genept.benchmarks.fitted_heads import Features, Matrix
from genept.nomenclature import Groups, families_of
from genept.text import RandomVectors, shuffled

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
        Genes × dimensions; sparse only for tasks that take sparse vectors.
    is_control
        Whether it is a control.
    """

    name: str
    genes: tuple[str, ...]
    matrix: Features
    is_control: bool = False

    @cached_property
    def _row(self) -> dict[str, int]:
        return {gene: row for row, gene in enumerate(self.genes)}

    @property
    def is_sparse(self) -> bool:
        """Whether the vectors are sparse."""
        return not isinstance(self.matrix, np.ndarray)

    @property
    def dense(self) -> Matrix:
        """The matrix of vectors that are not sparse.

        Raises
        ------
        TypeError
            The vectors are sparse, and the task does not say that it takes them.
        """
        if not isinstance(self.matrix, np.ndarray):
            raise TypeError(f"{self.name} is sparse: ask `features_of`, and set `takes_sparse`")
        return self.matrix

    def _rows(self, genes: Sequence[str]) -> list[int]:
        return [self._row[gene] for gene in genes]

    def of(self, genes: Sequence[str]) -> Matrix:
        """The vectors of these genes, in this order; none of them sparse."""
        rows: Matrix = self.dense[self._rows(genes)]
        return rows

    def features_of(self, genes: Sequence[str]) -> Features:
        """The vectors of these genes, in this order, dense or sparse as they are."""
        rows: Features = self.matrix[self._rows(genes)]
        return rows

    def within(self, genes: Sequence[str]) -> GeneVectors:
        """The same vectors, of these genes alone."""
        return replace(self, genes=tuple(genes), matrix=self.features_of(genes))

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
    groups
        Gene groups that count as families, by Ensembl id; None: stems of symbols alone.
    """

    properties: pl.DataFrame
    pairs: pl.DataFrame
    groups: Groups | None = None


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
    published_scores
        Means over the same terms that others published, by the name of the representation: on
        other genes and by other heads, so they stand beside ours and are not compared.
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
    published_scores: Mapping[str, float] = field(default_factory=dict)

    scored_by: ClassVar[tuple[str, ...]] = (
        "genept.benchmarks.task_base",
        "genept.benchmarks.fitted_heads",
        "genept.benchmarks.influence",
        "genept.benchmarks.solvers",
    )
    takes_sparse: ClassVar[bool] = False
    """Whether sparse vectors are scored, too: its heads read `GeneVectors.features_of`."""
    sparse_is_slow: ClassVar[bool] = False
    """Whether that takes minutes: sparse vectors are then scored on request only."""
    fuses: ClassVar[bool] = False
    """Whether it has `predict_fused`, for several representations with a head each."""
    has_families: ClassVar[bool] = False
    """Whether it has a split without relatives, and reads column `families` of its rows."""

    @property
    def code(self) -> tuple[str, ...]:
        """Modules whose behaviour decides what is predicted."""
        return (type(self).__module__, *self.scored_by)

    def states(self, part: str) -> bool:
        """Whether a part of descriptions, as `SpaceVectors.tells` names it, states the answer."""
        return part.partition("<")[0] in self.stated_by

    @property
    def without_labels(self) -> str:
        """Why the task has no labels, where their source is not available."""
        return "no labels are available"

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
        """Fit and predict with the deciding head on the deciding split: model, split, fold, …

        Parameters
        ----------
        draw
            Number of a control's draw: one repeat of the split alone, another for each draw, with
            folds of its own numbers. None: every repeat, and splits that stand beside it always.
        """

    def predict_fused(
        self, rows: pl.DataFrame, members: Sequence[GeneVectors], *, draw: int | None = None
    ) -> pl.DataFrame:
        """Predict from several representations with a head each; for tasks that say `fuses`."""
        raise NotImplementedError

    def further(self, rows: pl.DataFrame, vectors: GeneVectors) -> pl.DataFrame | None:  # noqa: ARG002 - for tasks that have more
        """Predict with heads and on splits that do not decide; None where there are no others."""
        return None

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


NAMED: Final = ["ensembl_gene_id", "symbol"]


def with_families(rows: pl.DataFrame, named: pl.DataFrame, groups: Groups | None) -> pl.DataFrame:
    """The rows with column `families`: names of the families of the gene, between bars."""
    families = families_of(named[NAMED[0]].to_list(), named[NAMED[1]].to_list(), groups)
    listed = named.select(
        "ensembl_gene_id", families=pl.Series(["|".join(sorted(own)) for own in families])
    )
    return rows.join(listed, on="ensembl_gene_id", how="left", maintain_order="left")


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
