"""Which unit the values of a table prove, and which they leave open."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from genept.collections.preflight import UnitFinding, detect_unit

SAMPLES, GENES = 40, 300


def counts(seed: int = 0) -> np.ndarray:
    """Counts of samples of different depth; a third of them are zero."""
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.5, 2, (SAMPLES, 1))
    return rng.poisson(rng.gamma(0.6, 20, (1, GENES)) * depth).astype(float)


def per(total: float) -> np.ndarray:
    values = counts()
    return values / values.sum(axis=1, keepdims=True) * total


def quantile_normalised() -> np.ndarray:
    """The same values in every sample, in another order: what RMA makes of microarrays."""
    rng = np.random.default_rng(1)
    values = np.sort(rng.uniform(2, 14, GENES))
    return np.stack([rng.permutation(values) for _ in range(SAMPLES)])


def found(values: np.ndarray) -> UnitFinding:
    return detect_unit(sp.csr_matrix(values.astype(np.float32)))


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        (counts(), "counts"),
        (per(1e6), "tpm"),
        (per(1e6)[:1], "tpm"),
        (np.log1p(per(1e4)), "log1p"),
        (np.log2(1 + per(1e6)), "log2"),
    ],
    ids=["counts", "tpm", "tpm of one sample", "scanpy", "log2 of TPM"],
)
def test_what_the_values_prove(values, unit):
    finding = found(values)
    assert (finding.possible, finding.is_certain) == ((unit,), True)


@pytest.mark.parametrize(
    ("values", "likeliest"),
    [
        (counts() / 3, "tpm"),
        (counts() * 1.07, "tpm"),
        (per(1e4), "tpm"),
        (per(1e6)[:, :150], "tpm"),
        (counts() / counts().max(), "log2"),
        (np.log1p(counts()), "log2"),
        (np.log1p(per(1e4))[:, :40], "log2"),
        (quantile_normalised(), "log2"),
        (np.log2(counts() / 9 + 0.1), "zscore"),
        (np.round(per(1e6)), "tpm"),
        (np.zeros((3, 4)), None),
    ],
    ids=[
        "a third of counts", "scaled counts", "to ten thousand", "TPM of some genes", "fractions",
        "log1p of counts", "scanpy of some genes", "quantile-normalised", "log ratios",
        "whole TPM", "zeros",
    ],
)  # fmt: skip
def test_what_the_values_leave_open_is_not_certain(values, likeliest):
    finding = found(values)
    assert not finding.is_certain
    assert finding.possible[:1] == ((likeliest,) if likeliest else ())


def test_the_zeros_are_part_of_the_range():
    assert found(counts()).seen.startswith("values from 0 to ")
    assert found(counts() + 2).seen.startswith("values from 2 to ")
