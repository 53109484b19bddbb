"""Late fusion on pairs of genes: heads on several representations, weighed on genes they never saw.

Each representation gives three scores of a pair: of a head on the sum of the two vectors, of one on
their product, and their cosine. Weights of the scores are fitted on the pairs of a fifth of the
training genes, which heads on the pairs of the other genes score.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from genept.benchmarks.fitted_heads import (
    Features,
    Matrix,
    Scores,
    in_one_thread,
    logistic_scores,
    standardised_by_training,
)
from genept.benchmarks.pairs.pair_sums import PLAIN, Pairs
from genept.benchmarks.scores import Indices

MOST_PAIRS: Final = 50_000
"""Training pairs of a head: with all of Gene2vec's the fusion was not better on the publisher's
validation pairs."""

REDUCED: Final = 300
"""Leading directions of sparse vectors that are read."""


def fused_scores(
    members: Sequence[Features],
    train: Pairs,
    is_positive: NDArray[np.bool_],
    inner: tuple[Indices, Indices],
    test: Pairs,
) -> Scores:
    """Score pairs by all representations together.

    Parameters
    ----------
    members
        Vectors of the same genes, by representation; dense or sparse.
    train, test
        Rows of the two genes of each pair, shape (2, n).
    is_positive
        Label of each training pair.
    inner
        Positions of training pairs, and of those of other genes, on which scores are weighed.

    Returns
    -------
    NDArray of float64
        Logits of the test pairs; weights are equal where one side of `inner` lacks a label.
    """
    inside, outside = inner
    dense = [_reduced(member) for member in members]
    with in_one_thread():
        new = _standardised(_scores(dense, train, is_positive, test))
        if any(len(np.unique(is_positive[side])) < 2 for side in inner):
            return np.asarray(new.mean(axis=1), np.float64)
        weighed = _standardised(
            _scores(dense, train[:, inside], is_positive[inside], train[:, outside])
        )
        (fused,) = logistic_scores(weighed, is_positive[outside], new, (PLAIN,))
    return np.asarray(fused, np.float64)


def _scores(
    members: Sequence[Matrix], train: Pairs, is_positive: NDArray[np.bool_], test: Pairs
) -> NDArray[np.float32]:
    """Three scores of each test pair by each member, shape (n, 3 × members)."""
    n = train.shape[1]
    some = np.sort(np.random.default_rng(0).permutation(n)[:MOST_PAIRS])
    columns = [
        score for x in members for score in _of_member(x, train[:, some], is_positive[some], test)
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def _of_member(
    x: Matrix, train: Pairs, is_positive: NDArray[np.bool_], test: Pairs
) -> Iterator[NDArray[Any]]:
    centred = x - x.mean(axis=0)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = centred / np.where(length > 0, length, 1)
    for of_two in (np.add, np.multiply):
        seen, new = (of_two(unit[pairs[0]], unit[pairs[1]]) for pairs in (train, test))
        seen, new = standardised_by_training(seen, new)
        (score,) = logistic_scores(seen, is_positive, new, (PLAIN,))
        yield score
    yield np.einsum("ij,ij->i", unit[test[0]], unit[test[1]])


def _reduced(member: Features) -> Matrix:
    if isinstance(member, np.ndarray):
        return member
    from sklearn.decomposition import TruncatedSVD

    directions = min(REDUCED, min(member.shape) - 1)
    return np.asarray(TruncatedSVD(directions, random_state=0).fit_transform(member), np.float32)


def _standardised(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    spread = scores.std(axis=0)
    return np.asarray((scores - scores.mean(axis=0)) / np.where(spread > 0, spread, 1), np.float32)
