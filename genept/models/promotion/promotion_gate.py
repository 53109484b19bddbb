"""The promotion gate: fifteen points that a candidate must pass before it is champion.

Each point is a function of typed evidence and blocks by itself. They are run, and a version is
promoted, in `genept.models.promotion.promotion`.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from genept.models.diagnosis import STEPS
from genept.models.evidence import (
    CalibrationMetrics,
    Champion,
    Interval,
    ModelCandidate,
    Predictions,
    calibration_metrics,
    cohort_cells,
    paired_difference,
    recall_difference,
)
from genept.models.splits import Holdout
from genept.models.stored_models import (
    ALLOWED_TYPES,
    PASS,
    REFUSE,
    WAIT,
    Answer,
)

SENTINEL_P: Final = 0.001
TOLERANCE: Final = 1e-6
CARD_SECTIONS: Final = ("## Data", "## Cohorts", "## Metrics", "## Limits", "Research use")
ENOUGH: Final = 30
"""Samples of a class or cohort below which it is not compared: a drop could be noise."""
MAX_DROP: Final = 0.02
"""Largest drop of the share that is right, in a cohort or class, that does not refuse a model."""

MAX_DROP_LOW: Final = -0.05
MARGIN: Final = -0.01
MAX_ECE: Final = 0.05
SLOPES: Final = (0.8, 1.2)
MAX_SHIFT: Final = 0.1


def groups_stay_whole(candidate: ModelCandidate) -> Answer:
    """No patient, line, donor or near-duplicate is on two sides of a split."""
    seen, out = candidate.evidence.out_of_fold, candidate.evidence.holdout
    folds: dict[str, set[int]] = {}
    for group, fold in zip(seen.groups, seen.folds or (), strict=True):
        folds.setdefault(group, set()).add(fold)
    cut = sorted(group for group, of_group in folds.items() if len(of_group) > 1)
    shared = sorted(set(folds) & set(out.groups))
    if cut or shared:
        return REFUSE, (
            f"{len(cut)} groups lie in two folds and {len(shared)} in training and holdout, such "
            f"as {(cut + shared)[0]}"
        )
    if duplicates := candidate.evidence.cut_duplicates:
        return REFUSE, (
            f"{len(duplicates)} pairs of nearly equal profiles lie on two sides of a split, such "
            f"as {duplicates[0]}: one patient under two ids; tie them with `connected_groups`"
        )
    return PASS, f"{len(folds)} training groups and {len(set(out.groups))} held out share none"


def fitted_inside(candidate: ModelCandidate) -> Answer:
    """All that is fitted lies in the Pipeline, and no feature is the label."""
    if candidate.manifest.steps != STEPS:
        return REFUSE, f"the Pipeline has the steps {candidate.manifest.steps}, expected {STEPS}"
    if given_away := candidate.evidence.label_like_features:
        return REFUSE, f"{len(given_away)} features are the label, such as {given_away[0]}"
    n = candidate.evidence.n_features_checked
    return PASS, f"steps {', '.join(STEPS)}; none of {n:,} features is the label"


def holdout_is_frozen(candidate: ModelCandidate) -> Answer:
    """The holdout is the one that was hashed, and training read none of it."""
    out = candidate.evidence.holdout
    holdout = Holdout.of(out.ids)
    if holdout.sha256 != candidate.manifest.holdout_sha256:
        return REFUSE, "the holdout is not the one whose hash is in the manifest"
    if read := int(holdout.contains(candidate.evidence.out_of_fold.ids).sum()):
        return REFUSE, f"training read {read} rows of the holdout"
    return PASS, f"{len(out.ids)} samples, hash {holdout.sha256[:12]}, none read by training"


def sentinels_stay_unknown(candidate: ModelCandidate) -> Answer:
    """Random labels that lie in the holdout only are predicted no better than chance."""
    evidence = candidate.evidence
    k = len(candidate.manifest.classes)
    if binom.pmf(evidence.n_sentinels, evidence.n_sentinels, 1 / k) > SENTINEL_P:
        return REFUSE, f"{evidence.n_sentinels} sentinels are too few to tell a leak from chance"
    p = float(binom.sf(evidence.sentinels_right - 1, evidence.n_sentinels, 1 / k))
    finding = (
        f"{evidence.sentinels_right} of {evidence.n_sentinels} random labels predicted, p = {p:.2g}"
    )
    return (REFUSE if p <= SENTINEL_P else PASS), f"{finding}; a leak at p ≤ {SENTINEL_P}"


def permuted_labels_teach_nothing(candidate: ModelCandidate) -> Answer:
    """A run on permuted labels lands at chance."""
    permuted, chance = candidate.evidence.permuted, 1 / len(candidate.manifest.classes)
    low, high = permuted.bounds
    finding = f"balanced accuracy {permuted.value:.3f} [{low:.3f}, {high:.3f}]"
    return (PASS if low <= chance else REFUSE), f"{finding}; chance is {chance:.3f}"


def beats_baselines(candidate: ModelCandidate) -> Answer:
    """Macro F1 above every baseline's, by the lower bound over whole groups."""
    out = candidate.evidence.holdout
    if not candidate.evidence.baselines:
        return REFUSE, "there is no baseline to beat"
    gains = {
        name: paired_difference(out.truth, out.predicted, np.asarray(predicted), out.groups)
        for name, predicted in candidate.evidence.baselines.items()
    }
    finding = "; ".join(
        f"{name}: +{gain.value:.3f}, at least {gain.low:.3f}" for name, gain in gains.items()
    )
    ahead = all(gain.bounds[0] > 0 for gain in gains.values())
    return (PASS if ahead else REFUSE), finding


