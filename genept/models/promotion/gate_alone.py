"""Points of the gate that the candidate answers alone.

Each is a function of typed evidence and blocks by itself. What the champion has a say in is
in `genept.models.promotion.promotion_gate`.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.stats import binom

from genept.models.diagnosis.heads import STEPS
from genept.models.evidence import Interval, ModelCandidate, paired_difference
from genept.models.splits.holdout import Holdout
from genept.models.stored_models import ALLOWED_TYPES, PASS, REFUSE, Answer

SENTINEL_P: Final = 0.001
TOLERANCE: Final = 1e-6
CARD_SECTIONS: Final = ("## Data", "## Cohorts", "## Metrics", "## Limits", "Research use")


def groups_stay_whole(candidate: ModelCandidate) -> Answer:
    """No patient, line, donor or near-duplicate is on two sides of a split."""
    seen, out = candidate.evidence.out_of_fold, candidate.evidence.holdout
    folds: dict[str, set[int]] = {}
    for group, fold in zip(seen.groups, seen.folds or (), strict=True):
        folds.setdefault(group, set()).add(fold)
    cut = sorted(group for group, found in folds.items() if len(found) > 1)
    shared = sorted(set(folds) & set(out.groups))
    if cut or shared:
        return REFUSE, (
            f"{len(cut)} groups lie in two folds and {len(shared)} in training and holdout, such "
            f"as {(cut + shared)[0]}"
        )
    if twins := candidate.evidence.cut_duplicates:
        return REFUSE, (
            f"{len(twins)} pairs of nearly equal profiles lie on two sides of a split, such as "
            f"{twins[0]}: one patient under two ids; tie them with `connected_groups`"
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
    found = candidate.evidence
    k = len(candidate.manifest.classes)
    if binom.pmf(found.n_sentinels, found.n_sentinels, 1 / k) > SENTINEL_P:
        return REFUSE, f"{found.n_sentinels} sentinels are too few to tell a leak from chance"
    p = float(binom.sf(found.sentinels_right - 1, found.n_sentinels, 1 / k))
    said = f"{found.sentinels_right} of {found.n_sentinels} random labels predicted, p = {p:.2g}"
    return (REFUSE if p <= SENTINEL_P else PASS), f"{said}; a leak at p ≤ {SENTINEL_P}"


def permuted_labels_teach_nothing(candidate: ModelCandidate) -> Answer:
    """A run on permuted labels lands at chance."""
    found, chance = candidate.evidence.permuted, 1 / len(candidate.manifest.classes)
    low, high = bounds(found)
    said = f"balanced accuracy {found.value:.3f} [{low:.3f}, {high:.3f}]"
    return (PASS if low <= chance else REFUSE), f"{said}; chance is {chance:.3f}"


def beats_baselines(candidate: ModelCandidate) -> Answer:
    """Macro F1 above every baseline's, by the lower bound over whole groups."""
    out = candidate.evidence.holdout
    if not candidate.evidence.baselines:
        return REFUSE, "there is no baseline to beat"
    gains = {
        name: paired_difference(out.truth, out.predicted, np.asarray(predicted), out.groups)
        for name, predicted in candidate.evidence.baselines.items()
    }
    said = "; ".join(
        f"{name}: +{one.value:.3f}, at least {one.low:.3f}" for name, one in gains.items()
    )
    return (PASS if all(bounds(one)[0] > 0 for one in gains.values()) else REFUSE), said


def is_reproducible(candidate: ModelCandidate) -> Answer:
    """Trained again on the same data, it gives the same probabilities."""
    found = candidate.evidence.refit_difference
    same = found <= TOLERANCE
    return (PASS if same else REFUSE), f"probabilities differ by {found:.2g}, at most {TOLERANCE}"


def is_stored_safely(candidate: ModelCandidate) -> Answer:
    """The stored file has its hash, names no foreign type, and predicts the same."""
    if candidate.stored_pipeline_sha256 != candidate.manifest.pipeline_sha256:
        return REFUSE, "the stored file is not the one of the manifest"
    if other := sorted(set(candidate.manifest.types) - ALLOWED_TYPES):
        return REFUSE, f"the file names {', '.join(other)}"
    found = candidate.evidence.reload_difference
    said = f"{len(candidate.manifest.types)} types, all listed; reloaded it differs by {found:.2g}"
    return (PASS if found <= TOLERANCE else REFUSE), said


def has_a_card(candidate: ModelCandidate) -> Answer:
    """A card says what the model was made of, how good it is and what it is not for."""
    hashes = [one.data_sha256 for one in candidate.manifest.cohorts]
    wanted = [*CARD_SECTIONS, *(one[:12] for one in hashes)]
    missing = [one for one in wanted if one not in candidate.card]
    if missing:
        return REFUSE, f"the model card lacks {', '.join(missing)}"
    return PASS, f"{len(candidate.card):,} characters, {len(hashes)} data hashes"


def bounds(found: Interval) -> tuple[float, float]:
    """The interval, which must be there.

    Raises
    ------
    ValueError
        If it is not: the point that asked cannot be answered.
    """
    if found.low is None or found.high is None:
        raise ValueError("an interval is missing")
    return found.low, found.high
