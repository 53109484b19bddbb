"""What two retrainings from the same inputs must have in common."""

from __future__ import annotations

import numpy as np

from genept.models.evidence import ModelEvidence


def assert_agreement(again: ModelEvidence, before: ModelEvidence) -> None:
    """Probabilities of the same observations, equal to one in a million."""
    for one, other in (
        (again.holdout, before.holdout),
        (again.out_of_fold, before.out_of_fold),
    ):
        assert one.ids == other.ids
        np.testing.assert_allclose(one.shares, other.shares, rtol=0, atol=1e-6)
