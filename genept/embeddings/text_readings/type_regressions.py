"""How much each observation is of each labelled type, by all that it expresses.

Two views of an observation are judged by a logistic regression each: its genes one by one, and the
leading directions of expression, its own beside those of its neighbours. Settings were chosen on
training lanes of pbmc-hao (docs/text_and_expression.md). Texts are matched in `text_maps`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from genept.embeddings.text_readings.directions import Decomposition, decompose
from genept.embeddings.text_readings.text_maps import FEWEST_OF_TYPE, fit_text_map

Floats = NDArray[np.float64]

DIRECTIONS: Final = 50
"""Leading directions of expression of the second view."""

OF_GENES: Final = 0.003
"""Inverse penalty of the regression on genes."""

OF_DIRECTIONS: Final = 0.03
"""Inverse penalty of the regression on directions."""

MOST_FITTED: Final = 2_000
"""Observations that are fitted on, shared among the types: of larger types as many are drawn."""

_AT_ONCE: Final = 2_048


def type_probabilities(
    expression: sp.csr_matrix,
    unit: str,
    labels: NDArray[np.str_],
    types: Sequence[str],
    *,
    fitted: NDArray[np.bool_] | None = None,
    seed: int = 0,
) -> Floats:
    """Estimate how likely each observation is of each type; types weigh the same.

    Parameters
    ----------
    expression
        Observations × genes, in `unit`.
    unit
        Unit of the values.
    labels
        Of each observation; those that are not among the types take no part in the fit.
    types
        Labels to fit on, each with at least `FEWEST_OF_TYPE` observations.
    fitted
        Observations that may be fitted on; None: all. Directions are those of all observations.
    seed
        Of the decomposition, and of the observations that are drawn.

    Returns
    -------
    NDArray of float64
        Observations × types; rows sum to 1.

    Raises
    ------
    ValueError
        For fewer than two types, or a type with too few observations.
    """
    found = decompose(expression, unit, DIRECTIONS, seed=seed)
    directions = np.hstack([found.smoothed(found.left), found.left])
    usable = np.ones(len(labels), np.bool_) if fitted is None else fitted
    drawn = _drawn(labels, types, usable, seed)
    nothing = np.zeros((len(types), 0))
    of = labels[drawn]
    by_direction = fit_text_map(
        directions[drawn], of, types, nothing, inverse_penalty=OF_DIRECTIONS
    )
    genes = _genes(found, expression, drawn, unit)
    by_gene = fit_text_map(genes, of, types, nothing, inverse_penalty=OF_GENES)
    likely = by_direction.types_of(directions)
    for first in range(0, len(labels), _AT_ONCE):
        rows = np.arange(first, min(first + _AT_ONCE, len(labels)))
        likely[rows] += by_gene.types_of(_genes(found, expression, rows, unit))
    return np.asarray(likely / 2)


def _genes(
    found: Decomposition, expression: sp.csr_matrix, rows: NDArray[np.intp], unit: str
) -> Floats:
    return np.asarray(found.deviations(sp.csr_matrix(expression[rows]), unit), np.float64)


def _drawn(
    labels: NDArray[np.str_], types: Sequence[str], usable: NDArray[np.bool_], seed: int
) -> NDArray[np.intp]:
    """Numbers of the observations that are fitted on, in order."""
    rng = np.random.default_rng(seed)
    most = max(MOST_FITTED // max(len(types), 1), FEWEST_OF_TYPE)
    chosen = [np.zeros(0, np.intp)]
    for name in types:
        of_type = np.flatnonzero((labels == name) & usable)
        few = len(of_type) <= most
        chosen.append(of_type if few else rng.choice(of_type, most, replace=False))
    return np.sort(np.concatenate(chosen))
