"""Splits that keep groups whole: which rows belong together, folds of them, and leaks.

Rows of one patient, line or donor belong together, and those of nearly the same profile. Leaks are
a group on two sides of a split, a label among the features, or a profile on two sides. The holdout
and frozen folds are in `genept.models.holdout`.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.csgraph import connected_components
from scipy.stats import rankdata
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

NEAR_DUPLICATE: Final = 0.99
"""Least Spearman's correlation from which two profiles count as one sample measured twice."""

SURELY_DUPLICATE: Final = 0.9999
"""Correlation from which they do so in every cohort."""

SHARE_OF_DUPLICATES: Final = 0.1
"""Largest share of a cohort's samples that may be duplicates of another patient's: what more of
them have, independent samples have, too."""

BLOCK: Final = 1024

MIN_ROWS: Final = 5

SAME: Final = 0.99999
"""Correlation from which a feature equals a drug's response, up to single precision."""

Pairs = NDArray[np.intp]
Folds = NDArray[np.int64]
Names = Sequence[str] | NDArray[np.str_]
Matrix = NDArray[np.float32]


class GroupLeakError(ValueError):
    """A group sits on both sides of a split."""


def near_duplicates(
    profiles: NDArray[Any] | sp.csr_matrix, threshold: float = NEAR_DUPLICATE
) -> Pairs:
    """Pairs of rows whose profiles correlate (Spearman) at the threshold or above.

    Works block by block: memory is that of the ranks and of one block of correlations. A
    constant row correlates with nothing. The smaller row of a pair is first, shape (pairs, 2).
    """
    return _correlated(profiles, threshold)[0]


def cohort_duplicates(
    profiles: NDArray[Any] | sp.csr_matrix, members: Names
) -> tuple[Pairs, float]:
    """Pairs of near duplicates, and the correlation from which a pair is one in this cohort.

    In a homogeneous tissue independent samples correlate above `NEAR_DUPLICATE`, and would be
    chained into large groups. The threshold is raised until at most `SHARE_OF_DUPLICATES` of the
    samples have a duplicate of another member, but not above `SURELY_DUPLICATE`.

    Parameters
    ----------
    profiles
        Samples × genes.
    members
        Patient or line of each sample, as published.
    """
    pairs, correlations = _correlated(profiles, NEAR_DUPLICATE)
    names = np.asarray(members, dtype=np.str_)
    others = names[pairs[:, 0]] != names[pairs[:, 1]]
    nearest = np.zeros(len(names))
    for side in (0, 1):
        np.maximum.at(nearest, pairs[others, side], correlations[others])
    allowed = int(SHARE_OF_DUPLICATES * len(names))
    beyond = float(np.sort(nearest)[::-1][allowed]) if len(names) else 0.0
    threshold = NEAR_DUPLICATE
    if beyond > 0:
        threshold = min(float(np.nextafter(np.float32(beyond), np.float32(2))), SURELY_DUPLICATE)
    return pairs[correlations >= np.float32(threshold)], threshold


def _correlated(
    profiles: NDArray[Any] | sp.csr_matrix, threshold: float
) -> tuple[Pairs, NDArray[np.float32]]:
    """Pairs of rows that correlate at least so much, and how much."""
    ranks = np.concatenate([*_standardised_ranks(profiles)])
    pairs, correlations = [np.empty((0, 2), np.intp)], [np.empty(0, np.float32)]
    for start in range(0, len(ranks), BLOCK):
        block = ranks[start : start + BLOCK] @ ranks[start:].T
        first, second = np.nonzero(block >= np.float32(threshold))
        later = second > first
        pairs.append(np.stack([first[later], second[later]], axis=1) + start)
        correlations.append(block[first[later], second[later]])
    return np.concatenate(pairs), np.concatenate(correlations)


def _standardised_ranks(profiles: NDArray[Any] | sp.csr_matrix) -> Iterator[NDArray[np.float32]]:
    """Ranks within each row, centred and of unit length, so that a product is a correlation."""
    for start in range(0, profiles.shape[0], BLOCK):
        block = profiles[start : start + BLOCK]
        ranks = rankdata(block if isinstance(block, np.ndarray) else block.toarray(), axis=1)
        ranks -= ranks.mean(axis=1, keepdims=True)
        norms = np.linalg.norm(ranks, axis=1, keepdims=True)
        yield (ranks / np.where(norms > 0, norms, 1)).astype(np.float32)


def connected_groups(
    *columns: Sequence[str | None], duplicates: Pairs | None = None
) -> NDArray[np.str_]:
    """Name the connected component of each row.

    Parameters
    ----------
    columns
        Patient, donor, cell line …: rows that share a value in any column belong together.
        The first column must be complete; nothing is tied together by a missing value.
    duplicates
        Pairs of rows that belong together whatever their columns say.

    Returns
    -------
    NDArray[np.str_]
        For each row the smallest value that the first column has in its component: a name
        that depends neither on the order of rows nor on their number.
    """
    n = len(columns[0])
    if any(len(column) != n for column in columns):
        raise ValueError(f"columns of {[len(column) for column in columns]} rows: give one length")
    names = complete("group", columns[0])
    edges = [np.empty((0, 2), dtype=np.intp) if duplicates is None else duplicates]
    for column in columns:
        first_row: dict[str, int] = {}
        tied = [
            (first_row.setdefault(value, row), row)
            for row, value in enumerate(column)
            if value is not None and value != ""
        ]
        edges.append(np.asarray(tied, dtype=np.intp).reshape(-1, 2))
    left, right = np.concatenate(edges).T
    graph = sp.coo_matrix((np.ones(len(left), dtype=np.int8), (left, right)), shape=(n, n))
    _, component = connected_components(graph, directed=False)
    order = np.lexsort((names, component))
    starts = np.flatnonzero(np.diff(component[order], prepend=-1))
    smallest: NDArray[np.str_] = names[order][starts][component]
    return smallest


