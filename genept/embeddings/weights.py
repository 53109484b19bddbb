"""Expression in any declared unit to the weights of a weighted mean.

GenePT scales counts to 10,000 per cell and takes log1p (Chen & Zou, Methods). TPM and other
abundances are treated alike: they are proportional to counts within an observation.
Values that are logarithms already are weights as they stand, except that what lies
below one unit of abundance (a negative logarithm) weighs nothing. z-scores are not
weights until each observation is shifted so that its lowest gene weighs nothing.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from genept.embeddings.kernel import normalised

TARGET_SUM = 1e4
NOT_NEGATIVE = ("counts", "tpm", "log1p")


def expression_weights(expression: sp.csr_matrix, unit: str) -> sp.csr_matrix:
    """Weights of genes in observations.

    Parameters
    ----------
    expression
        Observations × genes, float32, in `unit`.
    unit
        ``counts``
            Reads or molecules: scaled to 10,000 per observation, log1p.
        ``tpm``
            Any linear abundance (TPM, FPKM, normalised counts): as counts.
        ``log1p``
            Natural logarithm of 1 + normalised abundance: as it is.
        ``log2``
            Binary logarithm of an abundance, with or without an offset: as it is, and 0 below 0.
        ``zscore``
            Standardised by gene: shifted by the observation's lowest value.

    Returns
    -------
    scipy.sparse.csr_matrix
        Same shape, float32, nowhere negative.

    Raises
    ------
    ValueError
        If the unit is unknown, or values are negative that cannot be in this unit.
    """
    if unit in NOT_NEGATIVE and expression.nnz and expression.data.min() < 0:
        raise ValueError(f"{unit} cannot be negative; is the unit right?")
    if unit in ("counts", "tpm"):
        return _log_normalised(expression)
    if unit == "log1p":
        return expression
    if unit == "log2":
        return _clipped(expression)
    if unit == "zscore":
        return _shifted(expression)
    raise ValueError(f"no weighting is defined for unit {unit!r}")


def _log_normalised(counts: sp.csr_matrix) -> sp.csr_matrix:
    weights = normalised(counts, TARGET_SUM)
    np.log1p(weights, out=weights)
    return sp.csr_matrix((weights, counts.indices, counts.indptr), shape=counts.shape)


def _clipped(logarithms: sp.csr_matrix) -> sp.csr_matrix:
    weights = np.maximum(logarithms.data, 0)
    return sp.csr_matrix((weights, logarithms.indices, logarithms.indptr), shape=logarithms.shape)


def _shifted(values: sp.csr_matrix) -> sp.csr_matrix:
    dense = values.toarray()
    return sp.csr_matrix(dense - dense.min(axis=1, keepdims=True))
