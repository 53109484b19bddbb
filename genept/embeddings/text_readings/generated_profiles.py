"""Profiles over genes that are generated for a text, with uncertainty; never a measurement.

Which direction a text has among labelled types is `type_profiles`; files of profiles are written
in `genept.client`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from genept.embeddings.text_readings.type_profiles import TypeProfiles

Floats = NDArray[np.float64]

NORMAL_95: Final = 1.96

_SMALLEST: Final = 1e-9


@dataclass(frozen=True)
class GeneratedProfile:
    """A profile that was generated for a text; NaN for a gene that too few observations express.

    Parameters
    ----------
    deviation
        From the mean of the types, in deviations of each gene over observations, (n_genes,).
    error
        Deviation of the error of each, from types left out.
        NaN where no types were labelled: `deviation` then only ranks the genes.
    expected, low, high
        The same in the unit that expression is compared in (`expression_weights`): natural
        logarithm of 1 + counts per 10,000 where counts are measured; with a 95 % interval.
    """

    deviation: Floats
    error: Floats
    expected: Floats
    low: Floats
    high: Floats


def generate_profile(of: TypeProfiles, text: Floats, similarity: Floats) -> GeneratedProfile:
    """Generate a profile over genes for a text.

    Parameters
    ----------
    of
        Profiles of labelled types.
    text
        Vector of the text (`text_vectors`), (dimensions,).
    similarity
        Of each gene with the text, (n_genes,); NaN without a description.

    Returns
    -------
    GeneratedProfile
        With uncertainty.
    """
    if not of.types:
        unknown = np.full(of.scale.mean.shape, np.nan)
        return GeneratedProfile(
            np.where(of.scale.spread > 0, of.direction(text, similarity), np.nan), *[unknown] * 4
        )
    size, error = (np.where(of.scale.spread > 0, value, np.nan) for value in of.error)
    deviation = size * of.direction(text, similarity)
    expected, low, high = (
        _in_unit(of, of.centre + deviation + sign * NORMAL_95 * error) for sign in (0, -1, 1)
    )
    return GeneratedProfile(deviation, error, expected, low, high)


def measured_of(of: TypeProfiles, at: int) -> Floats:
    """What was measured of a labelled type, to stand beside a generated profile.

    Parameters
    ----------
    of
        Profiles of labelled types.
    at
        Which one.

    Returns
    -------
    NDArray of float64
        Mean of each gene, in the unit of `GeneratedProfile.expected`; NaN where that is NaN.
    """
    return _in_unit(of, np.where(of.scale.spread > 0, of.means[at], np.nan))


def _in_unit(of: TypeProfiles, standardised: Floats) -> Floats:
    least = -np.inf if of.scale.unit == "zscore" else 0.0
    return np.asarray(np.maximum(of.scale.mean + of.scale.spread * standardised, least))


def profile_similarity(of: TypeProfiles, deviation: Floats, expression: sp.csr_matrix) -> Floats:
    """Correlation of observations with a profile, both less the mean of the types.

    Parameters
    ----------
    of
        Profiles of labelled types.
    deviation
        A profile's deviation from the mean of the types, (n_genes,).
    expression
        Observations × genes, in the unit of the scale.

    Returns
    -------
    NDArray of float64
        One for each observation.
    """
    z = of.scale.deviations(expression)
    base = of.scale.absent - of.centre
    varies = of.scale.spread > 0
    n = max(int(varies.sum()), 1)
    base, profile = np.where(varies, base, 0), np.where(varies, deviation, 0)
    profile = np.where(varies, profile - profile.sum() / n, 0)
    total = np.asarray(z.sum(axis=1)).ravel() + base.sum()
    squares = np.asarray(z.multiply(z).sum(axis=1)).ravel() + 2 * (z @ base) + base @ base
    spread = np.sqrt(np.maximum(squares - total**2 / n, _SMALLEST))
    return np.asarray((z @ profile + base @ profile) / spread / max(
        float(np.linalg.norm(profile)), _SMALLEST
    ))  # fmt: skip
