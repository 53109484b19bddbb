"""The best contender is chosen, or the plain model where the best is not ahead for certain."""

from __future__ import annotations

import numpy as np
import pytest

from genept.embeddings import BOTH
from genept.models.heads import LINEAR, Contender
from genept.models.selection import PLAIN, _best

OTHER = Contender(BOTH, LINEAR)
N = 200


def shares(right: int, seed: int = 0) -> np.ndarray:
    """Probabilities of two classes, of which `right` samples, drawn at random, are right."""
    truth = np.arange(N) % 2
    named = np.where(np.random.default_rng(seed).permutation(N) < right, truth, 1 - truth)
    return np.eye(2)[named] * 0.8 + 0.1


@pytest.mark.parametrize(("right", "chosen"), [(185, OTHER), (145, PLAIN), (120, PLAIN)])
def test_what_is_not_ahead_for_certain_is_not_chosen(right: int, chosen: Contender) -> None:
    of = {PLAIN: shares(140), OTHER: shares(right, seed=1)}
    groups = np.array([f"patient{number // 20}" for number in range(N)])
    assert _best([PLAIN, OTHER], of, np.arange(N) % 2, groups).contender == chosen


def test_without_the_plain_model_the_best_is_chosen() -> None:
    groups = np.array([f"patient{number // 20}" for number in range(N)])
    third = Contender("lsa-384/name-go:genept-w", LINEAR)
    of = {OTHER: shares(140), third: shares(145)}
    assert _best([OTHER, third], of, np.arange(N) % 2, groups).contender == third
