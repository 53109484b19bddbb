"""What answers from gene vectors: heads that are fitted on them.

Logistic regression and forest are scikit-learn's defaults, as the authors took them. Boosting,
which they did not hold, has small trees and coarse bins: a tenth of the time on some hundred genes.

One thread each, but for the trees of a forest: fits of this size gain little from two, and on a
busy machine threads that wait for one another cost tenfold.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from threadpoolctl import ThreadpoolController

Matrix = NDArray[np.float32]
Scores = NDArray[np.float64]

LOGISTIC: Final = "logistic-regression"
FOREST: Final = "random-forest"
BOOSTING: Final = "gradient-boosting"
MAX_ITER: Final = 1000
"""The authors' 100 leaves some fits unconverged; see docs/parity.md."""

HEADS: Final[dict[str, Callable[[int], Any]]] = {
    LOGISTIC: lambda seed: LogisticRegression(max_iter=MAX_ITER, random_state=seed),
    FOREST: lambda seed: RandomForestClassifier(n_jobs=2, random_state=seed),
    BOOSTING: lambda seed: HistGradientBoostingClassifier(
        max_iter=50, max_leaf_nodes=7, max_bins=63, random_state=seed
    ),
}


@cache
def _threads() -> ThreadpoolController:
    """Finding out which libraries have threads takes longer than a small fit: done once."""
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


def ridge_scores(x: Matrix, y: Matrix, test: Matrix, penalty: float = 1.0) -> Matrix:
    """Ridge regression of every column of `y` at once: one factorisation for all of them."""
    mean = x.mean(axis=0)
    centred = (x - mean).astype(np.float64)
    gram = centred.T @ centred + penalty * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, centred.T @ (y - y.mean(axis=0)))
    scores: Matrix = ((test - mean) @ weights).astype(np.float32)
    return scores
