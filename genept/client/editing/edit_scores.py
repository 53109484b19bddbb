"""How edited descriptions are scored on properties of genes, and on several tasks together.

Three tenths of the genes of each task are hidden. What is kept is decided on the others, out of
their folds; hidden genes are predicted once, after the last round, by heads that never saw them.
Directions of perturbations are `genept.client.editing.edit_directions`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

FOLDS: Final = 5
REPEATS: Final = 3
HIDDEN: Final = 0.3
DRAWS: Final = 1000
STRENGTH: Final = 1.0
"""C of the logistic regression on standardised vectors; fixed, so that no choice adds noise."""

Matrix = NDArray[np.float32]
Vectors = Mapping[str, Matrix]
"""Vector of each gene, by Ensembl id."""


class HiddenChange(NamedTuple):
    """What editing did to the score of hidden genes.

    Parameters
    ----------
    value, difference
        Score after the editing, and what it is more than before.
    draws
        The difference in bootstrap draws; their percentiles are its interval.
    """

    value: float
    difference: float
    draws: NDArray[np.float64]


class EditTask(Protocol):
    """A task whose score may decide about edits."""

    @property
    def genes(self) -> tuple[str, ...]:
        """Genes whose vectors are read."""

    @property
    def training_genes(self) -> list[str]:
        """Those that are not hidden."""

    def score(self, vectors: Vectors, *, permuted: bool) -> float:
        """Score of the training genes out of their folds; or with permuted labels."""

    def change(self, before: Vectors, after: Vectors, random: np.random.Generator) -> HiddenChange:
        """Predict the hidden genes with the vectors before and after."""


def hidden_genes(genes: Sequence[str]) -> NDArray[np.bool_]:
    """Choose the genes that decide nothing: by the hash of their id, in every task the same.

    Parameters
    ----------
    genes
        Ensembl ids.

    Returns
    -------
    NDArray of bool
        Whether each is hidden; some `HIDDEN` of them are.
    """
    drawn = [int(hashlib.sha256(f"hidden:{id_}".encode()).hexdigest()[:8], 16) for id_ in genes]
    return np.array(drawn) < HIDDEN * 2**32


@dataclass(frozen=True)
class LabelledTask:
    """A task on genes with two labels.

    Parameters
    ----------
    id
        Its id.
    genes, is_positive
        Labelled genes that have a text, and their labels.
    """

    id: str
    genes: tuple[str, ...]
    is_positive: NDArray[np.bool_] = field(repr=False)

    @cached_property
    def is_hidden(self) -> NDArray[np.bool_]:
        """Which genes decide nothing."""
        return hidden_genes(self.genes)

    @cached_property
    def training_genes(self) -> list[str]:
        """Genes that decide."""
        return [id_ for id_, hidden in zip(self.genes, self.is_hidden, strict=True) if not hidden]

    @property
    def training_labels(self) -> NDArray[np.bool_]:
        """Their labels."""
        return self.is_positive[~self.is_hidden]

    def score(self, vectors: Vectors, *, permuted: bool) -> float:
        """Mean AUROC of the training genes, out of five folds, three times."""
        labels = self.training_labels
        if permuted:
            labels = np.random.default_rng(0).permutation(labels)
        x = _standardised([vectors[id_] for id_ in self.training_genes])
        scores = []
        for repeat in range(REPEATS):
            out = np.zeros(len(labels))
            folds = StratifiedKFold(FOLDS, shuffle=True, random_state=repeat)
            for train, test in folds.split(x, labels):
                out[test] = _fitted(x[train], labels[train], x[test])
            scores.append(roc_auc_score(labels, out))
        return float(np.mean(scores))

    def change(self, before: Vectors, after: Vectors, random: np.random.Generator) -> HiddenChange:
        """Change of the AUROC of the hidden genes; draws are of these genes."""
        labels = self.is_positive[self.is_hidden]
        old, new = self._predicted(before), self._predicted(after)
        draws: list[float] = []
        while len(draws) < DRAWS:
            rows = random.integers(0, len(labels), len(labels))
            if 0 < labels[rows].sum() < len(rows):
                draws.append(
                    roc_auc_score(labels[rows], new[rows]) - roc_auc_score(labels[rows], old[rows])
                )
        value = float(roc_auc_score(labels, new))
        return HiddenChange(value, value - float(roc_auc_score(labels, old)), np.array(draws))

    def _predicted(self, vectors: Vectors) -> NDArray[np.float64]:
        x = _standardised([vectors[id_] for id_ in self.genes])
        seen = ~self.is_hidden
        return _fitted(x[seen], self.is_positive[seen], x[~seen])


def labelled_tasks(
    properties: pl.DataFrame, positive: Mapping[str, str], known: Sequence[str]
) -> dict[str, LabelledTask]:
    """Tasks on the genes that have a text.

    Parameters
    ----------
    properties
        Table `gene_properties`.
    positive
        The label that counts as positive, by task.
    known
        Genes with evidence.

    Returns
    -------
    dict of str to LabelledTask
        Of the tasks that have labels here; each with at least 20 training genes of either label.
    """
    tasks = {}
    rows = properties.filter(fate="scored").filter(pl.col("ensembl_gene_id").is_in(list(known)))
    for id_, label in positive.items():
        own = rows.filter(task=id_).unique("ensembl_gene_id").sort("ensembl_gene_id")
        task = LabelledTask(id_, tuple(own["ensembl_gene_id"]), (own["label"] == label).to_numpy())
        if own.height and min(np.bincount(task.training_labels, minlength=2)) >= 20:
            tasks[id_] = task
    return tasks


@dataclass(frozen=True)
class TaskScorer:
    """Scores vectors on tasks; a `genept.language_models.self_editing.edit_results.Scorer`.

    Parameters
    ----------
    tasks
        By id.
    rewarded
        Ids of the tasks that decide.
    """

    tasks: Mapping[str, EditTask]
    rewarded: tuple[str, ...]

    @property
    def others(self) -> tuple[str, ...]:
        """Tasks that decide nothing."""
        return tuple(id_ for id_ in self.tasks if id_ not in self.rewarded)

    @cached_property
    def training_genes(self) -> frozenset[str]:
        """Genes of the rewarded tasks that are not hidden."""
        return frozenset(id_ for task in self.rewarded for id_ in self.tasks[task].training_genes)

    @cached_property
    def genes(self) -> frozenset[str]:
        """Every gene of every task."""
        return frozenset(id_ for task in self.tasks.values() for id_ in task.genes)

    def score(self, task: str, vectors: Vectors, *, permuted: bool = False) -> float:
        """Score of the training genes of a task."""
        return self.tasks[task].score(vectors, permuted=permuted)

    def hidden(
        self, before: Vectors, after: Vectors, seed: int = 0
    ) -> tuple[dict[str, tuple[float, float, float, float]], tuple[float, float, float]]:
        """Predict the hidden genes of every task with the vectors before and after.

        Parameters
        ----------
        before, after
            Vectors of every gene.
        seed
            Of the bootstrap.

        Returns
        -------
        by_task : dict
            Score after, and its change with a 95 % interval, by task.
        gain : tuple
            Mean change over the rewarded tasks, and its interval: genes are drawn in each task.
        """
        random = np.random.default_rng(seed)
        changes = {id_: task.change(before, after, random) for id_, task in self.tasks.items()}
        by_task = {
            id_: (change.value, change.difference, *_interval(change.draws))
            for id_, change in changes.items()
        }
        rewarded = [changes[id_] for id_ in self.rewarded]
        mean = float(np.mean([change.difference for change in rewarded]))
        drawn = np.mean([change.draws for change in rewarded], axis=0)
        return by_task, (mean, *_interval(drawn))


def _interval(draws: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)


def _standardised(vectors: Sequence[Matrix]) -> Matrix:
    """Columns of one deviation, without labels, and rows whose mean square length is 1."""
    columns = StandardScaler().fit_transform(np.stack(vectors))
    return np.asarray(columns / np.sqrt(columns.shape[1]), np.float32)


def _fitted(x: Matrix, labels: NDArray[np.bool_], test: Matrix) -> NDArray[np.float64]:
    head = LogisticRegression(C=STRENGTH, max_iter=1000).fit(x, labels)
    return np.asarray(head.decision_function(test), np.float64)
