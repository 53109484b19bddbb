"""A screen in memory: lines with their features, drugs, measured pairs.

Also what models that did not see a line predict of its pairs, in this screen or in another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.pipeline import Pipeline

from genept.embeddings.representations import EXPRESSION
from genept.models.drug_response.pipeline import (
    CLASSES,
    RESISTANT,
    SENSITIVE,
    drug_codes,
    fit_pipeline,
    pair_features,
    pair_shares,
    predict_pairs,
)
from genept.models.drug_response.predictors import DRUG_MEAN, NAIVE, Floats, Pairs
from genept.models.drug_response.regimes import PERMUTED_FEATURES, response_scores
from genept.models.splits.folds import grouped_folds

MANY: Final = 50_000

ASKED: Final = 0.07
"""Share of the pairs that the gate looks at in a screen of more than `MANY`."""

SENTINEL_SHIFT: Final = 3.0

Matrix = npt.NDArray[np.float32]

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ScreenRows:
    """One screen.

    Parameters
    ----------
    ids, members, groups, tissues
        Of each line: its id, the line as published, its connected group, its tissue.
    features
        Lines × features, by representation.
    """

    ids: npt.NDArray[np.str_]
    members: Sequence[str]
    groups: npt.NDArray[np.str_]
    tissues: npt.NDArray[np.str_]
    features: Mapping[str, Matrix]
    drugs: npt.NDArray[np.str_]
    pairs: Pairs

    @cached_property
    def pair_ids(self) -> npt.NDArray[np.str_]:
        """Names of the pairs, such as ``A549 × Erlotinib``."""
        first = np.char.add(self.ids[self.pairs.line], " × ")
        return np.char.add(first, self.drugs[self.pairs.drug])

    @cached_property
    def codes(self) -> Floats:
        """Code of each pair's drug."""
        found: Floats = drug_codes(self.drugs.tolist())[self.pairs.drug]
        return found

    @cached_property
    def asked(self) -> Mask:
        """Which pairs the gate looks at: decided by their names, so that they stay the same."""
        if len(self.pair_ids) <= MANY:
            return np.ones(len(self.pair_ids), dtype=np.bool_)
        starts = (hashlib.sha256(str(one).encode()).hexdigest()[:8] for one in self.pair_ids)
        return np.array([int(one, 16) < ASKED * 16**8 for one in starts], dtype=np.bool_)

    def shown(self, representation: str, pairs: npt.NDArray[np.intp]) -> Matrix:
        """Features of some pairs, as a Pipeline reads them."""
        lines = self.features[representation][self.pairs.line[pairs]]
        return pair_features(lines, self.codes[pairs])

    def sensitivity(self, train: Mask) -> npt.NDArray[np.str_]:
        """Whether each response lies below its drug's mean over the training pairs."""
        below = self.pairs.value < NAIVE[DRUG_MEAN](self.pairs, train)
        return np.where(below, SENSITIVE, RESISTANT)

    def with_sentinels(
        self, labels: npt.NDArray[np.str_], sentinel: Mask, train: Mask
    ) -> ScreenRows:
        """The screen with responses far out on the side that the sentinels' labels name."""
        mean = NAIVE[DRUG_MEAN](self.pairs, train)
        spread = float((self.pairs.value - mean)[train].std())
        side = np.where(labels == SENSITIVE, -1.0, 1.0)
        value = np.where(sentinel, mean + side * SENTINEL_SHIFT * spread, self.pairs.value)
        return replace(self, pairs=replace(self.pairs, value=value))

    def in_disorder(self, train: Mask, *, seed: int) -> ScreenRows:
        """The screen with the features of its training lines dealt out anew."""
        lines = np.unique(self.pairs.line[train])
        dealt = np.arange(len(self.ids))
        dealt[lines] = np.random.default_rng(seed).permutation(lines)
        features = {name: matrix[dealt] for name, matrix in self.features.items()}
        return replace(self, features=features)


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


