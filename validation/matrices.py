"""Embedding matrices as a whole: what no look at single rows would show.

Great Expectations is slow on wide matrices, numpy is not. Norms and non-finite
values are the suites' business already.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SAMPLE = 2_000
COLLAPSED = 0.99999
"""Mean cosine above which a space says nothing. Weighted means of thousands of gene vectors
lie close together by construction: .9999 was measured, and diagnoses are still read from it."""
CONSTANT = 1e-6
"""A dimension of unit vectors whose values spread less than this does not vary."""
DEAD = 0.01
"""Share of dimensions that may be constant: all-MiniLM-L6-v2 has three of 384 that are."""
DOUBLED = 0.2


def matrix_findings(name: str, matrix: npt.NDArray[np.float32]) -> tuple[list[str], list[str]]:
    """What is wrong with an embedding matrix, and what is merely odd.

    Parameters
    ----------
    matrix
        Rows × dimensions, unit rows.

    Returns
    -------
    failed, warnings
        Sentences for the person who must act.
    """
    failed: list[str] = []
    warnings: list[str] = []
    if matrix.shape[0] < 2:
        return failed, [f"{name}: {matrix.shape[0]} vectors, too few to judge the space"]
    if not np.isfinite(matrix).all():
        return [f"{name}: values that are not finite"], warnings
    dead = int((np.ptp(matrix, axis=0) < CONSTANT).sum())
    if dead > DEAD * matrix.shape[1]:
        failed.append(f"{name}: {dead} of {matrix.shape[1]} dimensions never vary")
    sample = matrix[:: max(1, matrix.shape[0] // SAMPLE)].astype(np.float64)
    n = sample.shape[0]
    mean_cosine = (float(np.square(sample.sum(axis=0)).sum()) - n) / (n * (n - 1))
    if mean_cosine > COLLAPSED:
        warnings.append(f"{name}: vectors hardly differ (mean cosine {mean_cosine:.7f})")
    doubled = 1 - len(np.unique(matrix, axis=0)) / matrix.shape[0]
    if doubled > DOUBLED:
        warnings.append(f"{name}: {doubled:.1%} of the vectors equal another one")
    return failed, warnings
