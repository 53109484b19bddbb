"""Drug response of cell lines: which line responds more than the drug's mean says.

Runs every representation and its controls on the same lines and scores them.
Scores subtract what the drug's mean alone predicts (DrEval, Nat Commun 2026),
which otherwise makes any model look good. The fit is in `genept.models.drug_response.within_drug`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.benchmarks.metrics.intervals import bootstrap_totals
from genept.benchmarks.metrics.scores import Score, median_spearman_score, pearson_score
from genept.models.drug_response.within_drug import (
    N_COMPONENTS,
    DrugResponseResult,
    predict_drug_mean,
    predict_drug_response,
)

DRUG_MEAN: Final = "drug-mean"
PERMUTED_FEATURES: Final = "permuted-features"


def evaluate_drug_response(
    results: Mapping[str, DrugResponseResult],
    groups: Sequence[str],
    *,
    cohort: str,
    model: str,
    model_version: str,
    controls: Collection[str],
    seed: int,
) -> pl.DataFrame:
    """Score results by representation, with intervals over groups of cell lines.

    Both correlations are of what is left after the drug's training mean is subtracted
    from truth and prediction. ``normalised_pearson`` pools all responses; it is 0 by
    definition for the drug's mean itself, which therefore has no interval there, and
    no Spearman correlation. ``median_per_drug_spearman`` leaves out drugs for which
    the model abstained; the other metrics count every response.

    Returns
    -------
    pl.DataFrame
        Rows of the table ``model_evaluations``.
    """
    rows: list[dict[str, Any]] = []
    for name, result in results.items():
        scores = _scores(result, np.asarray(groups)[result.line], seed)
        rows += [
            {
                "model": model,
                "model_version": model_version,
                "representation": name,
                "cohort": cohort,
                "metric": metric,
                "split": f"leave-cell-line-out-{result.fold.max() + 1}-fold-seed-{seed}",
                "value": score.value,
                "ci_low": score.ci_low,
                "ci_high": score.ci_high,
                "n": score.n,
                "is_control": name in {*controls, DRUG_MEAN, PERMUTED_FEATURES},
            }
            for metric, score in scores.items()
        ]
    return pl.DataFrame(rows, schema_overrides={"ci_low": pl.Float64, "ci_high": pl.Float64})


def run_drug_response(
    representations: Mapping[str, NDArray[np.float32]],
    observation_ids: Sequence[str],
    groups: Sequence[str],
    responses: pl.DataFrame,
    collection_id: str,
    *,
    published: str,
    controls: Collection[str],
    model: str,
    model_version: str,
    seed: int,
    n_folds: int = 5,
    n_components: int = N_COMPONENTS,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Predict from every representation and its controls on the same folds.

    Parameters
    ----------
    representations
        By name, one row per line in the order of `observation_ids`.
    published
        The representation whose predictions are returned, and whose rows are shuffled
        against the lines for the control ``permuted-features``.
    controls
        Representations that are baselines, such as a random space.

    Returns
    -------
    tuple[pl.DataFrame, pl.DataFrame]
        Rows of ``drug_response_predictions`` and of ``model_evaluations``.
    """
    absent = {published, *controls} - set(representations)
    if absent:
        raise ValueError(
            f"{sorted(absent)} are not among the representations {sorted(representations)}"
        )
    shuffled = np.random.default_rng(seed).permutation(len(observation_ids))
    seen = {**representations, PERMUTED_FEATURES: representations[published][shuffled]}
    results = {
        name: predict_drug_response(
            features,
            observation_ids,
            groups,
            responses,
            seed=seed,
            n_folds=n_folds,
            n_components=n_components,
        )
        for name, features in seen.items()
    }
    chosen = results[published]
    results[DRUG_MEAN] = predict_drug_mean(
        observation_ids, groups, responses, seed=seed, n_folds=n_folds
    )
    predictions = responses.select("observation_id", "drug_id").with_columns(
        pl.Series("fold", chosen.fold),
        pl.Series("measured", chosen.measured),
        pl.Series("prediction", chosen.prediction),
        pl.Series("low", chosen.low),
        pl.Series("high", chosen.high),
        pl.Series("abstained", chosen.abstained),
    )
    predictions = predictions.select(
        pl.lit(model).alias("model"),
        pl.lit(model_version).alias("model_version"),
        pl.lit(published).alias("representation"),
        pl.lit(collection_id).alias("collection_id"),
        pl.all(),
    )
    evaluations = evaluate_drug_response(
        results,
        groups,
        cohort=collection_id,
        model=model,
        model_version=model_version,
        controls=controls,
        seed=seed,
    )
    return predictions, evaluations


def _scores(result: DrugResponseResult, groups: NDArray[Any], seed: int) -> dict[str, Score]:
    n = len(result.measured)
    scores: dict[str, Score] = {}
    if np.array_equal(result.prediction, result.naive):
        scores["normalised_pearson"] = Score(0.0, None, None, n)
    else:
        truth, said = result.measured - result.naive, result.prediction - result.naive
        scores["normalised_pearson"] = pearson_score(truth, said, groups, seed=seed)
        kept = ~np.isin(result.drug, np.unique(result.drug[result.abstained]))
        scores["median_per_drug_spearman"] = median_spearman_score(
            truth[kept],
            said[kept],
            result.drug[kept],
            groups[kept],
            seed=seed,
        )
    squares = (result.measured - result.prediction) ** 2
    within = (result.low <= result.measured) & (result.measured <= result.high)
    sums = np.stack([np.ones(n), squares, within], axis=1)
    low, high = bootstrap_totals(lambda t: np.sqrt(t[:, 1] / t[:, 0]), sums, groups, seed=seed)
    scores["rmse"] = Score(float(np.sqrt(squares.mean())), low, high, n)
    low, high = bootstrap_totals(lambda t: t[:, 2] / t[:, 0], sums, groups, seed=seed)
    scores["interval_coverage"] = Score(float(within.mean()), low, high, n)
    return scores
