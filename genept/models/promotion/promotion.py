"""The gate asked about a stored version; and challengers, which predict beside the champion.

A version that passed is first a challenger for a nightly run, then champion.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from genept.embeddings.representations import BOTH, EXPRESSION
from genept.models.diagnosis.heads import STEPS, DiagnosisModel
from genept.models.diagnosis.retraining import predictions_of
from genept.models.evidence import Champion, ModelCandidate, ModelManifest, Predictions
from genept.models.promotion.promotion_gate import judge
from genept.models.registry import ModelRegistry
from genept.models.splits.holdout import Rows
from genept.models.stored_models import ChampionPointer, Shadow, Verdicts


def judge_candidate(
    registry: ModelRegistry, manifest: ModelManifest, out: Rows, genes: Sequence[str]
) -> Verdicts:
    """Ask the gate about a version, beside the champion on the same holdout.

    Parameters
    ----------
    out
        The candidate's holdout, with the features of today.
    genes
        Ensembl ids of the columns of expression.
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
    """What a champion says of samples whose genes may be others than it was trained on.

    A gene that is no longer measured is set to its training mean, which says nothing.
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


NIGHT: Final = timedelta(hours=12)
"""How long a challenger predicts beside the champion before it is promoted."""


def promote_if_due(
    registry: ModelRegistry, verdicts: Verdicts, *, now: datetime | None = None
) -> str:
    """Promote what passed, if it may be by now; says what was decided, and why.

    The first model of a task is champion at once. Another one shadows the champion for a
    night. One that was champion before stays where it is: no run undoes a rollback.
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
    if shadow is None or now - datetime.fromisoformat(shadow.since) < NIGHT:
        return "passed the gate, and shadows the champion for a night"
    reason = f"passed the gate, and shadowed the champion since {shadow.since}"
    registry.promote(manifest, reason=reason, instead_of=verdicts.champion_version)
    return f"promoted: {reason}"


def _not_now(pointer: ChampionPointer | None, verdicts: Verdicts) -> str | None:
    been = [one.version for one in pointer.models] if pointer else []
    reasons = {
        "is champion": been[:1] == [verdicts.version],
        "was champion before: no run undoes a rollback": verdicts.version in been,
        f"refused: {', '.join(one.name for one in verdicts.refused)}": bool(verdicts.refused),
        f"waits for a person: {', '.join(one.name for one in verdicts.waiting)}": bool(
            verdicts.waiting
        ),
        "passed beside a champion that is no longer there": pointer is not None
        and pointer.champion.version != verdicts.champion_version,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def promote_challenger(registry: ModelRegistry, model: str, *, now: datetime | None = None) -> None:
    """Let the challenger of an earlier night take its place, before another one is trained."""
    manifest = challenger(registry, model)
    verdicts = registry.verdicts(model, manifest.version) if manifest else None
    if verdicts is not None:
        promote_if_due(registry, verdicts, now=now)


def challenger(registry: ModelRegistry, model: str) -> ModelManifest | None:
    """The newest version that passed the gate beside the champion and is not promoted yet."""
    pointer, _ = registry.pointer(model)
    if pointer is None:
        return None
    been = {one.version for one in pointer.models}
    for version, _ in reversed(registry.history(model)):
        if version in been:
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
    """Remember since when a challenger's predictions are recorded."""
    known = registry.shadow(manifest.model, manifest.version)
    if known is not None:
        return known
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return registry.keep_shadow(Shadow(model=manifest.model, version=manifest.version, since=since))


def agreement(champion: pl.DataFrame, shadow: pl.DataFrame) -> pl.DataFrame:
    """How far a challenger agrees with the champion on the same samples, by collection.

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
