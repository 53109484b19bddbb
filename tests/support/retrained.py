"""What two retrainings from the same inputs must have in common."""

from __future__ import annotations

import numpy as np

from genept.models.evidence import ModelEvidence


def assert_agreement(again: ModelEvidence, before: ModelEvidence) -> None:
    """Assert equal observations, with probabilities that differ by at most 1e-6."""
    for first, second in (
        (again.holdout, before.holdout),
        (again.out_of_fold, before.out_of_fold),
    ):
        assert first.ids == second.ids
        np.testing.assert_allclose(first.shares, second.shares, rtol=0, atol=1e-6)
