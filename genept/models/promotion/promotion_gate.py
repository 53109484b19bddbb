"""The promotion gate: fifteen questions that a candidate must answer before it is champion.

Those that it answers alone are in `genept.models.promotion.gate_alone`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genept.models.evidence import (
    CalibrationMetrics,
    Champion,
    Interval,
    ModelCandidate,
    Predictions,
    calibration_metrics,
    paired_difference,
    recall_difference,
)
from genept.models.promotion import gate_alone
from genept.models.promotion.gate_alone import TOLERANCE, bounds
from genept.models.stored_models import PASS, REFUSE, WAIT, Answer, Verdict, Verdicts

ENOUGH: Final = 30
"""Samples of a class or cohort from which a drop is told from noise."""

MAX_DROP: Final = 0.02

MAX_DROP_LOW: Final = -0.05

MARGIN: Final = -0.01

MAX_ECE: Final = 0.05

SLOPES: Final = (0.8, 1.2)

MAX_SHIFT: Final = 0.1


def not_worse_than_champion(candidate: ModelCandidate, champion: Champion | None) -> Answer:
    """Macro F1 on the same holdout above the champion's; a tie keeps the champion."""
    if champion is None:
        return PASS, "there is no champion yet"
    out = candidate.evidence.holdout
    found = paired_difference(out.truth, out.predicted, champion.holdout.predicted, out.groups)
    low = bounds(found)[0]
    said = f"{found.value:+.4f} macro F1, at least {low:+.4f}; needed above 0 and {MARGIN}"
    if found.value == 0:
        return REFUSE, f"{said}: a tie keeps the champion"
    return (PASS if found.value > 0 and low > MARGIN else REFUSE), said


def nothing_is_forgotten(candidate: ModelCandidate, champion: Champion | None) -> Answer:
    """No class is lost, and on no earlier cohort or class is the candidate worse."""
    if champion is None:
        return PASS, "there is no champion yet"
    if lost := sorted(set(champion.manifest.classes) - set(candidate.manifest.classes)):
        return REFUSE, f"{len(lost)} classes that the champion knew are lost: {', '.join(lost)}"
    worse, small, asked = [], 0, 0
    for name, rows in cohort_cells(candidate.evidence.holdout):
        if len(rows) < ENOUGH:
            small += 1
            continue
        asked += 1
        drop = _drop(candidate, champion, rows)
        if drop.value < -MAX_DROP or bounds(drop)[0] <= MAX_DROP_LOW:
            worse.append(f"{name} {drop.value:+.3f}, at least {bounds(drop)[0]:+.3f}")
    said = f"{asked} cohorts and classes of {ENOUGH} or more samples compared, {small} smaller ones"
    return (REFUSE, f"worse on {'; '.join(worse)}") if worse else (PASS, said)


def no_data_set_is_forgotten(candidate: ModelCandidate, champion: Champion | None) -> Answer:
    """Every cohort that the champion was trained on is in the candidate's manifest."""
    if champion is None:
        return PASS, "there is no champion yet"
    known = {one.id for one in candidate.manifest.cohorts}
    known |= set(candidate.manifest.forgotten_on_purpose)
    if missing := sorted({one.id for one in champion.manifest.cohorts} - known):
        return REFUSE, (
            f"the champion was trained on {', '.join(missing)}, the candidate was not: bring it "
            "back, or name it in the task's forgotten_on_purpose"
        )
    return PASS, f"all {len(champion.manifest.cohorts)} cohorts of the champion are there"


def is_calibrated(candidate: ModelCandidate, champion: Champion | None) -> Answer:
    """Probabilities can be believed, and abstaining pays."""
    found = _calibration(candidate.evidence.out_of_fold, candidate.evidence.holdout)
    top = candidate.evidence.holdout.shares.max(axis=1)
    kept = top >= candidate.manifest.abstain_below
    right = candidate.evidence.holdout.predicted == candidate.evidence.holdout.truth
    said = (
        f"slope {found.slope:.2f} of {SLOPES}, ECE {found.ece:.3f} of {MAX_ECE}, Brier "
        f"{found.brier:.3f}; answers {kept.mean():.0%} of the holdout, "
        f"{right[kept].mean():.1%} right"
    )
    if not (SLOPES[0] <= found.slope <= SLOPES[1] and found.ece <= MAX_ECE):
        return REFUSE, said
    if champion is not None:
        now = _calibration(candidate.evidence.holdout).brier
        before = _calibration(champion.holdout).brier
        if now > before + TOLERANCE:
            return REFUSE, f"{said}; on the holdout {now:.4f}, the champion's was {before:.4f}"
    return PASS, said