SHARED: Final = "lines of both screens"

NEW: Final = "lines of the target alone"


def transfer_scores(
    source: ScreenRows, target: ScreenRows, *, n_folds: int, seed: int
) -> pl.DataFrame:
    """Train on one screen, score on the other: always on lines that training did not see.

    Every line is tested in one fold, by the model of the others; lines that only the target has
    measured have scores of their own (``new_lines_…``), if there are two of them. Only drugs of
    one name in both are scored. What is left of truth and prediction is measured from the drug's
    mean in the source: a shift between the screens counts as an error, but not within a drug.

    Returns
    -------
    pl.DataFrame
        representation, metric, value, ci_low, ci_high, n, is_control.

    Raises
    ------
    ValueError
        If the screens do not have the same lines in the same order, or share no drug.
    """
    if not np.array_equal(source.ids, target.ids):
        raise ValueError("the two screens must be of the same collection of lines")
    shared = np.isin(target.drugs, source.drugs)[target.pairs.drug]
    if not shared.any():
        raise ValueError("the two screens share no drug of one name")
    folds = grouped_folds(source.groups, None, n_folds, seed)
    naive, told, permuted = (np.zeros(len(shared)) for _ in range(3))
    codes = drug_codes(target.drugs.tolist())[target.pairs.drug]
    features = source.features[EXPRESSION]
    shuffled = features[np.random.default_rng(seed).permutation(len(features))]
    for fold in range(n_folds):
        train = folds[source.pairs.line] != fold
        test = shared & (folds[target.pairs.line] == fold)
        for found, seen in ((told, features), (permuted, shuffled)):
            pipeline = fit_pipeline(seen, source.drugs, source.pairs, train, seed=seed)
            asked = (seen, target.pairs.line[test], codes[test])
            found[test] = predict_pairs(pipeline, *asked)[0]
        naive[test] = _source_means(source, target, train)[test]
    measured_in_source = np.isin(target.pairs.line, source.pairs.line)
    rows = []
    for which, mask in ((SHARED, measured_in_source), (NEW, ~measured_in_source)):
        scored = shared & mask
        if len(np.unique(target.groups[target.pairs.line[scored]])) < 2:
            continue
        for name, said in ((EXPRESSION, told), (PERMUTED_FEATURES, permuted), (DRUG_MEAN, naive)):
            rows += _scored(target, name, which, said, naive, scored, seed)
    return pl.DataFrame(rows, schema_overrides={"ci_low": pl.Float64, "ci_high": pl.Float64})


def _source_means(source: ScreenRows, target: ScreenRows, train: Mask) -> Floats:
    """Mean in the source of each target pair's drug; NaN for a drug that it does not have."""
    n = len(source.drugs)
    sums = np.bincount(source.pairs.drug[train], source.pairs.value[train], n)
    means = sums / np.maximum(np.bincount(source.pairs.drug[train], minlength=n), 1)
    place = np.minimum(np.searchsorted(source.drugs, target.drugs), n - 1)
    known = source.drugs[place] == target.drugs
    found: Floats = np.where(known, means[place], np.nan)[target.pairs.drug]
    return found


def _scored(
    target: ScreenRows,
    name: str,
    which: str,
    said: Floats,
    naive: Floats,
    rows: Mask,
    seed: int,
) -> list[dict[str, object]]:
    pairs = target.pairs.take(rows)
    groups = target.groups[pairs.line]
    inside = np.zeros(len(pairs.value), dtype=np.bool_)
    scores = response_scores(pairs, said[rows], naive[rows], inside, groups, seed=seed)
    scores.pop("interval_coverage")
    prefix = "" if which == SHARED else "new_lines_"
    return [
        {
            "representation": name,
            "metric": prefix + metric,
            "value": value,
            "ci_low": low,
            "ci_high": high,
            "n": len(pairs.value),
            "is_control": name != EXPRESSION,
        }
        for metric, (value, low, high) in scores.items()
    ]
