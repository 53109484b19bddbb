"""Heads that are fitted on vectors of genes: classifiers, and ridge regression.

How vectors are scaled and how strongly a linear head is penalised is part of what a score says. The
scaling is the same for every representation, and the penalty is chosen inside the training folds. A
task (`genept.benchmarks.task_base`) chooses the head, what it is trained on, and what it scores.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cache
from itertools import combinations
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from threadpoolctl import ThreadpoolController

from genept.benchmarks.classifiers import HEADS
from genept.benchmarks.influence import area
from genept.benchmarks.solvers import binary_weights, of_matrix

Matrix = NDArray[np.float32]
Features = Matrix | csr_array[Any]
"""What a head reads: dense vectors, or sparse weights of terms."""
Scores = NDArray[np.float64]

Scaling = Literal["unit rows", "standardised"]

CHOSEN_STRENGTHS: Final = (0.1, 1.0, 10.0)
"""Values of C to choose from, rising; after `scaled`, they mean the same for all vectors."""

SMALLEST_SPREAD: Final = 1e-8
"""Deviation below which a column does not vary."""

PENALTIES: Final = (10.0, 1.0, 0.1, 0.01)
"""Penalties of the ridge to choose from, in units of the mean eigenvalue of the training rows'
products: they mean the same for all numbers of rows and dimensions."""

MOST_STEPS: Final = 100
TOLERANCE: Final = 1e-9
"""Steps of conjugate gradients, and the share of the squared residual at which they end."""

AT_ONCE: Final = 256
"""Most columns whose deviations are computed at once."""

LEFT_OUT: Final = (4_000, 100)
"""Most rows and columns whose leave-one-out errors choose the penalty."""


@cache
def _threads() -> ThreadpoolController:
    """Controller of thread pools; created once, because that takes longer than a small fit."""
    return ThreadpoolController()


def in_one_thread() -> AbstractContextManager[object]:
    """Fits of small heads, which several threads would only slow down."""
    limits: AbstractContextManager[object] = _threads().limit(limits=1)
    return limits


def binary_scores(
    head: str,
    x: Features,
    y: NDArray[np.int64],
    test: Features,
    seed: int,
    c: float | None = None,
) -> Scores:
    """Fit a head on `x` and `y` (0 or 1), at C = `c`; how likely each row of `test` is a 1."""
    with in_one_thread():
        unfitted = HEADS[head](seed)
        model = (unfitted if c is None else unfitted.set_params(C=c)).fit(x, y)
        scores: Scores = model.predict_proba(test)[:, 1].astype(np.float64)
    return scores


def scaled(matrix: Features, scaling: Scaling) -> Features:
    """Vectors with columns or rows of one scale, whose mean square length is 1.

    Parameters
    ----------
    matrix
        Genes × dimensions.
    scaling
        ``unit rows``: every gene's vector has length 1. ``standardised``: every column is divided
        by its standard deviation, over all genes, without labels, and all by one number, so that
        the mean square of the lengths is 1, too: C means the same for both, in any dimensions.
    """
    from sklearn.preprocessing import StandardScaler, normalize

    if scaling == "unit rows":
        rows: Features = normalize(matrix)
        return rows
    scaler = StandardScaler(with_mean=False).fit(matrix)
    columns: Features = scaler.transform(matrix)
    n_varying = max(int((scaler.var_ > 0).sum()), 1)
    shared: Features = columns / np.sqrt(n_varying)
    return shared


def seen_columns(training: Features, test: Features) -> tuple[Any, Any]:
    """What makes a fit fast and changes no score.

    Dense vectors are centred. Of sparse ones, columns without a training value are left out: their
    weight is 0.
    """
    if isinstance(training, csr_array):
        seen = np.flatnonzero(np.bincount(training.indices))
        return training[:, seen], test[:, seen]
    mean = training.mean(axis=0)
    return training - mean, test - mean


def logistic_scores(
    x: Features, is_positive: NDArray[np.bool_], test: Features, strengths: Sequence[float]
) -> Iterator[Scores]:
    """Logistic regression: scores of `test` for each C, rising; each fit starts at the last."""
    rows, start = of_matrix(x), None
    for c in strengths:
        start = binary_weights(rows, is_positive, c, start)
        yield test @ start[:-1].astype(x.dtype) + start[-1]


def out_of_fold_scores(
    x: Features,
    is_positive: NDArray[np.bool_],
    fold: NDArray[np.int64],
    apart: Callable[[NDArray[np.bool_]], NDArray[np.bool_]] = lambda test: ~test,
) -> Scores:
    """Logistic regression: the score of each row by a head that saw neither it nor its fold.

    C is chosen for each fold on the other folds: each of these is scored by heads fitted on the
    rest of them. Heads that leave two folds out serve both. Of equal values, the strongest penalty.

    Parameters
    ----------
    x
        Scaled vectors.
    is_positive, fold
        Label and fold of each row, shape (n,); each of at least three folds has both labels.
    apart
        Which rows may be learnt from for a test; those of one label teach nothing.
    """
    folds = np.unique(fold)
    of_strength = {int(each): np.zeros(len(CHOSEN_STRENGTHS)) for each in folds}
    scores = np.zeros(len(is_positive))
    with in_one_thread():
        for pair in combinations(folds, 2):
            first, second = (fold == each for each in pair)
            inside = apart(first | second)
            if len(np.unique(is_positive[inside])) < 2:
                continue
            seen, new = seen_columns(x[inside], x[first | second])
            in_first = first[first | second]
            fits = logistic_scores(seen, is_positive[inside], new, CHOSEN_STRENGTHS)
            for at, score in enumerate(fits):
                of_strength[int(pair[0])][at] += area(is_positive[second], score[~in_first])
                of_strength[int(pair[1])][at] += area(is_positive[first], score[in_first])
        for each in folds:
            test = fold == each
            inside = apart(test)
            if len(np.unique(is_positive[inside])) < 2:
                continue
            seen, new = seen_columns(x[inside], x[test])
            c = CHOSEN_STRENGTHS[int(of_strength[int(each)].argmax())]
            (scores[test],) = logistic_scores(seen, is_positive[inside], new, (c,))
    return scores


def standardised_by_training(x: Features, test: Features) -> tuple[Features, Features]:
    """Columns divided by their deviation in `x`, all by one number; dense ones are centred, too.

    In place where vectors are dense: features of pairs take hundreds of megabytes. The mean square
    of the lengths of the rows of `x` is then 1, and C means the same whatever the dimensions.
    """
    if not isinstance(x, np.ndarray) or not isinstance(test, np.ndarray):
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler(with_mean=False).fit(x)
        shared = np.sqrt(max(int((scaler.var_ > 0).sum()), 1))
        return seen_columns(scaler.transform(x) / shared, scaler.transform(test) / shared)
    mean, spread = x.mean(axis=0), _deviation(x)
    varies = spread > SMALLEST_SPREAD
    divisor = np.where(varies, spread, 1) * np.sqrt(max(int(varies.sum()), 1))
    for values in (x, test):
        np.divide(np.subtract(values, mean, out=values), divisor.astype(x.dtype), out=values)
    return x, test


def _deviation(x: Matrix) -> Matrix:
    """Standard deviation of each column; numpy copies what it takes it of, so of some at a time."""
    some = np.array_split(np.arange(x.shape[1]), -(-x.shape[1] // AT_ONCE))
    return np.concatenate([x[:, at[0] : at[-1] + 1].std(axis=0) for at in some])


def chosen_strength(
    x: Features,
    is_positive: NDArray[np.bool_],
    inside: NDArray[np.intp],
    outside: NDArray[np.intp],
) -> float:
    """The C with the largest area on some training rows, of heads fitted on others.

    Parameters
    ----------
    x, is_positive
        Scaled vectors of the training rows, and their labels.
    inside, outside
        Positions of the rows to fit on, and of those to score; the strongest penalty is chosen
        where a side lacks one of the labels.
    """
    sides = [is_positive[inside], is_positive[outside]]
    if any(not side.size or side.all() or not side.any() for side in sides):
        return CHOSEN_STRENGTHS[0]
    fits = logistic_scores(x[inside], sides[0], x[outside], CHOSEN_STRENGTHS)
    areas = [area(sides[1], score) for score in fits]
    return CHOSEN_STRENGTHS[int(np.argmax(areas))]


def predicted_labels(
    head: str, x: Features, y: NDArray[np.str_], test: Features, seed: int
) -> NDArray[np.str_]:
    """Fit a head on `x` and its labels; the label of each row of `test`."""
    with in_one_thread():
        labels: NDArray[np.str_] = HEADS[head](seed).fit(x, y).predict(test)
    return labels


def ridge_scores(x: Features, y: Matrix, test: Features) -> Matrix:
    """Ridge regression of every column of `y` at once, with one penalty.

    The penalty has the least leave-one-out error on training rows and columns of `y`, of which some
    are read (`LEFT_OUT`), each divided by the variance of the column. One factorisation serves all.
    Of sparse vectors, which have none, a fifth of the training rows is left out instead.
    """
    if not isinstance(x, np.ndarray) or not isinstance(test, np.ndarray):
        return _sparse_ridge_scores(x, y, test)
    mean, share = x.mean(axis=0), y.mean(axis=0)
    centred = x - mean
    values, basis = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    values = np.maximum(values, 0)
    # Few genes belong to a term, and centred columns need no centred labels.
    projected = basis.T @ (csr_array(y.T) @ centred).T
    rows, columns = (
        np.linspace(0, n - 1, min(n, most)).astype(np.intp)
        for n, most in zip(y.shape, LEFT_OUT, strict=True)
    )
    z, left = centred[rows] @ basis, (y - share)[np.ix_(rows, columns)]
    scale = np.maximum(left.var(axis=0), np.finfo(np.float64).tiny)
    errors = []
    penalties = np.asarray(PENALTIES) * max(float(values.mean()), np.finfo(np.float64).tiny)
    for penalty in penalties:
        shrunken = 1 / (values + penalty)
        own = (z**2) @ shrunken + 1 / len(x)
        missed = (left - z @ (shrunken[:, None] * projected[:, columns])) / (1 - own)[:, None]
        errors.append(float(((missed**2).mean(axis=0) / scale).mean()))
    penalty = penalties[int(np.argmin(errors))]
    weights = (basis @ (projected / (values + penalty)[:, None])).astype(np.float32)
    scores: Matrix = (test - mean) @ weights
    return scores


def _sparse_ridge_scores(x: Any, y: Matrix, test: Any) -> Matrix:
    """Ridge regression on sparse vectors, by conjugate gradients in as many unknowns as rows."""
    left_out = np.arange(len(y)) % 5 == 0
    some = np.linspace(0, y.shape[1] - 1, min(y.shape[1], LEFT_OUT[1])).astype(np.intp)
    unit = float((x.multiply(x)).sum()) / min(x.shape)
    truth = y[left_out][:, some]
    scale = np.maximum(truth.var(axis=0), np.finfo(np.float32).tiny)
    errors = {}
    for penalty in PENALTIES:
        predicted = _solved(x[~left_out], y[~left_out][:, some], x[left_out], penalty * unit)
        errors[penalty] = float((((predicted - truth) ** 2).mean(axis=0) / scale).mean())
    return _solved(x, y, test, min(errors, key=errors.__getitem__) * unit)


def _solved(x: Any, y: Matrix, test: Any, penalty: float) -> Matrix:
    """Predictions of `test` by a ridge without centring, but for the mean of `y`."""
    share = y.mean(axis=0, dtype=np.float64).astype(np.float32)
    x, rest = x.astype(np.float32), y.astype(np.float32) - share
    unknown, step = np.zeros_like(rest), rest.copy()
    size = start = (rest**2).sum(axis=0)
    for _ in range(MOST_STEPS):
        if (size <= TOLERANCE * start).all():
            break
        turned = x @ (x.T @ step) + np.float32(penalty) * step
        along = size / np.maximum((step * turned).sum(axis=0), np.finfo(np.float32).tiny)
        unknown += along * step
        rest = rest - along * turned
        left = (rest**2).sum(axis=0)
        step = rest + left / np.maximum(size, np.finfo(np.float32).tiny) * step
        size = left
    scores: Matrix = (test @ (x.T @ unknown) + share).astype(np.float32)
    return scores
