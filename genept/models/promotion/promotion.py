"""Promotion of stored versions: the gate's verdicts, challengers and champions.

A version that passed the gate is first a challenger, which predicts beside the champion for
`SHADOW_PERIOD`, then champion. The points of the gate are in
`genept.models.promotion.promotion_gate`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from genept.embeddings import BOTH, EXPRESSION
from genept.models.diagnosis import STEPS, DiagnosisModel, predictions_of
from genept.models.evidence import Champion, ModelCandidate, ModelManifest, Predictions
from genept.models.promotion import promotion_gate
from genept.models.registry import ModelRegistry
from genept.models.splits import Rows
from genept.models.stored_models import (
    REFUSE,
    Answer,
    ChampionPointer,
    Shadow,
    Verdict,
    Verdicts,
)

Alone = Callable[[ModelCandidate], Answer]
Beside = Callable[[ModelCandidate, Champion | None], Answer]


def _alone(point: Alone) -> Beside:
    return lambda candidate, _: point(candidate)


POINTS: Final[dict[str, Beside]] = {
    "groups_stay_whole": _alone(promotion_gate.groups_stay_whole),
    "fitted_inside": _alone(promotion_gate.fitted_inside),
    "holdout_is_frozen": _alone(promotion_gate.holdout_is_frozen),
    "sentinels_stay_unknown": _alone(promotion_gate.sentinels_stay_unknown),
    "permuted_labels_teach_nothing": _alone(promotion_gate.permuted_labels_teach_nothing),
    "beats_baselines": _alone(promotion_gate.beats_baselines),
    "not_worse_than_champion": promotion_gate.not_worse_than_champion,
    "nothing_is_forgotten": promotion_gate.nothing_is_forgotten,
    "no_data_set_is_forgotten": promotion_gate.no_data_set_is_forgotten,
    "is_calibrated": promotion_gate.is_calibrated,
    "is_reproducible": _alone(promotion_gate.is_reproducible),
    "evidence_is_complete": promotion_gate.evidence_is_complete,
    "is_stored_safely": _alone(promotion_gate.is_stored_safely),
    "compared_with_the_present": promotion_gate.compared_with_the_present,
    "has_a_card": _alone(promotion_gate.has_a_card),
}
"""In the order of the gate's numbers."""


def judge(candidate: ModelCandidate, champion: Champion | None) -> Verdicts:
    """Evaluate all fifteen points; a point that cannot be evaluated refuses."""
    points = []
    for number, (name, point) in enumerate(POINTS.items(), start=1):
        try:
            outcome, evidence = point(candidate, champion)
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


def judge_candidate(
    registry: ModelRegistry, manifest: ModelManifest, out: Rows, genes: Sequence[str]
) -> Verdicts:
    """Evaluate a version at the gate, beside the champion on the same holdout.

    Parameters
    ----------
    registry
        Where models are kept.
    manifest
        Manifest of the candidate.
    out
        The candidate's holdout, with the features of today.
    genes
        Ensembl ids of the columns of expression.

    Returns
    -------
    Verdicts
        Outcome and evidence of every point.
    """
    candidate = ModelCandidate(
        manifest,
        registry.evidence(manifest),
        registry.card(manifest),
        registry.stored_pipeline_sha256(manifest),
    )
    champion = registry.champion(manifest.model)
    if champion is None:
        return judge(candidate, None)
    seen = champion_predictions(registry.load(champion), champion, out, genes)
    return judge(candidate, Champion(champion, registry.evidence(champion), seen))


def champion_predictions(
    model: DiagnosisModel, manifest: ModelManifest, out: Rows, genes: Sequence[str]
) -> Predictions:
    """Predictions of a champion for samples whose genes may differ from those of its training.

    A gene that is no longer measured is set to its training mean.
    """
    representation = manifest.representation
    features = out.features[representation]
    if representation in {EXPRESSION, BOTH} and tuple(genes) != manifest.genes:
        here = {gene: column for column, gene in enumerate(genes)}
        aligned = np.repeat(
            model.pipeline.named_steps[STEPS[0]].mean_[None, :].astype(np.float32), len(out.ids), 0
        )
        known = [(to, here[gene]) for to, gene in enumerate(manifest.genes) if gene in here]
        to, origin = np.asarray(known, dtype=np.intp).reshape(-1, 2).T
        aligned[:, to] = features[:, origin]
        aligned[:, len(manifest.genes) :] = features[:, len(genes) :]
        features = aligned
    return predictions_of(out, manifest.classes, model.probabilities({representation: features}))


SHADOW_PERIOD: Final = timedelta(hours=12)
"""How long a challenger predicts beside the champion before it is promoted."""


