"""Diagnosis of bulk samples: out-of-fold predictions and how good they are.

Everything is fitted inside the fold. What is published are the predictions of
models that never saw the sample's group. For research, not for diagnosing people.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from genept.benchmarks.scores import classification_scores
from genept.models.splits import Folds, finite_features, grouped_folds

METRICS: Final = ("balanced_accuracy", "macro_f1", "accuracy")
MAJORITY_CLASS: Final = "majority-class"
PERMUTED_LABELS: Final = "permuted-labels"
MAX_COMPONENTS: Final = 100


@dataclass(frozen=True)
class DiagnosisResult:
    """Out-of-fold diagnosis, one entry per sample.

    `label` is what was to be predicted (permuted, in the control of that name);
    `probability` belongs to the prediction and is not calibrated.
    """

    label: NDArray[np.str_]
    fold: Folds
    prediction: NDArray[np.str_]
    probability: NDArray[np.float64]
    abstained: NDArray[np.bool_]


def diagnose(
    features: NDArray[np.float32],
    labels: Sequence[str],
    groups: Sequence[str],
    *,
    seed: int,
    n_folds: int = 5,
    abstain_below: float = 0.5,
) -> DiagnosisResult:
    """Predict each sample's diagnosis by a model that did not see its group.

    Standardise, up to 100 principal components, class-balanced logistic
    regression; all of it fitted on the training folds alone.

    Parameters
    ----------
    features
        Shape (n, d).
    labels, groups
        Diagnosis and patient of each row.
    abstain_below
        Predictions under this probability are marked as abstained.

    Raises
    ------
    ValueError
        For features that are not finite, a single diagnosis, or a diagnosis in fewer
        groups than folds.
    ConvergenceWarning
        If the regression does not converge: an unfinished fit is not a result.
    """
    folds = grouped_folds(groups, labels, n_folds, seed)
    return _out_of_fold(features, labels, folds, seed, abstain_below)


def evaluate_diagnosis(
    results: Mapping[str, DiagnosisResult],
    groups: Sequence[str],
    *,
    cohort: str,
    model: str,
    model_version: str,
    controls: Collection[str],
    seed: int,
) -> pl.DataFrame:
    """Score results by representation, with intervals over whole groups.

    Every sample counts, whether or not the model abstained.

    Parameters
    ----------
    results
        By representation; all of the same samples.
    controls
        Baselines among `results`; ``majority-class`` and ``permuted-labels`` always are.

    Returns
    -------
    pl.DataFrame
        Rows of the table ``model_evaluations``.
    """
    rows = []
    for name, result in results.items():
        scores = classification_scores(result.label, result.prediction, groups, METRICS, seed=seed)
        rows += [
            {
                "model": model,
                "model_version": model_version,
                "representation": name,
                "cohort": cohort,
                "metric": metric,
                "split": f"grouped-stratified-{result.fold.max() + 1}-fold-seed-{seed}",
                "value": score.value,
                "ci_low": score.ci_low,
                "ci_high": score.ci_high,
                "n": score.n,
                "is_control": name in {*controls, MAJORITY_CLASS, PERMUTED_LABELS},
            }
            for metric, score in scores.items()
        ]
    return pl.DataFrame(rows)


def run_diagnosis(
    representations: Mapping[str, NDArray[np.float32]],
    labels: Sequence[str],
    groups: Sequence[str],
    observation_ids: Sequence[str],
    collection_id: str,
    *,
    published: str,
    controls: Collection[str],
    model: str,
    model_version: str,
    seed: int,
    n_folds: int = 5,
    abstain_below: float = 0.5,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Diagnose by every representation and its controls on the same folds.

    Parameters
    ----------
    representations
        By name, one row per sample in the order of `observation_ids`.
    published
        The representation whose predictions are returned, and whose labels are
        permuted for the control.
    controls
        Representations that are baselines, such as a random space.

    Returns
    -------
    tuple[pl.DataFrame, pl.DataFrame]
        Rows of ``diagnosis_predictions`` and of ``model_evaluations``.
    """
    absent = {published, *controls} - set(representations)
    if absent:
        raise ValueError(f"{sorted(absent)} are not among {sorted(representations)}")
    if len(set(observation_ids)) != len(labels):
        raise ValueError(f"{len(labels)} labels but {len(set(observation_ids))} different samples")
    folds = grouped_folds(groups, labels, n_folds, seed)
    results = {
        name: _out_of_fold(features, labels, folds, seed, abstain_below)
        for name, features in representations.items()
    }
    permuted = np.random.default_rng(seed).permutation(np.asarray(labels, dtype=np.str_))
    results[PERMUTED_LABELS] = _out_of_fold(
        representations[published], permuted, folds, seed, abstain_below
    )
    results[MAJORITY_CLASS] = _majority(labels, folds, abstain_below)
    chosen = results[published]
    predictions = pl.DataFrame(
        {
            "model": model,
            "model_version": model_version,
            "representation": published,
            "collection_id": collection_id,
            "observation_id": list(observation_ids),
            "fold": chosen.fold,
            "label": chosen.label,
            "prediction": chosen.prediction,
            "probability": chosen.probability,
            "abstained": chosen.abstained,
        }
    )
    evaluations = evaluate_diagnosis(
        results,
        groups,
        cohort=collection_id,
        model=model,
        model_version=model_version,
        controls=controls,
        seed=seed,
    )
    return predictions, evaluations


def _pipeline(n_train: int, n_features: int, seed: int) -> Pipeline:
    # The quasi-Newton default stops where rounding leads it: on KIPAN another number of BLAS
    # threads moved probabilities by 0.1. Newton's method in float64 agrees to 1e-13.
    return make_pipeline(
        StandardScaler(),
        PCA(min(MAX_COMPONENTS, n_train - 1, n_features), random_state=seed),
        LogisticRegression(class_weight="balanced", solver="newton-cholesky", tol=1e-6),
    )


def _out_of_fold(
    features: NDArray[np.float32],
    labels: Sequence[str] | NDArray[np.str_],
    folds: Folds,
    seed: int,
    abstain_below: float,
) -> DiagnosisResult:
    truth = np.asarray(labels, dtype=np.str_)
    X = finite_features(features, len(truth)).astype(np.float64)
    prediction, probability = np.empty_like(truth), np.empty(len(truth))
    for fold in np.unique(folds):
        test = folds == fold
        if len(np.unique(truth[~test])) < 2:
            only = truth[~test][0]
            raise ValueError(f"outside fold {fold} there is one diagnosis only, {only}; give two")
        pipeline = _pipeline(int((~test).sum()), X.shape[1], seed)
        # One thread: on a busy machine BLAS threads spend their time waiting for one another.
        with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):
            warnings.simplefilter("error", ConvergenceWarning)
            warnings.simplefilter("error", RuntimeWarning)
            pipeline.fit(X[~test], truth[~test])
        shares = pipeline.predict_proba(X[test])
        prediction[test] = pipeline.classes_[shares.argmax(axis=1)]
        probability[test] = shares.max(axis=1)
    return DiagnosisResult(truth, folds, prediction, probability, probability < abstain_below)


def _majority(labels: Sequence[str], folds: Folds, abstain_below: float) -> DiagnosisResult:
    truth = np.asarray(labels, dtype=np.str_)
    prediction, probability = np.empty_like(truth), np.empty(len(truth))
    for fold in np.unique(folds):
        names, counts = np.unique(truth[folds != fold], return_counts=True)
        prediction[folds == fold] = names[counts.argmax()]
        probability[folds == fold] = counts.max() / counts.sum()
    return DiagnosisResult(truth, folds, prediction, probability, probability < abstain_below)
