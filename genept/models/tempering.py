"""Probabilities that can be believed: a temperature, and some doubt about every answer.

Heads are too sure of themselves, and labels are wrong now and then: a temperature flattens what
a head says (Guo et al., On Calibration of Modern Neural Networks, ICML 2017), and a share of
doubt is spread over all classes, so that no answer is certain. The likeliest class stays the same.
Both are fitted to targets that are short of certain, in the way of Platt (Probabilistic Outputs
for Support Vector Machines, 1999): n samples without an error do not prove that there is none.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

Floats = NDArray[np.float64]

SMALLEST: Final = 1e-300
_DOUBTS: Final = (0.0, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12)


class Tempering(NamedTuple):
    """How probabilities are calibrated.

    Parameters
    ----------
    temperature
        Above 1 flattens them, below 1 sharpens them.
    doubt
        Share that is spread evenly over all classes.
    floor
        Least probability of a head that is told from none.
    """

    temperature: float = 1.0
    doubt: float = 0.0
    floor: float = SMALLEST


def tempered(shares: Floats, tempering: Tempering) -> Floats:
    """Calibrated probabilities, rows × classes."""
    scores = np.log(np.maximum(shares, tempering.floor)) / tempering.temperature
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    flat: Floats = raised / raised.sum(axis=1, keepdims=True)
    doubted: Floats = (1 - tempering.doubt) * flat + tempering.doubt / shares.shape[1]
    return doubted


def fit_tempering(shares: Floats, truth: NDArray[np.intp]) -> Tempering:
    """The tempering at which out-of-fold probabilities are likeliest.

    Of n rows each counts as right with 1 − 1 / (n + 2), the rule of succession; the other
    classes share the rest.

    Parameters
    ----------
    shares
        Of rows that the model did not see, rows × classes.
    truth
        Column of each row's own class.
    """
    n, k = shares.shape
    target = np.full((n, k), 1 / (n + 2) / max(k - 1, 1))
    target[np.arange(n), truth] = 1 - 1 / (n + 2)

    def surprise(log_temperature: float, doubt: float) -> float:
        found = tempered(shares, Tempering(float(np.exp(log_temperature)), doubt))
        return float(-(target * np.log(np.maximum(found, SMALLEST))).sum(axis=1).mean())

    best = [
        (
            minimize_scalar(
                surprise, bounds=(-3.0, 6.0), args=(doubt,), method="bounded",
                options={"xatol": 1e-4},
            ),
            doubt,
        )
        for doubt in _DOUBTS
    ]  # fmt: skip
    found, doubt = min(best, key=lambda one: float(one[0].fun))
    return Tempering(float(np.exp(found.x)), doubt)