def is_reproducible(candidate: ModelCandidate) -> Answer:
    """Trained again on the same data, it gives the same probabilities."""
    difference = candidate.evidence.refit_difference
    same = difference <= TOLERANCE
    return (
        PASS if same else REFUSE
    ), f"probabilities differ by {difference:.2g}, at most {TOLERANCE}"


def is_stored_safely(candidate: ModelCandidate) -> Answer:
    """The stored file has its hash, names no foreign type, and predicts the same."""
    if candidate.stored_pipeline_sha256 != candidate.manifest.pipeline_sha256:
        return REFUSE, "the stored file is not the one of the manifest"
    if other := sorted(set(candidate.manifest.types) - ALLOWED_TYPES):
        return REFUSE, f"the file names {', '.join(other)}"
    difference = candidate.evidence.reload_difference
    n = len(candidate.manifest.types)
    finding = f"{n} types, all listed; reloaded it differs by {difference:.2g}"
    return (PASS if difference <= TOLERANCE else REFUSE), finding


def has_a_card(candidate: ModelCandidate) -> Answer:
    """A card says what the model was made of, how good it is and what it is not for."""
    hashes = [item.data_sha256 for item in candidate.manifest.cohorts]
    wanted = [*CARD_SECTIONS, *(item[:12] for item in hashes)]
    missing = [item for item in wanted if item not in candidate.card]
    if missing:
        return REFUSE, f"the model card lacks {', '.join(missing)}"
    return PASS, f"{len(candidate.card):,} characters, {len(hashes)} data hashes"


def not_worse_than_champion(candidate: ModelCandidate, champion: Champion | None) -> Answer:
    """Macro F1 on the same holdout above the champion's; a tie keeps the champion."""
    if champion is None:
        return PASS, "there is no champion yet"
    out = candidate.evidence.holdout
    gain = paired_difference(out.truth, out.predicted, champion.holdout.predicted, out.groups)
    low = gain.bounds[0]
    finding = f"{gain.value:+.4f} macro F1, at least {low:+.4f}; needed above 0 and {MARGIN}"
    if gain.value == 0:
        return REFUSE, f"{finding}: a tie keeps the champion"
    return (PASS if gain.value > 0 and low > MARGIN else REFUSE), finding


def nothing_is_forgotten(candidate: ModelCandidate, champion: Champion | None) -> Answer:
    """No class is lost, and on no earlier cohort or class is the candidate worse."""
    if champion is None:
        return PASS, "there is no champion yet"
    if lost := sorted(set(champion.manifest.classes) - set(candidate.manifest.classes)):
        return REFUSE, f"{len(lost)} classes that the champion knew are lost: {', '.join(lost)}"
    worse, small, compared = [], 0, 0
    for name, rows in cohort_cells(candidate.evidence.holdout):
        if len(rows) < ENOUGH:
            small += 1
            continue
        compared += 1
        drop = _drop(candidate, champion, rows)
        if drop.value < -MAX_DROP or drop.bounds[0] <= MAX_DROP_LOW:
            worse.append(f"{name} {drop.value:+.3f}, at least {drop.bounds[0]:+.3f}")
    finding = (
        f"{compared} cohorts and classes of {ENOUGH} or more samples compared, {small} smaller ones"
    )
    return (REFUSE, f"worse on {'; '.join(worse)}") if worse else (PASS, finding)


