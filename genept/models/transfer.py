"""From one screen to another: trained on a screen, tested on lines that it has not seen in either.

Two screens of the same lines differ in assay, doses and years. A model that only carries over
within its own screen is not worth much to anybody else.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from genept.embeddings.representations import EXPRESSION
from genept.models.drug_pipeline import drug_codes, fit_pipeline, predict_pairs
from genept.models.drug_regimes import PERMUTED_FEATURES, response_scores
from genept.models.naive import DRUG_MEAN, Floats
from genept.models.screen_rows import Mask, ScreenRows
from genept.models.splits import grouped_folds

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
