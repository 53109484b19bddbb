"""The promotion gate: fifteen points that a candidate must pass before it is champion.

Each point is a function of typed evidence and blocks by itself. When they are evaluated, and a
version is promoted, is in `genept.models.promotion`.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Final

import numpy as np
from scipy.stats import binom

from genept.benchmarks import mean_score
from genept.models.confidence import calibration_metrics
from genept.models.evidence import Interval, ModelCandidate, paired_difference
from genept.models.heads import STEPS
from genept.models.holdout import HOLDOUT_SHARE, Holdout
from genept.models.selection import MARGIN, against_plain
from genept.models.stored_models import ALLOWED_TYPES, PASS, REFUSE, WAIT, Answer, Verdict, Verdicts

SENTINEL_P: Final = 0.001
TOLERANCE: Final = 1e-6
CARD_SECTIONS: Final = ("## Data", "## Cohorts", "## Metrics", "## Limits", "Research use")
ENOUGH: Final = 30
"""Samples of a class or cohort below which it is not compared: a drop could be noise."""

MAX_DROP: Final = 0.02
"""Largest drop of the share that is right, in a cohort or class, that does not refuse a model."""

MAX_DROP_LOW: Final = -0.05
MAX_ECE: Final = 0.05
SLOPES: Final = (0.8, 1.2)
MAX_SHIFT: Final = 0.1

NO_CHAMPION: Final = (PASS, "there is no champion yet")
POINTS: Final[dict[str, Callable[[ModelCandidate], Answer]]] = {}
"""Points of the gate by name, in the order of the gate's numbers: that of the functions below."""


def _point(evaluate: Callable[[ModelCandidate], Answer]) -> Callable[[ModelCandidate], Answer]:
    POINTS[evaluate.__name__] = evaluate
    return evaluate


def _passes(condition: object, finding: str) -> Answer:
    return (PASS if condition else REFUSE), finding


def judge(candidate: ModelCandidate) -> Verdicts:
    """Evaluate all fifteen points; a point that cannot be evaluated refuses."""
    points = []
    for number, (name, evaluate) in enumerate(POINTS.items(), start=1):
        try:
            outcome, evidence = evaluate(candidate)
        except (ValueError, ZeroDivisionError) as error:
            outcome, evidence = REFUSE, f"cannot be answered: {error}"
        points.append(Verdict(point=number, name=name, outcome=outcome, evidence=evidence))
    manifest, champion = candidate.manifest, candidate.champion
    return Verdicts(
        model=manifest.model,
        version=manifest.version,
        collection=manifest.collection,
        champion_version=champion.manifest.version if champion else None,
        points=tuple(points),
    )


@_point
def groups_stay_whole(candidate: ModelCandidate) -> Answer:
    """No patient, line, donor or near-duplicate is on two sides of a split."""
    seen, out = candidate.evidence.out_of_fold, candidate.evidence.holdout
    folds: dict[str, set[int]] = defaultdict(set)
    for group, fold in zip(seen.groups, seen.folds or (), strict=True):
        folds[group].add(fold)
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


@_point
def fitted_inside(candidate: ModelCandidate) -> Answer:
    """All that is fitted lies in the Pipeline, and no feature is the label."""
    if candidate.manifest.steps != STEPS:
        return REFUSE, f"the Pipeline has the steps {candidate.manifest.steps}, expected {STEPS}"
    if given_away := candidate.evidence.label_like_features:
        return REFUSE, f"{len(given_away)} features are the label, such as {given_away[0]}"
    n = candidate.evidence.n_features_checked
    return PASS, f"steps {', '.join(STEPS)}; none of {n:,} features is the label"


@_point
def holdout_is_frozen(candidate: ModelCandidate) -> Answer:
    """The holdout is the one that was hashed, and training read none of it."""
    out = candidate.evidence.holdout
    holdout = Holdout.of(out.ids)
    if holdout.sha256 != candidate.manifest.holdout_sha256:
        return REFUSE, "the holdout is not the one whose hash is in the manifest"
    if read := int(holdout.contains(candidate.evidence.out_of_fold.ids).sum()):
        return REFUSE, f"training read {read} rows of the holdout"
    share = len(out.ids) / len(candidate.evidence.unseen.ids)
    finding = f"{len(out.ids)} samples, {share:.0%} of all for {HOLDOUT_SHARE:.0%} asked for"
    return PASS, f"{finding}, hash {holdout.sha256[:12]}, none read by training"


