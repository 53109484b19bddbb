"""Logistic regression by L-BFGS on linear maps: dense, sparse, or sums of two rows each.

The objective is scikit-learn's, C times the sum of losses and half the squared weights, without a
penalty of the intercept; there is less to do around each of thousands of small fits. Of many rows
the columns are first turned so that the objective curves alike in all directions: the optimum is
the same, in a fraction of the steps. What is fitted on what
is `genept.benchmarks.fitted_heads`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import expit

Floats = NDArray[np.float64]

MAX_ITER: Final = 1000
"""The authors' 100 leaves some fits unconverged; see docs/parity.md."""

TOLERANCE: Final = 1e-4
"""Largest slope at which a fit of two classes ends: that of the mean loss, as in scikit-learn."""

CURVATURE: Final = 0.25
"""Largest curvature of the loss of a row, for which columns are turned."""


@dataclass(frozen=True)
class LinearMap:
    """Rows of features as a linear map, which need not exist as a matrix.

    Parameters
    ----------
    forward
        From weights, shape (d,), to scores of the rows, shape (n,).
    backward
        From values of the rows to the columns: the transposed map.
    n_columns
        d.
    """

    forward: Callable[[NDArray[Any]], NDArray[Any]]
    backward: Callable[[NDArray[Any]], NDArray[Any]]
    n_columns: int


def of_matrix(x: Any) -> LinearMap:
    """The map of a dense or sparse matrix of rows."""
    kind = x.dtype
    turned = x.T.tocsr() if isinstance(x, csr_array) else x.T
    return LinearMap(
        lambda weights: x @ weights.astype(kind),
        lambda values: turned @ values.astype(kind),
        x.shape[1],
    )


def of_sums(x: Any, first: NDArray[np.intp], second: NDArray[np.intp]) -> LinearMap:
    """The map of the sums of two rows of `x` each, which are not formed.

    Parameters
    ----------
    x
        Dense or sparse vectors.
    first, second
        Row of `x` of the first and the second gene of each pair, shape (n,).
    """
    single = of_matrix(x)

    def forward(weights: NDArray[Any]) -> NDArray[Any]:
        of_row = single.forward(weights)
        of_pair: NDArray[Any] = of_row[first] + of_row[second]
        return of_pair

    def backward(values: NDArray[Any]) -> NDArray[Any]:
        n = x.shape[0]
        return single.backward(np.bincount(first, values, n) + np.bincount(second, values, n))

    return LinearMap(forward, backward, single.n_columns)


def binary_weights(
    rows: LinearMap,
    is_positive: NDArray[np.bool_],
    c: float,
    start: Floats | None = None,
    penalty: Floats | float = 1.0,
) -> Floats:
    """Weights of the columns and, last, the intercept of logistic regression on two classes.

    Parameters
    ----------
    rows, is_positive
        Features and label of each row.
    c
        scikit-learn's C.
    start
        Weights to start at.
    penalty
        Of the square of each weight, relative to 1.
    """
    n = len(is_positive)
    sign = np.where(is_positive, 1.0, -1.0)

    def objective(weights: Floats) -> tuple[float, Floats]:
        margin = sign * (rows.forward(weights[:-1]) + weights[-1])
        slope = -sign * expit(-margin)
        shrunken = penalty * weights[:-1]
        loss = c * float(np.logaddexp(0, -margin).sum()) + float(shrunken @ weights[:-1]) / 2
        inner = c * rows.backward(slope) + shrunken
        return loss / (c * n), np.append(inner, c * slope.sum()) / (c * n)

    if start is None:
        start = np.zeros(rows.n_columns + 1)
    return _minimum(objective, start)


def turned(products: NDArray[Any], c: float) -> tuple[NDArray[np.float32], Floats]:
    """Directions in which the objective curves alike, and the penalty of a weight in each.

    Parameters
    ----------
    products
        Products of the centred columns, summed over rows, shape (d, d).
    c
        scikit-learn's C.

    Returns
    -------
    tuple of NDArray
        What columns are multiplied with, shape (d, d); and the penalties, shape (d,).
    """
    values, basis = np.linalg.eigh(products.astype(np.float64))
    penalty = 1 / (1 + CURVATURE * c * np.maximum(values, 0))
    return (basis * np.sqrt(penalty)).astype(np.float32), penalty


def _minimum(objective: Callable[[Floats], tuple[float, Floats]], start: Floats) -> Floats:
    from scipy.optimize import (
        minimize,  # half a second, which commands that fit nothing need not pay
    )

    solution = minimize(
        objective,
        start,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": MAX_ITER, "gtol": TOLERANCE, "ftol": 64 * np.finfo(np.float64).eps},
    )
    weights: Floats = solution.x
    return weights
