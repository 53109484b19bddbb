"""Domain of a model: whether a sample resembles the training samples; if not, the model abstains.

Two distances count: along the main directions in which the training samples differ, and the
residual that these directions do not explain. Both are scaled by held-out samples of the same
cohorts, so that one in a hundred of these has a distance above 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load, save
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

Floats = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float32]

MAX_DIRECTIONS: Final = 50
QUANTILE: Final = 0.99
LEAST_MEASURED: Final = 0.7
"""Share of a model's genes that a file must hold; the others are set to their training mean."""


@dataclass(frozen=True)
class Domain:
    """Distribution of the training samples.

    Parameters
    ----------
    mean, spread
        Of each feature, shape (features,); a feature that does not vary has spread 1.
    directions
        Main directions of the standardised features, directions × features.
    variances
        Along each direction.
    limits
        The largest distance that is usual: along the directions, and off them.
    """

    mean: Matrix
    spread: Matrix
    directions: Matrix
    variances: Matrix
    limits: Floats

    def distances(self, features: Matrix, measured: npt.NDArray[np.bool_] | None = None) -> Floats:
        """Distance of each sample, shape (samples,); above 1 it is outside the domain.

        Parameters
        ----------
        features
            Samples × features.
        measured
            Features that count, shape (features,); the others were imputed.
        """
        usual = np.maximum(self.limits, np.finfo(np.float64).tiny)
        far: Floats = (self._both(features, measured) / usual).max(axis=1)
        return far

    def _both(self, features: Matrix, measured: npt.NDArray[np.bool_] | None) -> Floats:
        z = (features.astype(np.float64) - self.mean) / self.spread
        with threadpool_limits(1):
            along = z @ self.directions.T.astype(np.float64)
            rest = z - along @ self.directions
        if measured is not None:
            rest = rest[:, measured]
        return np.stack(
            [
                np.sqrt((along**2 / self.variances).mean(axis=1)),
                np.sqrt((rest**2).mean(axis=1)),
            ],
            axis=1,
        )

    def body(self) -> bytes:
        """The domain as a file."""
        data: bytes = save(
            {
                "mean": self.mean,
                "spread": self.spread,
                "directions": np.ascontiguousarray(self.directions),
                "variances": self.variances,
                "limits": self.limits,
            }
        )
        return data


def read_domain(body: bytes) -> Domain:
    """A domain from its file."""
    return Domain(**load(body))


def fit_domain(trained: Matrix, unseen: Matrix, *, seed: int) -> Domain:
    """Fit a domain: the directions of training samples, and the limits of held-out ones.

    Parameters
    ----------
    trained
        Features of the training samples, samples × features.
    unseen
        Of held-out samples of the same cohorts: they set the limits.

    Raises
    ------
    ValueError
        Without held-out samples.
    """
    if not len(unseen):
        raise ValueError("no samples are held out, and the limits of the domain need them")
    X = trained.astype(np.float64)
    mean, spread = X.mean(axis=0), X.std(axis=0)
    spread[spread == 0] = 1
    k = min(MAX_DIRECTIONS, max(1, len(X) // 5), X.shape[1])
    with threadpool_limits(1):
        pca = PCA(k, svd_solver="randomized", random_state=seed).fit((X - mean) / spread)
    variances = np.maximum(pca.explained_variance_, np.finfo(np.float32).tiny)
    bare = Domain(
        mean.astype(np.float32),
        spread.astype(np.float32),
        pca.components_.astype(np.float32),
        variances.astype(np.float32),
        np.ones(2),
    )
    limits = np.quantile(bare._both(unseen, None), QUANTILE, axis=0, method="higher")
    return Domain(bare.mean, bare.spread, bare.directions, bare.variances, limits)