@_point
def sentinels_stay_unknown(candidate: ModelCandidate) -> Answer:
    """Random labels that lie in the holdout only are predicted no better than chance."""
    right, n = candidate.evidence.sentinels_right, candidate.evidence.n_sentinels
    chance = binom(n, 1 / len(candidate.manifest.classes))
    if chance.pmf(n) > SENTINEL_P:
        return REFUSE, f"{n} sentinels are too few to tell a leak from chance"
    p = float(chance.sf(right - 1))
    return _passes(
        p > SENTINEL_P,
        f"{right} of {n} random labels predicted, p = {p:.2g}; a leak at p ≤ {SENTINEL_P}",
    )


@_point
def permuted_labels_teach_nothing(candidate: ModelCandidate) -> Answer:
    """A run on permuted labels lands at chance."""
    permuted, chance = candidate.evidence.permuted, 1 / len(candidate.manifest.classes)
    low, high = permuted.bounds
    finding = f"balanced accuracy {permuted.value:.3f} [{low:.3f}, {high:.3f}]"
    return _passes(low <= chance, f"{finding}; chance is {chance:.3f}")


@_point
def beats_baselines(candidate: ModelCandidate) -> Answer:
    """Macro F1 above every baseline's, by the lower bound, and ahead of the plain model, or it."""
    out = candidate.evidence.holdout
    if not candidate.evidence.baselines:
        return REFUSE, "there is no baseline to beat"
    gains = {
        name: paired_difference(out.truth, out.predicted, np.asarray(predicted), out.groups)
        for name, predicted in candidate.evidence.baselines.items()
    }
    ahead, finding = against_plain(candidate.manifest, candidate.evidence, MARGIN)
    listed = [f"{name}: +{gain.value:.3f}, at least {gain.low:.3f}" for name, gain in gains.items()]
    return _passes(
        ahead and all(gain.bounds[0] > 0 for gain in gains.values()), "; ".join([*listed, finding])
    )


@_point
def not_worse_than_champion(candidate: ModelCandidate) -> Answer:
    """Macro F1 on the same holdout above the champion's; a tie keeps the champion."""
    out, champion = candidate.evidence.holdout, candidate.champion
    if champion is None:
        return NO_CHAMPION
    gain = paired_difference(out.truth, out.predicted, champion.holdout.predicted, out.groups)
    low = gain.bounds[0]
    finding = f"{gain.value:+.4f} macro F1, at least {low:+.4f}; needed above 0 and {MARGIN}"
    if gain.value == 0:
        return REFUSE, f"{finding}: a tie keeps the champion"
    return _passes(gain.value > 0 and low > MARGIN, finding)


@_point
def nothing_is_forgotten(candidate: ModelCandidate) -> Answer:
    """No class is lost, and on no earlier cohort or class is the candidate worse."""
    out, champion = candidate.evidence.holdout, candidate.champion
    if champion is None:
        return NO_CHAMPION
    if lost := sorted(set(champion.manifest.classes) - set(candidate.manifest.classes)):
        return REFUSE, f"{len(lost)} classes that the champion knew are lost: {', '.join(lost)}"
    before = champion.holdout.predicted == out.truth
    cells = out.cells
    compared = {name: rows for name, rows in cells if len(rows) >= ENOUGH}
    worse = []
    for name, rows in compared.items():
        groups = [out.groups[row] for row in rows]
        gained = out.right[rows].astype(np.float64) - before[rows]
        drop = Interval.of(mean_score(gained, groups, seed=0))
        if drop.value < -MAX_DROP or drop.bounds[0] <= MAX_DROP_LOW:
            worse.append(f"{name} {drop.value:+.3f}, at least {drop.bounds[0]:+.3f}")
    if worse:
        return REFUSE, f"worse on {'; '.join(worse)}"
    return PASS, (
        f"{len(compared)} cohorts and classes of {ENOUGH} or more samples compared, "
        f"{len(cells) - len(compared)} smaller ones"
    )


@_point
def no_data_set_is_forgotten(candidate: ModelCandidate) -> Answer:
    """Every cohort that the champion was trained on is in the candidate's manifest."""
    champion = candidate.champion
    if champion is None:
        return NO_CHAMPION
    known = {cohort.id for cohort in candidate.manifest.cohorts}
    known |= set(candidate.manifest.forgotten_on_purpose)
    if missing := sorted({cohort.id for cohort in champion.manifest.cohorts} - known):
        return REFUSE, (
            f"the champion was trained on {', '.join(missing)}, the candidate was not: bring it "
            "back, or name it in the task's forgotten_on_purpose"
        )
    return PASS, f"all {len(champion.manifest.cohorts)} cohorts of the champion are there"


