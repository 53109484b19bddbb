"""Features that give the label away: a label column that slipped in among the genes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MIN_ROWS = 5


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
