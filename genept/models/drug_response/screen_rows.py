"""A drug screen in memory: cell lines with their features, drugs, and measured pairs.

Also out-of-fold predictions of its pairs. How a screen is read from the lake is in
`genept.models.drug_response.screens`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from genept.models.drug_response.pipeline import (
    CLASSES,
    SENSITIVE,
    Mask,
    Matrix,
    WithinDrug,
    drug_codes,
    fit_pipeline,
    predict_pairs,
)
from genept.models.drug_response.predictors import DRUG_MEAN, NAIVE, Floats, ResponsePairs
from genept.models.evidence import Labels, likeliest
from genept.models.splits import NEAR_DUPLICATE, Folds, response_like_features

MANY: Final = 50_000
JUDGED_SHARE: Final = 0.07
"""Share of the pairs that the gate evaluates in a screen of more than `MANY`."""
SENTINEL_SHIFT: Final = 3.0
N_COMPONENTS: Final = 150
"""Number of principal components in the comparison of representations."""
Fit = Callable[[int, Mask], tuple[Pipeline, Matrix]]


def response_pairs(
    ids: Labels, tissues: Labels, responses: pl.DataFrame
) -> tuple[Labels, ResponsePairs]:
    """Names of the drugs, and the responses as positions among lines and drugs.

    Parameters
    ----------
    ids
        Names of the lines that have features, in ascending order.
    tissues
        Tissue of each line.
    responses
        Columns ``observation_id``, ``drug_id``, ``value`` in ln(µM); one row per line and drug.

    Raises
    ------
    ValueError
        For responses that are not finite, are repeated, or belong to lines without features.
    """
    repeated = responses.select(pl.struct("observation_id", "drug_id").is_duplicated().sum()).item()
    if repeated:
        raise ValueError(f"{repeated} responses repeat a line and drug; average them first")
    unmeasured = responses.filter(pl.col("value").is_null() | ~pl.col("value").is_finite())
    if len(unmeasured):
        first = unmeasured.row(0, named=True)
        raise ValueError(
            f"{len(unmeasured)} responses are not finite, such as {first['observation_id']} to "
            f"{first['drug_id']}"
        )
    names = responses["observation_id"].to_numpy().astype(np.str_)
    if unknown := set(names.tolist()) - set(ids.tolist()):
        raise ValueError(
            f"{len(unknown)} lines have responses but no features, such as {min(unknown)}; "
            "leave their responses out and count them"
        )
    line = np.searchsorted(ids, names)
    drugs, drug = np.unique(responses["drug_id"].to_numpy().astype(np.str_), return_inverse=True)
    _, tissue = np.unique(tissues, return_inverse=True)
    return drugs, ResponsePairs(line, drug, tissue[line], responses["value"].to_numpy())


@dataclass(frozen=True)
class ScreenRows:
    """One screen.

    Parameters
    ----------
    ids, members, groups, tissues
        Of each line: its id, the line as published, its connected group, its tissue.
    features
        Lines × features, by representation.
    drugs
        Names of the drugs.
    pairs
        Measured pairs.
    duplicate_from
        Correlation from which the expression of two lines is nearly the same.
    """

    ids: Labels
    members: Sequence[str]
    groups: Labels
    tissues: Labels
    features: Mapping[str, Matrix]
    drugs: Labels
    pairs: ResponsePairs
    duplicate_from: float = NEAR_DUPLICATE

    @cached_property
    def pair_ids(self) -> Labels:
        """Names of the pairs, such as ``A549 × Erlotinib``."""
        first = np.char.add(self.ids[self.pairs.line], " × ")
        return np.char.add(first, self.drugs[self.pairs.drug])

    @cached_property
    def codes(self) -> Floats:
        """Code of each pair's drug."""
        codes: Floats = drug_codes(self.drugs.tolist())[self.pairs.drug]
        return codes

    @cached_property
    def judged(self) -> Mask:
        """Which pairs the gate evaluates; their names decide, so that the choice is stable."""
        if len(self.pair_ids) <= MANY:
            return np.ones(len(self.pair_ids), dtype=np.bool_)
        hashes = (hashlib.sha256(str(name).encode()).hexdigest()[:8] for name in self.pair_ids)
        return np.array([int(h, 16) < JUDGED_SHARE * 16**8 for h in hashes], dtype=np.bool_)

    def inputs(self, representation: str, pairs: NDArray[np.intp]) -> Matrix:
        """Features of some pairs as a Pipeline reads them, shape (pairs, features + 1)."""
        lines = self.features[representation][self.pairs.line[pairs]]
        return np.hstack([lines, self.codes[pairs, None].astype(np.float32)])

    def response_like(self, representations: Sequence[str], train: Mask) -> tuple[str, ...]:
        """Features that are the response to some drug over the training lines."""
        pairs = self.pairs.take(train)
        lines = np.unique(pairs.line)
        table = np.full((len(lines), len(self.drugs)), np.nan)
        mean = NAIVE[DRUG_MEAN](pairs, np.ones(len(pairs.value), dtype=np.bool_))
        table[np.searchsorted(lines, pairs.line), pairs.drug] = pairs.value - mean
        return tuple(
            f"{name} #{column}"
            for name in representations
            for column in response_like_features(self.features[name][lines], table)
        )

    def with_sentinels(self, labels: Labels, sentinel: Mask, train: Mask) -> ScreenRows:
        """The screen with extreme responses for sentinels, on the side that their labels name.

        Responses of other pairs that are not in `train` are missing.
        """
        mean = NAIVE[DRUG_MEAN](self.pairs, train)
        spread = float((self.pairs.value - mean)[train].std())
        side = np.where(labels == SENSITIVE, -1.0, 1.0)
        seen = np.where(train, self.pairs.value, np.nan)
        value = np.where(sentinel, mean + side * SENTINEL_SHIFT * spread, seen)
        return replace(self, pairs=replace(self.pairs, value=value))

    def permuted(self, train: Mask, *, seed: int) -> ScreenRows:
        """The screen with the features of its training lines permuted."""
        lines = np.unique(self.pairs.line[train])
        order = np.arange(len(self.ids))
        order[lines] = np.random.default_rng(seed).permutation(lines)
        features = {name: matrix[order] for name, matrix in self.features.items()}
        return replace(self, features=features)


