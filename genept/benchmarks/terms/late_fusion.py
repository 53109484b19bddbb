"""Late fusion: scores of heads on several representations, each standardised, averaged.

Sparse words, embeddings of text and networks differ in scale and in how strongly a head must be
penalised, so each has a head of its own. Which of them take part is chosen on training folds.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from genept.benchmarks.influence import area

LEAST_GAIN: Final = 0.0005
"""Area that another representation must add on the training folds to be taken in."""

FoldScores = Sequence[NDArray[Any]]
"""Scores of the genes of each test: a fold of a term."""


def mean_score(members: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """Mean of the scores of the same genes by several heads, each with mean 0 and deviation 1."""
    total = np.zeros(len(members[0]))
    for scores in members:
        spread = float(scores.std())
        total += (scores - scores.mean()) / (spread if spread > 0 else 1.0)
    return total / len(members)


def chosen_members(
    scores: Mapping[str, FoldScores], truth: Sequence[NDArray[np.bool_]]
) -> list[str]:
    """The best representation, and those that add to it, one by one, as long as one does.

    Parameters
    ----------
    scores
        By representation, scores of the genes of each test, which its heads did not see.
    truth
        Labels of the genes of each test.

    Returns
    -------
    list of str
        Names, in the order in which they were taken in.
    """

    def value(names: Sequence[str]) -> float:
        fused = (mean_score([scores[name][at] for name in names]) for at in range(len(truth)))
        return float(np.mean([area(own, score) for own, score in zip(truth, fused, strict=True)]))

    chosen: list[str] = []
    best = -np.inf
    while len(chosen) < len(scores):
        tried = {name: value([*chosen, name]) for name in scores if name not in chosen}
        name = max(tried, key=tried.__getitem__)
        if chosen and tried[name] < best + LEAST_GAIN:
            break
        chosen.append(name)
        best = tried[name]
    return chosen
