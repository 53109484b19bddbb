"""Who is trained on and who is tested: folds that never cut a group in two.

A group is a patient, donor or cell line. What is fitted on the folds is in
`genept.models.diagnosis` and `genept.models.drug_response`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

Folds = NDArray[np.int64]


class GroupLeakError(ValueError):
    """A group sits on both sides of a split."""


def grouped_folds(
    groups: Sequence[str] | NDArray[np.str_],
    labels: Sequence[str] | NDArray[np.str_] | None,
    n_folds: int,
    seed: int,
) -> Folds:
    """Assign rows to folds so that no group is in two.

    Parameters
    ----------
    groups
        Patient, donor or cell line of each row.
    labels
        If given, folds keep the share of each label as nearly as whole groups allow.

    Returns
    -------
    Folds
        Fold of each row, 0 … `n_folds` − 1.

    Raises
    ------
    ValueError
        For a row without a group or label, for fewer groups than folds, for a label
        in fewer groups than folds (it would be missing from a fold), or if whole
        groups are so unequal that a fold stays empty.
    """
    names = _complete("group", groups)
    n_groups = len(np.unique(names))
    if not 2 <= n_folds <= n_groups:
        raise ValueError(f"{n_folds} folds cannot be made of {n_groups} groups")
    rows = np.zeros((len(names), 1))
    if labels is None:
        parts = GroupKFold(n_folds, shuffle=True, random_state=seed).split(rows, groups=names)
    else:
        classes = _complete("label", labels)
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


def finite_features(features: ArrayLike, n_rows: int) -> NDArray[np.float32]:
    """Return the features as float32, shape (n_rows, d), or say which row is unusable."""
    values = np.asarray(features, dtype=np.float32)
    if values.ndim != 2 or len(values) != n_rows:
        raise ValueError(f"expected features of {n_rows} rows, got shape {values.shape}")
    wrong = ~np.isfinite(values).all(axis=1)
    if wrong.any():
        raise ValueError(
            f"{wrong.sum()} rows have features that are not finite, the first is row "
            f"{np.argmax(wrong)}; leave them out and count them"
        )
    if not np.ptp(values, axis=0).any():
        raise ValueError("the features are the same in every row: nothing can be learnt from them")
    return values


def _complete(what: str, values: Sequence[str] | NDArray[np.str_]) -> NDArray[np.str_]:
    missing = [row for row, value in enumerate(values) if value is None or value == ""]
    if missing:
        raise ValueError(f"{len(missing)} rows have no {what}, the first is row {missing[0]}")
    return np.asarray(values, dtype=np.str_)


def _refuse_rare(labels: NDArray[np.str_], groups: NDArray[np.str_], n_folds: int) -> None:
    if len(labels) != len(groups):
        raise ValueError(f"{len(labels)} labels but {len(groups)} groups")
    names, _ = np.unique(labels, return_counts=True)
    in_groups = {str(name): len(np.unique(groups[labels == name])) for name in names}
    rare = {name: n for name, n in in_groups.items() if n < n_folds}
    if rare:
        listed = ", ".join(f"{name!r} in {n}" for name, n in rare.items())
        raise ValueError(
            f"labels in fewer groups than the {n_folds} folds: {listed}; "
            "leave them out, merge them, or use fewer folds"
        )
