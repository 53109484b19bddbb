"""Predict a drug's profile over cell lines from those of similar drugs: kernel ridge regression.

A profile is the response beyond the mean of the drug and that of the line. How alike drugs are is
in `genept.models.unscreened_drugs.drug_kernels`; what the predictions are worth is in
`genept.models.unscreened_drugs.unscreened_scores`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV

from genept.models.drug_response import (
    PENALTIES,
    Floats,
    Matrix,
    ResponsePairs,
    principal_components,
)
from genept.models.unscreened_drugs.drug_kernels import DrugVariant

Flags = NDArray[np.bool_]
Indices = NDArray[np.intp]
LEAST_DRUGS: Final = 5
"""Drugs of the training below which nothing is predicted."""

LEAST_LINES: Final = 30
"""Lines that a drug must be measured in, to be learnt from or scored."""

SEED: Final = 0
_SMALLEST: Final = 1e-12


@dataclass(frozen=True)
class Responses:
    """Responses of cell lines to drugs, as deviations from the drug's mean.

    Parameters
    ----------
    deviation
        In ln(µM), shape (drugs, lines); 0 where nothing was measured.
    measured
        Whether it was measured, shape (drugs, lines).
    """

    deviation: Floats
    measured: Flags

    @classmethod
    def of(cls, pairs: ResponsePairs, n_drugs: int, n_lines: int) -> Responses:
        """Lay measured pairs out as a table."""
        value, measured = np.zeros((n_drugs, n_lines)), np.zeros((n_drugs, n_lines), dtype=np.bool_)
        value[pairs.drug, pairs.line], measured[pairs.drug, pairs.line] = pairs.value, True
        return cls._centred(value, measured)

    @classmethod
    def _centred(cls, value: Floats, measured: Flags) -> Responses:
        mean = value.sum(axis=1) / np.maximum(measured.sum(axis=1), 1)
        return cls(np.where(measured, value - mean[:, None], 0), measured)

    def take(self, drugs: Indices | Flags) -> Responses:
        """Those of some drugs."""
        return Responses(self.deviation[drugs], self.measured[drugs])

    def on_lines(self, lines: Indices | Flags) -> Responses:
        """Those of some lines; means are of these lines."""
        return self._centred(self.deviation[:, lines], self.measured[:, lines])

    def line_means(self, drugs: Indices) -> Floats:
        """Mean deviation of each line over some drugs; 0 for a line without one, shape (lines,)."""
        count = self.measured[drugs].sum(axis=0)
        return np.asarray(self.deviation[drugs].sum(axis=0) / np.maximum(count, 1))

    def profiles(self, drugs: Indices) -> Floats:
        """Deviations of some drugs from their mean over these drugs, by line.

        Each profile is in units of its own standard deviation, so that a drug of which all lines
        differ strongly does not weigh more; shape (len(drugs), lines).
        """
        measured = self.measured[drugs]
        beyond = np.where(measured, self.deviation[drugs] - self.line_means(drugs), 0)
        spread = np.sqrt((beyond**2).sum(axis=1) / np.maximum(measured.sum(axis=1), 1))
        return np.asarray(beyond / np.where(spread > _SMALLEST, spread, 1)[:, None])

    def correlation(self, drug: int, line_means: Floats, predicted: Floats) -> float:
        """Pearson's r of a drug's profile and its prediction over the measured lines.

        Parameters
        ----------
        drug
            Number of the drug.
        line_means
            Of the drugs of the training, shape (lines,).
        predicted
            Shape (lines,).

        Returns
        -------
        float
            0 for a prediction that is the same for all lines.
        """
        seen = self.measured[drug]
        truth, guess = self.deviation[drug, seen] - line_means[seen], predicted[seen]
        truth, guess = truth - truth.mean(), guess - guess.mean()
        length = np.sqrt((truth @ truth) * (guess @ guess))
        return float(truth @ guess / length) if length > _SMALLEST else 0.0


def weights_of(kernel: Floats, training: Indices, asked: Indices, variant: DrugVariant) -> Floats:
    """Weights of the training drugs in each prediction.

    Parameters
    ----------
    kernel
        Similarities, shape (n, n).
    training, asked
        Numbers of drugs.
    variant
        Gives the penalty, and the constant that is added to every similarity.

    Returns
    -------
    NDArray
        Shape (len(asked), len(training)).
    """
    to_asked = kernel[np.ix_(training, asked)] + variant.constant
    return np.asarray(np.linalg.solve(_penalised(kernel, training, variant), to_asked).T)


def _penalised(kernel: Floats, training: Indices, variant: DrugVariant) -> Floats:
    own = kernel[np.ix_(training, training)] + variant.constant
    return np.asarray(own + variant.penalty * np.eye(len(training)))


def weights_without(inverse: Floats, to_asked: Floats, kept: Flags) -> Floats:
    """Weights in a prediction of a fit from which some training drugs were taken out afterwards.

    By the inverse of a block matrix, so that no other system is solved for each drug.

    Parameters
    ----------
    inverse
        Inverse of the penalised similarities of the training drugs, shape (n, n).
    to_asked
        Similarities of the training drugs to the one that is asked about, shape (n,).
    kept
        Which training drugs are kept, shape (n,).

    Returns
    -------
    NDArray
        Shape (n,); 0 for a drug that was taken out.
    """
    out = np.flatnonzero(~kept)
    weights = inverse @ np.where(kept, to_asked, 0)
    weights -= inverse[:, out] @ np.linalg.solve(inverse[np.ix_(out, out)], weights[out])
    return np.where(kept, weights, 0)


def inverse_of(kernel: Floats, training: Indices, variant: DrugVariant) -> Floats:
    """Inverse of the penalised similarities of training drugs, shape (n, n)."""
    return np.asarray(np.linalg.inv(_penalised(kernel, training, variant)))


def left_out_correlations(
    kernel: Floats,
    responses: Responses,
    training: Indices,
    variant: DrugVariant,
    together: Flags,
) -> Floats:
    """Score every training drug by a fit without it and without those that go with it.

    By the identity for leaving out a block: what is left out is predicted from one inverse.

    Parameters
    ----------
    kernel
        Similarities, shape (n, n).
    responses
        Those of the n drugs.
    training
        Numbers of the drugs.
    variant
        As in `weights_of`.
    together
        Which drugs are left out with each, itself among them, shape (n, n).

    Returns
    -------
    NDArray
        Correlations, shape (len(training),).
    """
    profiles, means = responses.profiles(training), responses.line_means(training)
    inverse = inverse_of(kernel, training, variant)
    coefficients = inverse @ profiles
    result = np.zeros(len(training))
    for at, drug in enumerate(training):
        block = np.flatnonzero(together[drug, training])
        error = np.linalg.solve(inverse[np.ix_(block, block)], coefficients[block])
        place = int(np.searchsorted(block, at))
        result[at] = responses.correlation(drug, means, profiles[at] - error[place])
    return result


def best_kernel(
    kernels: Mapping[str, Floats],
    candidates: Sequence[str],
    responses: Responses,
    training: Indices,
    variant: DrugVariant,
    together: Flags,
) -> str:
    """Choose by what drugs are compared: the candidate that predicts training drugs best.

    Parameters
    ----------
    kernels
        Similarities by name.
    candidates
        Names to choose among; those without a kernel are left out.
    responses, training, variant, together
        As in `left_out_correlations`.

    Returns
    -------
    str
        The name; the first of several that are equally good.

    Raises
    ------
    ValueError
        There is none of the candidates.
    """
    scores = {
        name: left_out_correlations(kernels[name], responses, training, variant, together).mean()
        for name in candidates
        if name in kernels
    }
    if not scores:
        raise ValueError(f"drugs can be compared by none of {', '.join(candidates)}")
    return max(scores, key=lambda name: scores[name])


def carried_over(features: Matrix, seen: Flags, profiles: Floats) -> Floats:
    """Carry profiles over to lines in which nothing was measured, by their expression.

    Parameters
    ----------
    features
        Expression, shape (lines, genes).
    seen
        Which lines the profiles are of, shape (lines,).
    profiles
        Shape (drugs, seen lines).

    Returns
    -------
    NDArray
        Shape (drugs, other lines).
    """
    components = principal_components(features, seen, standardised=True, seed=SEED)
    Z = components[seen]
    unit = float((Z**2).sum() / Z.shape[1]) or 1.0
    ridge = RidgeCV(alphas=PENALTIES * unit, alpha_per_target=True).fit(Z, profiles.T)
    return np.asarray(ridge.predict(components[~seen]).reshape(-1, len(profiles)).T)