def complete(what: str, values: Sequence[str | None] | NDArray[np.str_]) -> NDArray[np.str_]:
    """The values as an array; raises ValueError if one is missing."""
    if missing := [row for row, value in enumerate(values) if value is None or value == ""]:
        raise ValueError(f"{len(missing)} rows have no {what}, the first is row {missing[0]}")
    return np.asarray(values, dtype=np.str_)


def refuse_group_leak(groups: ArrayLike, folds: ArrayLike) -> None:
    """Raise `GroupLeakError` if any group has rows in two folds."""
    names, codes = np.unique(np.asarray(groups), return_inverse=True)
    fold = np.asarray(folds)
    first = fold[np.unique(codes, return_index=True)[1]]
    leaking = names[np.unique(codes[fold != first[codes]])]
    if len(leaking):
        raise GroupLeakError(
            f"{len(leaking)} groups have rows in more than one fold, such as {leaking[0]!s}: "
            "make the folds with grouped_folds"
        )


def grouped_folds(groups: Names, labels: Names | None, n_folds: int, seed: int) -> Folds:
    """Assign rows to folds so that no group is in two.

    With labels, folds keep the share of each label as nearly as whole groups allow. The same seed
    and rows give the same folds, numbered from 0.

    Raises
    ------
    ValueError
        For a row without a group or label, for fewer groups than folds, for a label
        in fewer groups than folds (it would be missing from a fold), or if whole
        groups are so unequal that a fold stays empty.
    """
    names = complete("group", groups)
    n_groups = len(np.unique(names))
    if not 2 <= n_folds <= n_groups:
        raise ValueError(f"{n_folds} folds cannot be made of {n_groups} groups")
    rows = np.zeros((len(names), 1))
    if labels is None:
        parts = GroupKFold(n_folds, shuffle=True, random_state=seed).split(rows, groups=names)
    else:
        classes = complete("label", labels)
        _refuse_rare(classes, names, n_folds)
        splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
        parts = splitter.split(rows, classes, names)
    folds = np.empty(len(names), dtype=np.int64)
    for fold, (_, test) in enumerate(parts):
        folds[test] = fold
    if len(np.unique(folds)) < n_folds:
        raise ValueError(
            f"the {n_groups} groups are too unequal in size for {n_folds} folds: "
            "one stays empty; use fewer folds"
        )
    refuse_group_leak(names, folds)
    return folds


def _refuse_rare(labels: NDArray[np.str_], groups: NDArray[np.str_], n_folds: int) -> None:
    if len(labels) != len(groups):
        raise ValueError(f"{len(labels)} labels but {len(groups)} groups")
    pairs = sorted(set(zip(labels.tolist(), groups.tolist(), strict=True)))
    in_groups = Counter(label for label, _ in pairs)
    if rare := [f"{name!r} in {n}" for name, n in in_groups.items() if n < n_folds]:
        listed = ", ".join(rare)
        raise ValueError(
            f"labels in fewer groups than the {n_folds} folds: {listed}; "
            "leave them out, merge them, or use fewer folds"
        )


def cut_duplicates(
    ids: Names, profiles: NDArray[Any], side: NDArray[np.int64], threshold: float = NEAR_DUPLICATE
) -> tuple[str, ...]:
    """Pairs of nearly equal profiles on two sides of a split: one patient under two ids.

    `side` is the fold of each row, or another number for the holdout; `threshold` that of the whole
    cohort. A pair is named by both ids, such as ``A and B``.
    """
    pairs = near_duplicates(profiles, threshold)
    cut = pairs[side[pairs[:, 0]] != side[pairs[:, 1]]]
    return tuple(f"{ids[first]} and {ids[second]}" for first, second in cut)


def label_like_features(features: Matrix, labels: NDArray[np.str_]) -> NDArray[np.intp]:
    """Columns that are the label, as a code or as one class against the rest.

    Such a column has no more values than there are classes, and one of these values is that
    of every row of a class (of five rows or more) and of no other row. A measured gene that
    separates two classes varies within them. Positions ascend.
    """
    classes, codes = np.unique(labels, return_inverse=True)
    first = np.array([np.argmax(codes == code) for code in range(len(classes))])
    sizes = np.bincount(codes)
    is_label = np.zeros(features.shape[1], dtype=np.bool_)
    for code in np.flatnonzero(sizes >= MIN_ROWS):
        same = features == features[first[code]]
        is_label |= (same == (codes == code)[:, None]).all(axis=0)
    candidates = np.flatnonzero(is_label)
    few = [len(np.unique(features[:, column])) <= len(classes) for column in candidates]
    return candidates[np.asarray(few, dtype=np.bool_)]


def response_like_features(features: Matrix, responses: NDArray[np.float64]) -> NDArray[np.intp]:
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
    is_response = np.zeros(features.shape[1], dtype=np.bool_)
    values = np.nan_to_num(responses[:, enough])
    for of in (values, np.sign(values)):
        total, own = of.sum(axis=0)[:, None], (of**2).sum(axis=0)[:, None]
        both = np.maximum(spread * (own - total**2 / n), np.finfo(np.float64).tiny)
        is_response |= (np.abs(of.T @ X - total * sums / n) > SAME * np.sqrt(both)).any(axis=0)
    return np.flatnonzero(is_response)
