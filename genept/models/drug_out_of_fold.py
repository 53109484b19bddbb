"""What models that did not see a line say of its pairs: response, interval, abstention, class.

Who is asked about what is `genept.models.drug_retraining`'s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.pipeline import Pipeline

from genept.models.drug_pipeline import CLASSES, pair_shares, predict_pairs
from genept.models.naive import Floats
from genept.models.screen_rows import Mask, ScreenRows


@dataclass(frozen=True)
class OutOfFold:
    """Predictions of pairs by models that did not see their group, one entry per pair.

    Parameters
    ----------
    prediction, reach
        Response, and half the width of its 90 % interval, in ln(µM).
    shares
        Probability of each class, not tempered.
    """

    prediction: Floats
    reach: Floats
    abstained: Mask
    shares: Floats

    @classmethod
    def nothing(cls, n: int) -> OutOfFold:
        """Nothing said of `n` pairs yet."""
        return cls(np.zeros(n), np.zeros(n), np.zeros(n, bool), np.full((n, len(CLASSES)), 0.5))

    def fill(self, screen: ScreenRows, pipeline: Pipeline, representation: str, rows: Mask) -> None:
        """Put down what a model says of these pairs."""
        features = screen.features[representation]
        asked = (pipeline, features, screen.pairs.line[rows], screen.codes[rows])
        self.prediction[rows], self.reach[rows], self.abstained[rows] = predict_pairs(*asked)
        self.shares[rows] = pair_shares(*asked)

    @property
    def said(self) -> npt.NDArray[np.str_]:
        """The likelier class of each pair."""
        return likeliest(self.shares)


def likeliest(shares: Floats) -> npt.NDArray[np.str_]:
    """The likelier class, by pairs × classes."""
    found: npt.NDArray[np.str_] = np.asarray(CLASSES)[shares.argmax(axis=1)]
    return found