def no_data_set_is_forgotten(candidate: ModelCandidate, champion: Champion | None) -> Answer:
    """Every cohort that the champion was trained on is in the candidate's manifest."""
    if champion is None:
        return PASS, "there is no champion yet"
    known = {cohort.id for cohort in candidate.manifest.cohorts}
    known |= set(candidate.manifest.forgotten_on_purpose)
    if missing := sorted({cohort.id for cohort in champion.manifest.cohorts} - known):
        return REFUSE, (
            f"the champion was trained on {', '.join(missing)}, the candidate was not: bring it "
            "back, or name it in the task's forgotten_on_purpose"
        )
    return PASS, f"all {len(champion.manifest.cohorts)} cohorts of the champion are there"


def is_calibrated(candidate: ModelCandidate, champion: Champion | None) -> Answer:
    """Probabilities can be believed, and abstaining pays."""
    metrics = _calibration(candidate.evidence.out_of_fold, candidate.evidence.holdout)
    top = candidate.evidence.holdout.shares.max(axis=1)
    kept = top >= candidate.manifest.abstain_below
    right = candidate.evidence.holdout.predicted == candidate.evidence.holdout.truth
    finding = (
        f"slope {metrics.slope:.2f} of {SLOPES}, ECE {metrics.ece:.3f} of {MAX_ECE}, Brier "
        f"{metrics.brier:.3f}; answers {kept.mean():.0%} of the holdout, "
        f"{right[kept].mean():.1%} right"
    )
    if not (SLOPES[0] <= metrics.slope <= SLOPES[1] and metrics.ece <= MAX_ECE):
        return REFUSE, finding
    if champion is not None:
        now = _calibration(candidate.evidence.holdout).brier
        before = _calibration(champion.holdout).brier
        if now > before + TOLERANCE:
            return REFUSE, f"{finding}; on the holdout {now:.4f}, the champion's was {before:.4f}"
    return PASS, finding


def evidence_is_complete(candidate: ModelCandidate, champion: Champion | None) -> Answer:
    """No number is missing, the holdout did not shrink, the label mix is the known one."""
    evidence = candidate.evidence
    numbers = [evidence.refit_difference, evidence.reload_difference, evidence.permuted.value]
    numbers += [number.value for number in evidence.scores.values()] + [
        float(evidence.holdout.shares.sum())
    ]
    if not evidence.scores or not all(math.isfinite(number) for number in numbers):
        return REFUSE, "a metric is missing or not a number"
    if not evidence.holdout.ids:
        return REFUSE, "the holdout is empty"
    if champion is None:
        return PASS, f"{len(evidence.scores)} metrics, {len(evidence.holdout.ids)} held-out samples"
    if lost := set(champion.evidence.holdout.ids) - set(evidence.holdout.ids):
        return REFUSE, f"the holdout lost {len(lost)} samples, such as {min(lost)}"
    if new := sorted(set(candidate.manifest.classes) - set(champion.manifest.classes)):
        return WAIT, f"new classes wait for a person: {', '.join(new)}"
    shift = _shift(candidate.manifest.label_counts, champion.manifest.label_counts)
    finding = f"the label mix moved by {shift:.3f}, at most {MAX_SHIFT}"
    return (WAIT if shift > MAX_SHIFT else PASS), finding


def compared_with_the_present(candidate: ModelCandidate, champion: Champion | None) -> Answer:
    """The candidate is another one than the champion; the pointer swaps for that one only."""
    if champion is None:
        return PASS, "the pointer will be created, if nobody else creates it first"
    if champion.manifest.version == candidate.manifest.version:
        return REFUSE, "the candidate is the champion"
    return PASS, f"the pointer swaps if {champion.manifest.version[:12]} is champion still"


def _drop(candidate: ModelCandidate, champion: Champion, rows: NDArray[np.intp]) -> Interval:
    out = candidate.evidence.holdout
    return recall_difference(
        (out.predicted == out.truth)[rows],
        (champion.holdout.predicted == out.truth)[rows],
        [out.groups[row] for row in rows],
    )


def _calibration(*several: Predictions) -> CalibrationMetrics:
    shares = np.concatenate([predictions.shares for predictions in several])
    classes = np.asarray(several[0].classes)
    truth = np.concatenate([np.searchsorted(classes, predictions.truth) for predictions in several])
    return calibration_metrics(shares, truth)


def _shift(now: dict[str, int], before: dict[str, int]) -> float:
    """Half the sum of differences in share: how much of the mix moved."""
    a, b = Counter(now), Counter(before)
    return sum(abs(a[label] / a.total() - b[label] / b.total()) for label in {*a, *b}) / 2