def promote_if_due(
    registry: ModelRegistry, verdicts: Verdicts, *, now: datetime | None = None
) -> str:
    """Promote a version that passed the gate, if it may be promoted by now.

    The first model of a task is champion at once. Another one first shadows the champion for
    `SHADOW_PERIOD`. An earlier champion is not promoted again: no run undoes a rollback.

    Parameters
    ----------
    registry, verdicts
        Where models are kept; verdicts on the version.
    now
        Time of the decision; by default the present.

    Returns
    -------
    str
        The decision and its reason.

    Raises
    ------
    ConflictError
        If another version became champion meanwhile.
    """
    pointer, _ = registry.pointer(verdicts.model)
    if why := _not_now(pointer, verdicts):
        return why
    manifest = registry.manifest(verdicts.model, verdicts.version)
    if pointer is None:
        registry.promote(manifest, reason="passed the gate, the first", instead_of=None)
        return "promoted: the first that passed the gate"
    shadow = registry.shadow(verdicts.model, verdicts.version)
    now = now or datetime.now(UTC)
    if shadow is None or now - datetime.fromisoformat(shadow.since) < SHADOW_PERIOD:
        return "passed the gate, and shadows the champion until the next nightly run"
    reason = f"passed the gate, and shadowed the champion since {shadow.since}"
    registry.promote(manifest, reason=reason, instead_of=verdicts.champion_version)
    return f"promoted: {reason}"


def _not_now(pointer: ChampionPointer | None, verdicts: Verdicts) -> str | None:
    champions = [named.version for named in pointer.models] if pointer else []
    reasons = {
        "is champion": champions[:1] == [verdicts.version],
        "was champion before: no run undoes a rollback": verdicts.version in champions,
        f"refused: {', '.join(named.name for named in verdicts.refused)}": bool(verdicts.refused),
        f"waits for a person: {', '.join(named.name for named in verdicts.waiting)}": bool(
            verdicts.waiting
        ),
        "passed beside a champion that is no longer there": pointer is not None
        and pointer.champion.version != verdicts.champion_version,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def promote_challenger(registry: ModelRegistry, model: str, *, now: datetime | None = None) -> None:
    """Promote the challenger of an earlier run, before another one is trained.

    Parameters
    ----------
    registry
        Where models are kept.
    model
        Name of the model.
    now
        Time of the decision; by default the present.
    """
    manifest = challenger(registry, model)
    verdicts = registry.verdicts(model, manifest.version) if manifest else None
    if verdicts is not None:
        promote_if_due(registry, verdicts, now=now)


def challenger(registry: ModelRegistry, model: str) -> ModelManifest | None:
    """The newest version that passed the gate beside the champion and is not promoted yet.

    Parameters
    ----------
    registry
        Where models are kept.
    model
        Name of the model.

    Returns
    -------
    ModelManifest or None
        The challenger, if there is one.
    """
    pointer, _ = registry.pointer(model)
    if pointer is None:
        return None
    champions = {named.version for named in pointer.models}
    for version, _ in reversed(registry.history(model)):
        if version in champions:
            continue
        verdicts = registry.verdicts(model, version)
        if (
            verdicts is not None
            and verdicts.promotes
            and verdicts.champion_version == pointer.champion.version
        ):
            return registry.manifest(model, version)
    return None


def begin_shadow(registry: ModelRegistry, manifest: ModelManifest) -> Shadow:
    """Record since when a challenger predicts beside the champion.

    Parameters
    ----------
    registry
        Where models are kept.
    manifest
        Manifest of the challenger.

    Returns
    -------
    Shadow
        The record, as it was first stored.
    """
    known = registry.shadow(manifest.model, manifest.version)
    if known is not None:
        return known
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return registry.keep_shadow(Shadow(model=manifest.model, version=manifest.version, since=since))


def agreement(champion: pl.DataFrame, shadow: pl.DataFrame) -> pl.DataFrame:
    """Agreement of a challenger with the champion on the same samples, by collection.

    Parameters
    ----------
    champion
        Predictions of the champion, rows of ``sample_diagnoses``.
    shadow
        Predictions of the challenger, rows of ``shadow_diagnoses``.

    Returns
    -------
    pl.DataFrame
        model, collection_id, samples, answered_by_both, same (share of these), and how many
        samples each alone answers.
    """
    keys = ["model", "collection_id", "observation_id"]
    both = champion.join(shadow, on=keys, suffix="_shadow")
    answered = ~pl.col("abstained") & ~pl.col("abstained_shadow")
    same = pl.col("prediction") == pl.col("prediction_shadow")
    return (
        both.group_by("model", "collection_id")
        .agg(
            pl.len().alias("samples"),
            answered.sum().alias("answered_by_both"),
            same.filter(answered).mean().alias("same"),
            (~pl.col("abstained") & pl.col("abstained_shadow")).sum().alias("champion_alone"),
            (pl.col("abstained") & ~pl.col("abstained_shadow")).sum().alias("challenger_alone"),
        )
        .sort("model", "collection_id")
    )
