"""What is learnt on one screen carries over to unseen lines of another, and noise does not."""

from dataclasses import replace

import numpy as np
import pytest

from genept.embeddings.representations import EXPRESSION
from genept.models.drug_response.predictors import ResponsePairs
from genept.models.drug_response.regimes import transfer_scores
from genept.models.drug_response.screen_rows import ScreenRows

N_LINES = 120


def screen(seed, drugs, lines, shift=0.0):
    rng = np.random.default_rng(7)
    state = rng.normal(size=N_LINES)
    features = (state[:, None] + 0.3 * rng.normal(size=(N_LINES, 20))).astype(np.float32)
    line, drug = (grid.ravel() for grid in np.meshgrid(lines, range(len(drugs)), indexing="ij"))
    noise = 0.3 * np.random.default_rng(seed).normal(size=len(line))
    value = 4.0 * drug + state[line] + shift + noise
    ids = np.array([f"l{n:03}" for n in range(N_LINES)])
    pairs = ResponsePairs(line, drug, np.zeros_like(line), value)
    return ScreenRows(ids, ids.tolist(), ids, ids, {EXPRESSION: features}, np.array(drugs), pairs)


SOURCE = screen(1, ["a", "b", "only here"], range(100))
TARGET = screen(2, ["a", "b", "only there"], range(20, N_LINES), shift=1.0)


def by_metric(rows):
    return {(row["representation"], row["metric"]): row for row in rows}


def test_what_is_learnt_carries_over_and_is_scored_beside_controls():
    scores = by_metric(transfer_scores(SOURCE, TARGET, n_folds=3, seed=0))
    learnt = scores["expression", "median_per_drug_pearson"]
    assert learnt["ci_low"] > 0.8
    assert learnt["n"] == 80 * 2
    assert scores["expression", "new_lines_median_per_drug_pearson"]["n"] == 20 * 2
    assert abs(scores["permuted-features", "median_per_drug_pearson"]["value"]) < 0.4
    assert scores["drug-mean", "normalised_pearson"]["value"] == 0
    # The shift between the screens stays an error.
    assert scores["expression", "rmse"]["value"] > 1


def test_the_target_is_never_learnt_from():
    other = replace(TARGET, pairs=replace(TARGET.pairs, value=TARGET.pairs.value * 100))
    first, again = (
        by_metric(transfer_scores(SOURCE, target, n_folds=3, seed=0))[
            "expression", "median_per_drug_pearson"
        ]["value"]
        for target in (TARGET, other)
    )
    assert first == pytest.approx(again, abs=1e-9)


def test_screens_of_other_lines_or_drugs_are_refused():
    with pytest.raises(ValueError, match="same collection of lines"):
        transfer_scores(SOURCE, replace(TARGET, ids=TARGET.ids[::-1]), n_folds=3, seed=0)
    named = replace(TARGET, drugs=np.array(["x", "y", "z"]))
    with pytest.raises(ValueError, match="share no drug"):
        transfer_scores(SOURCE, named, n_folds=3, seed=0)
