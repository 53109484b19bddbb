"""Leaks told from the features: a label among the genes, a profile on two sides of a split.

Neither believes what somebody says of the samples. What the gate makes of it is in
`genept.models.gate_alone`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from genept.models.groups import near_duplicates

MIN_ROWS: Final = 5
SAME: Final = 0.99999
"""Correlation from which a feature is a drug's response: single precision is kept apart by it."""


def label_like_features(
    features: NDArray[np.float32], labels: NDArray[np.str_]
) -> NDArray[np.intp]:
    """Columns that are the label, as a code or as one class against the rest.

    Such a column has no more values than there are classes, and one of these values is that
    of every row of a class (of five rows or more) and of no other row. A measured gene that
    separates two classes varies within them.
    """
    classes, codes = np.unique(labels, return_inverse=True)
    first = np.array([np.argmax(codes == one) for one in range(len(classes))])
    sizes = np.bincount(codes)
    found = np.zeros(features.shape[1], dtype=np.bool_)
    for one in np.flatnonzero(sizes >= MIN_ROWS):
        same = features == features[first[one]]
        found |= (same == (codes == one)[:, None]).all(axis=0)
    candidates = np.flatnonzero(found)
    few = [len(np.unique(features[:, column])) <= len(classes) for column in candidates]
    return candidates[np.asarray(few, dtype=np.bool_)]


def response_like_features(
    features: NDArray[np.float32], responses: NDArray[np.float64]
) -> NDArray[np.intp]:
    """Columns that are some drug's responses, or whether a line is sensitive to it.

    Whatever their scale and sign; of drugs that were measured in five lines or more.

    Parameters
    ----------
    features
        Lines × columns.
    responses
        Lines × drugs, less each drug's mean; NaN where nothing was measured.
    """
    measured = np.isfinite(responses)
    enough = measured.sum(axis=0) >= MIN_ROWS
    measured = measured[:, enough].astype(np.float64)
    X = features.astype(np.float64)
    X -= X.mean(axis=0)
    n = measured.sum(axis=0)[:, None]
    sums, squares = measured.T @ X, measured.T @ X**2
    spread = squares - sums**2 / n
    found = np.zeros(features.shape[1], dtype=np.bool_)
    values = np.nan_to_num(responses[:, enough])
    for of in (values, np.sign(values)):
        total, own = of.sum(axis=0)[:, None], (of**2).sum(axis=0)[:, None]
        both = np.maximum(spread * (own - total**2 / n), np.finfo(np.float64).tiny)
        found |= (np.abs(of.T @ X - total * sums / n) > SAME * np.sqrt(both)).any(axis=0)
    return np.flatnonzero(found)


def cut_duplicates(
    ids: Sequence[str] | NDArray[np.str_], profiles: NDArray[Any], side: NDArray[np.int64]
) -> tuple[str, ...]:
    """Pairs of nearly equal profiles on two sides of a split: one patient under two ids.

    Parameters
    ----------
    side
        Of each row: its fold, or another number for the holdout.
    """
    pairs = near_duplicates(profiles)
    cut = pairs[side[pairs[:, 0]] != side[pairs[:, 1]]]
    return tuple(f"{ids[one]} and {ids[other]}" for one, other in cut)
