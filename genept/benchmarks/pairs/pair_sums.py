"""Logistic regression on the sum of the vectors of two genes, without a row for each pair.

Hundreds of thousands of pairs are sums of the vectors of some thousand genes: a fit multiplies with
these alone. Which pairs there are, and other features of them, is the neighbour `pair_tasks`.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from genept.benchmarks.fitted_heads import CHOSEN_STRENGTHS, SMALLEST_SPREAD, Features, Scores
from genept.benchmarks.influence import area
from genept.benchmarks.scores import Indices
from genept.benchmarks.solvers import binary_weights, of_sums, turned

Pairs = NDArray[np.intp]
"""Rows of the first and of the second gene of each pair, shape (2, n)."""

PLAIN: Final = 1.0
"""C of the publisher's split."""


class PairSums:
    """Sums of the vectors of the two genes of each training pair, centred, and test pairs alike.

    Parameters
    ----------
    x
        Vectors of the genes, dense or sparse; sparse ones are not centred.
    train, test
        Pairs.
    is_positive
        Label of each training pair, shape (n,).
    is_standardised
        Whether each column is divided by its deviation over training pairs, and all by one number,
        so that the mean square of the lengths of the sums is 1.
    """

    def __init__(
        self, x: Features, train: Pairs, test: Pairs, is_positive: NDArray[np.bool_],
        *, is_standardised: bool,
    ) -> None:  # fmt: skip
        self._train, self._test, self._is_positive = train, test, is_positive
        self._penalty: NDArray[np.float64] | float = 1.0
        n = train.shape[1]
        counts = np.bincount(train.ravel(), minlength=x.shape[0])
        half = counts @ x / (2 * n)
        if not isinstance(x, np.ndarray):
            squares = x.multiply(x)
            both = x[train[0]].multiply(x[train[1]]).sum(axis=0)
            variance = (counts @ squares + 2 * both) / n - (2 * half) ** 2
            scale = _scale(variance) if is_standardised else np.ones(x.shape[1])
            self._x: Any = csr_array(x.multiply(scale[None, :]))
            return
        linked = coo_array((np.ones(n, x.dtype), tuple(train)), (x.shape[0], x.shape[0])).tocsr()
        centred = (x - half).astype(x.dtype)
        around = (linked + linked.T) @ centred + counts[:, None].astype(x.dtype) * centred
        products = (centred.T @ around).astype(np.float64)
        scale = np.ones(x.shape[1])
        if is_standardised:
            scale = _scale(np.diag(products) / n)
        turn, self._penalty = turned(products * np.outer(scale, scale), PLAIN)
        self._x = (centred * scale.astype(x.dtype)) @ turn

    def chosen_strength(self, inside: Indices, outside: Indices) -> float:
        """The C with the largest area on some training pairs, of heads fitted on others.

        Parameters
        ----------
        inside, outside
            Positions of training pairs to fit on, and of those to score; the strongest penalty is
            chosen where a side lacks one of the labels.
        """
        sides = [self._is_positive[inside], self._is_positive[outside]]
        if any(not side.size or side.all() or not side.any() for side in sides):
            return CHOSEN_STRENGTHS[0]
        rows = of_sums(self._x, *self._train[:, inside])
        others = of_sums(self._x, *self._train[:, outside])
        areas, weights = [], None
        for c in CHOSEN_STRENGTHS:
            weights = binary_weights(rows, sides[0], c, weights, self._penalty)
            areas.append(area(sides[1], others.forward(weights[:-1])))
        return CHOSEN_STRENGTHS[int(np.argmax(areas))]

    def scores(self, c: float = PLAIN) -> Scores:
        """How likely each test pair belongs together, by a head fitted on all training pairs."""
        rows = of_sums(self._x, *self._train)
        weights = binary_weights(rows, self._is_positive, c, penalty=self._penalty)
        logits = of_sums(self._x, *self._test).forward(weights[:-1]) + weights[-1]
        scores: Scores = 1 / (1 + np.exp(-logits.astype(np.float64)))
        return scores


def _scale(variance: NDArray[Any]) -> NDArray[np.float64]:
    spread = np.sqrt(np.maximum(np.asarray(variance, np.float64), 0))
    varies = spread > SMALLEST_SPREAD
    scale: NDArray[np.float64] = 1 / np.where(varies, spread, 1) / np.sqrt(max(varies.sum(), 1))
    return scale