def evidence_is_complete(candidate: ModelCandidate, champion: Champion | None) -> Answer:
    """No number is missing, the holdout did not shrink, the label mix is the known one."""
    found = candidate.evidence
    numbers = [found.refit_difference, found.reload_difference, found.permuted.value]
    numbers += [one.value for one in found.scores.values()] + [float(found.holdout.shares.sum())]
    if not found.scores or not all(math.isfinite(one) for one in numbers):
        return REFUSE, "a metric is missing or not a number"
    if not found.holdout.ids:
        return REFUSE, "the holdout is empty"
    if champion is None:
        return PASS, f"{len(found.scores)} metrics, {len(found.holdout.ids)} held-out samples"
    if lost := set(champion.evidence.holdout.ids) - set(found.holdout.ids):
        return REFUSE, f"the holdout lost {len(lost)} samples, such as {min(lost)}"
    if new := sorted(set(candidate.manifest.classes) - set(champion.manifest.classes)):
        return WAIT, f"new classes wait for a person: {', '.join(new)}"
    shift = _shift(candidate.manifest.label_counts, champion.manifest.label_counts)
    said = f"the label mix moved by {shift:.3f}, at most {MAX_SHIFT}"
    return (WAIT if shift > MAX_SHIFT else PASS), said


def compared_with_the_present(candidate: ModelCandidate, champion: Champion | None) -> Answer:
    """The candidate is another one than the champion; the pointer swaps for that one only."""
    if champion is None:
        return PASS, "the pointer will be created, if nobody else creates it first"
    if champion.manifest.version == candidate.manifest.version:
        return REFUSE, "the candidate is the champion"
    return PASS, f"the pointer swaps if {champion.manifest.version[:12]} is champion still"


def cohort_cells(out: Predictions) -> list[tuple[str, NDArray[np.intp]]]:
    """Rows of every cohort, and of every class in every cohort."""
    cohorts = np.asarray(out.cohorts)
    found = []
    for cohort in sorted(set(out.cohorts)):
        found.append((cohort, np.flatnonzero(cohorts == cohort)))
        found += [
            (f"{cohort}, {label}", np.flatnonzero((cohorts == cohort) & (out.truth == label)))
            for label in sorted(set(out.labels))
        ]
    return found


def _drop(candidate: ModelCandidate, champion: Champion, rows: NDArray[np.intp]) -> Interval:
    out = candidate.evidence.holdout
    return recall_difference(
        (out.predicted == out.truth)[rows],
        (champion.holdout.predicted == out.truth)[rows],
        [out.groups[row] for row in rows],
    )


def _calibration(*several: Predictions) -> CalibrationMetrics:
    shares = np.concatenate([one.shares for one in several])
    classes = np.asarray(several[0].classes)
    truth = np.concatenate([np.searchsorted(classes, one.truth) for one in several])
    return calibration_metrics(shares, truth)


def _shift(now: dict[str, int], before: dict[str, int]) -> float:
    """Half the sum of differences in share: how much of the mix moved."""
    a, b = Counter(now), Counter(before)
    return sum(abs(a[one] / a.total() - b[one] / b.total()) for one in {*a, *b}) / 2


Point = Callable[[ModelCandidate, Champion | None], Answer]


def _alone(ask: Callable[[ModelCandidate], Answer]) -> Point:
    return lambda candidate, _: ask(candidate)


POINTS: Final[dict[str, Point]] = {
    "groups_stay_whole": _alone(gate_alone.groups_stay_whole),
    "fitted_inside": _alone(gate_alone.fitted_inside),
    "holdout_is_frozen": _alone(gate_alone.holdout_is_frozen),
    "sentinels_stay_unknown": _alone(gate_alone.sentinels_stay_unknown),
    "permuted_labels_teach_nothing": _alone(gate_alone.permuted_labels_teach_nothing),
    "beats_baselines": _alone(gate_alone.beats_baselines),
    "not_worse_than_champion": not_worse_than_champion,
    "nothing_is_forgotten": nothing_is_forgotten,
    "no_data_set_is_forgotten": no_data_set_is_forgotten,
    "is_calibrated": is_calibrated,
    "is_reproducible": _alone(gate_alone.is_reproducible),
    "evidence_is_complete": evidence_is_complete,
    "is_stored_safely": _alone(gate_alone.is_stored_safely),
    "compared_with_the_present": compared_with_the_present,
    "has_a_card": _alone(gate_alone.has_a_card),
}
"""In the order of the gate's numbers."""


def judge(candidate: ModelCandidate, champion: Champion | None) -> Verdicts:
    """Ask all fifteen points; a point that cannot be answered refuses."""
    points = []
    for number, (name, ask) in enumerate(POINTS.items(), start=1):
        try:
            outcome, evidence = ask(candidate, champion)
        except (ValueError, ZeroDivisionError) as error:
            outcome, evidence = REFUSE, f"cannot be answered: {error}"
        points.append(
            Verdict.model_validate(
                {"point": number, "name": name, "outcome": outcome, "evidence": evidence}
            )
        )
    return Verdicts(
        model=candidate.manifest.model,
        version=candidate.manifest.version,
        collection=candidate.manifest.collection,
        champion_version=champion.manifest.version if champion else None,
        points=tuple(points),
    )