@_point
def is_calibrated(candidate: ModelCandidate) -> Answer:
    """Calibration is within its limits; too few samples to tell wait for a person."""
    out, champion = candidate.evidence.holdout, candidate.champion
    metrics = calibration_metrics(candidate.evidence.unseen)
    kept = out.confidence >= candidate.manifest.abstain_below
    finding = (
        f"slope {metrics.slope:.2f} [{metrics.slope_low:.2f}, {metrics.slope_high:.2f}] of "
        f"{SLOPES}, ECE {metrics.ece:.3f} of {MAX_ECE}, Brier "
        f"{metrics.brier:.3f}; answers {kept.mean():.0%} of the holdout, "
        f"{out.right[kept].mean():.1%} right"
    )
    if metrics.slope_low > SLOPES[1] or metrics.slope_high < SLOPES[0]:
        return REFUSE, f"the slope is wrong: {finding}"
    if metrics.ece > max(MAX_ECE, metrics.ece_by_chance):
        return REFUSE, f"the probabilities are wrong: {finding}"
    if metrics.ece > MAX_ECE or not SLOPES[0] <= metrics.slope <= SLOPES[1]:
        return WAIT, f"too few samples to tell whether it is calibrated: {finding}"
    if champion is not None:
        now, before = (calibration_metrics(each).brier for each in (out, champion.holdout))
        if now > before + TOLERANCE:
            return REFUSE, f"{finding}; on the holdout {now:.4f}, the champion's was {before:.4f}"
    return PASS, finding


@_point
def is_reproducible(candidate: ModelCandidate) -> Answer:
    """Trained again on the same data, it gives the same probabilities."""
    difference = candidate.evidence.refit_difference
    finding = f"probabilities differ by {difference:.2g}, at most {TOLERANCE}"
    return _passes(difference <= TOLERANCE, finding)


@_point
def evidence_is_complete(candidate: ModelCandidate) -> Answer:
    """No number is missing, the holdout did not shrink, the label mix is the known one."""
    evidence, champion = candidate.evidence, candidate.champion
    numbers = [evidence.refit_difference, evidence.reload_difference, evidence.permuted.value]
    numbers += [score.value for score in evidence.scores.values()]
    if not evidence.scores or not np.isfinite([*numbers, evidence.holdout.shares.sum()]).all():
        return REFUSE, "a metric is missing or not a number"
    if not evidence.holdout.ids:
        return REFUSE, "the holdout is empty"
    if champion is None:
        return PASS, f"{len(evidence.scores)} metrics, {len(evidence.holdout.ids)} held-out samples"
    if lost := set(champion.evidence.holdout.ids) - set(evidence.holdout.ids):
        return REFUSE, f"the holdout lost {len(lost)} samples, such as {min(lost)}"
    if new := sorted(set(candidate.manifest.classes) - set(champion.manifest.classes)):
        return WAIT, f"new classes wait for a person: {', '.join(new)}"
    now, before = (Counter(each.manifest.label_counts) for each in (candidate, champion))
    # Half the sum of differences in share: how much of the mix moved.
    shift = sum(abs(now[x] / now.total() - before[x] / before.total()) for x in {*now, *before}) / 2
    finding = f"the label mix moved by {shift:.3f}, at most {MAX_SHIFT}"
    return (WAIT if shift > MAX_SHIFT else PASS), finding


@_point
def is_stored_safely(candidate: ModelCandidate) -> Answer:
    """The stored file has its hash, names no foreign type, and predicts the same."""
    types = candidate.manifest.types
    if candidate.stored_pipeline_sha256 != candidate.manifest.pipeline_sha256:
        return REFUSE, "the stored file is not the one of the manifest"
    if other := sorted(set(types) - ALLOWED_TYPES):
        return REFUSE, f"the file names {', '.join(other)}"
    difference = candidate.evidence.reload_difference
    finding = f"{len(types)} types, all listed; reloaded it differs by {difference:.2g}"
    return _passes(difference <= TOLERANCE, finding)


@_point
def compared_with_the_present(candidate: ModelCandidate) -> Answer:
    """The candidate is another one than the champion; the pointer swaps for that one only."""
    champion = candidate.champion
    if champion is None:
        return PASS, "the pointer will be created, if nobody else creates it first"
    if champion.manifest.version == candidate.manifest.version:
        return REFUSE, "the candidate is the champion"
    return PASS, f"the pointer swaps if {champion.manifest.version[:12]} is champion still"


@_point
def has_a_card(candidate: ModelCandidate) -> Answer:
    """A card says what the model was made of, how good it is and what it is not for."""
    hashes = [item.data_sha256 for item in candidate.manifest.cohorts]
    wanted = [*CARD_SECTIONS, *(item[:12] for item in hashes)]
    if missing := [item for item in wanted if item not in candidate.card]:
        return REFUSE, f"the model card lacks {', '.join(missing)}"
    return PASS, f"{len(candidate.card):,} characters, {len(hashes)} data hashes"
