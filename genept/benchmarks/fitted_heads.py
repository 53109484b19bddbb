"""Heads that are fitted on vectors of genes: classifiers, and ridge regression.

A task (`genept.benchmarks.task_base`) chooses the head, what it is trained on, and what it scores.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from threadpoolctl import ThreadpoolController

Matrix = NDArray[np.float32]
Features = Matrix | csr_array[Any]
"""What a head reads: dense vectors, or sparse weights of terms."""
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


def in_one_thread() -> AbstractContextManager[object]:
    """Fits of small heads, which several threads would only slow down."""
    limits: AbstractContextManager[object] = _threads().limit(limits=1)
    return limits


def binary_scores(
    head: str, x: Features, y: NDArray[np.int64], test: Features, seed: int
) -> Scores:
    """Fit a head on `x` and `y` (0 or 1); how likely each row of `test` is a 1."""
    with in_one_thread():
        model = HEADS[head](seed).fit(x, y)
        scores: Scores = model.predict_proba(test)[:, 1].astype(np.float64)
    return scores


def predicted_labels(
    head: str, x: Matrix, y: NDArray[np.str_], test: Matrix, seed: int
) -> NDArray[np.str_]:
    """Fit a head on `x` and its labels; the label of each row of `test`."""
    with in_one_thread():
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
