"""What means alone predict of a drug's effect on a cell line: the six naive predictors.

As in DrEval (Nat Commun 2026). A model is worth what it adds to these; scores subtract
`mean_effects`, which otherwise makes any model look good.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]
MEAN_EFFECTS: Final = "mean-effects"
DRUG_MEAN: Final = "drug-mean"
TISSUE_DRUG_MEAN: Final = "tissue-drug-mean"
LINE_MEAN: Final = "cell-line-mean"


@dataclass(frozen=True)
class Pairs:
    """Measured pairs of a line and a drug, one entry per pair.

    `tissue` is that of the line; `value` is in ln(µM).
    """

    line: Codes
    drug: Codes
    tissue: Codes
    value: Floats

    def take(self, rows: NDArray[np.bool_]) -> Pairs:
        """Some of the pairs."""
        return Pairs(self.line[rows], self.drug[rows], self.tissue[rows], self.value[rows])


def _means(codes: Codes, train: NDArray[np.bool_], values: Floats, otherwise: Floats) -> Floats:
    """Mean over the training pairs of each pair's own code; `otherwise` where there are none."""
    n = int(codes.max()) + 1
    counts = np.bincount(codes[train], minlength=n)
    sums = np.bincount(codes[train], values[train], minlength=n)
    means = np.divide(sums, counts, out=np.zeros(n), where=counts > 0)
    return np.where(counts[codes] > 0, means[codes], otherwise)


def _global(pairs: Pairs, train: NDArray[np.bool_]) -> Floats:
    return np.full(len(pairs.value), pairs.value[train].mean())


def _drug(pairs: Pairs, train: NDArray[np.bool_]) -> Floats:
    return _means(pairs.drug, train, pairs.value, _global(pairs, train))


def _line(pairs: Pairs, train: NDArray[np.bool_]) -> Floats:
    return _means(pairs.line, train, pairs.value, _global(pairs, train))


def _tissue(pairs: Pairs, train: NDArray[np.bool_]) -> Floats:
    return _means(pairs.tissue, train, pairs.value, _global(pairs, train))


def _tissue_drug(pairs: Pairs, train: NDArray[np.bool_]) -> Floats:
    both = pairs.tissue * (int(pairs.drug.max()) + 1) + pairs.drug
    return _means(both, train, pairs.value, _drug(pairs, train))


def _mean_effects(pairs: Pairs, train: NDArray[np.bool_]) -> Floats:
    """Global mean, plus the line's and the drug's deviations from it, where they are known."""
    overall = _global(pairs, train)
    return _drug(pairs, train) + _line(pairs, train) - overall


NAIVE: Final[dict[str, Callable[[Pairs, NDArray[np.bool_]], Floats]]] = {
    "global-mean": _global,
    DRUG_MEAN: _drug,
    LINE_MEAN: _line,
    "tissue-mean": _tissue,
    TISSUE_DRUG_MEAN: _tissue_drug,
    MEAN_EFFECTS: _mean_effects,
}
"""By name, from the training pairs to a prediction of every pair."""