@dataclass(frozen=True)
class OutOfFold:
    """Predictions of pairs by models that did not see their group, one entry per pair.

    Parameters
    ----------
    prediction, reach
        Response, and half the width of its 90 % interval, in ln(µM).
    shares
        Probability of each class, not calibrated.
    """

    prediction: Floats
    reach: Floats
    abstained: Mask
    shares: Floats

    @classmethod
    def empty(cls, n: int) -> OutOfFold:
        """Predictions of `n` pairs, still to be filled in."""
        return cls(np.zeros(n), np.zeros(n), np.zeros(n, bool), np.full((n, len(CLASSES)), 0.5))

    @classmethod
    def of(cls, screen: ScreenRows, folds: Folds, fit: Fit, train: Mask | None = None) -> OutOfFold:
        """Predict every fold of pairs by a model of the others.

        `fit` gives a Pipeline and the features that it reads, for a fold and its training pairs.
        Only pairs in `train` are read, and predicted; by default all.
        """
        predictions = cls.empty(len(folds))
        seen = np.ones(len(folds), dtype=np.bool_) if train is None else train
        for fold in np.unique(folds[seen]):
            pipeline, features = fit(fold, seen & (folds != fold))
            predictions.fill(screen, pipeline, features, folds == fold)
        return predictions

    def fill(self, screen: ScreenRows, pipeline: Pipeline, features: Matrix, rows: Mask) -> None:
        """Predict these pairs with a model that reads `features`, shape (lines, features)."""
        own = (self.prediction, self.reach, self.abstained, self.shares)
        predicted = predict_pairs(pipeline, features, screen.pairs.line[rows], screen.codes[rows])
        for column, values in zip(own, predicted, strict=True):
            column[rows] = values

    @property
    def predicted(self) -> Labels:
        """The more probable class of each pair."""
        return likeliest(CLASSES, self.shares)

    def covers(self, value: Floats) -> Mask:
        """Whether each measured response lies in its interval."""
        covered: Mask = np.abs(value - self.prediction) <= self.reach
        return covered


def predict_representation(
    screen: ScreenRows, features: Matrix, folds: Folds, *, seed: int
) -> OutOfFold:
    """Predict each response by a model that did not see the cell line.

    Standardisation and components are fitted on all training lines, measured or not. Under 30
    training lines the drug's mean is predicted and the model abstains.

    Parameters
    ----------
    features
        Shape (lines, features).
    folds
        Fold of each line.

    Raises
    ------
    ValueError
        For features that are not finite, or drugs measured in fewer than two training lines.
    """
    X, pair_folds = _finite(features, len(screen.ids)), folds[screen.pairs.line]
    _refuse_rare_drugs(screen, pair_folds)

    def fit(fold: int, train: Mask) -> tuple[Pipeline, Matrix]:
        read = X, screen.drugs, screen.pairs, train
        pipeline = fit_pipeline(
            *read, seed=seed, lines=folds != fold, n_components=N_COMPONENTS, svd_solver="auto"
        )
        return pipeline, X

    return OutOfFold.of(screen, pair_folds, fit)


def predict_drug_mean(screen: ScreenRows, folds: Folds) -> OutOfFold:
    """The baseline on the same folds: each drug's mean over the training lines."""
    predictions, pair_folds = OutOfFold.empty(len(screen.pairs.value)), folds[screen.pairs.line]
    _refuse_rare_drugs(screen, pair_folds)
    codes = screen.codes[:, None]
    for fold in np.unique(folds):
        train = pair_folds != fold
        head = WithinDrug().fit(codes[train], screen.pairs.value[train])
        predictions.prediction[~train] = head.predict(codes[~train])
        predictions.reach[~train] = head.reach(codes[~train])
    return predictions


def _refuse_rare_drugs(screen: ScreenRows, folds: Folds) -> None:
    """Each drug needs two lines outside every fold that tests it; `folds` are of the pairs."""
    drug, n = screen.pairs.drug, len(screen.drugs)
    for fold in np.unique(folds):
        test = folds == fold
        seen, tested = (np.bincount(drug[rows], minlength=n) for rows in (~test, test))
        rare = np.flatnonzero((seen < 2) & (tested > 0))
        if len(rare):
            raise ValueError(
                f"drug {screen.drugs[rare[0]]} is measured in {seen[rare[0]]} lines outside fold "
                f"{fold}, two are needed for a mean and its error; leave the drug out and count it"
            )


def _finite(features: Matrix, n_rows: int) -> Matrix:
    """The features as float32; raises ValueError that says which row is unusable."""
    values = np.asarray(features, dtype=np.float32)
    if values.ndim != 2 or len(values) != n_rows:
        raise ValueError(f"expected features of {n_rows} rows, got shape {values.shape}")
    wrong = ~np.isfinite(values).all(axis=1)
    if wrong.any():
        raise ValueError(
            f"{wrong.sum()} rows have features that are not finite, the first is row "
            f"{np.argmax(wrong)}; leave them out and count them"
        )
    if not np.ptp(values, axis=0).any():
        raise ValueError("the features are the same in every row: nothing can be learnt from them")
    return values
