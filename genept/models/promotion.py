"""Promotion of stored versions: challengers, their time as shadows, and champions.

A version that passed the gate is first a challenger, which predicts beside the champion for
`SHADOW_PERIOD`, then champion. The gate is in `genept.models.promotion_gate`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from genept.embeddings import BOTH, EXPRESSION
from genept.models.diagnosis import predictions_of
from genept.models.evidence import Champion, ModelCandidate, ModelManifest, Predictions
from genept.models.heads import STEPS, DiagnosisModel
from genept.models.holdout import Rows
from genept.models.promotion_gate import judge
from genept.models.registry import ModelRegistry
from genept.models.stored_models import ChampionPointer, Shadow, Verdict, Verdicts
from genept.models.user_samples import positions


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
    named, champion = registry.champion(manifest.model), None
    if named is not None:
        seen = champion_predictions(registry.load(named), named, out, genes)
        champion = Champion(named, registry.evidence(named), seen)
    evidence, card = registry.evidence(manifest), registry.card(manifest)
    stored = registry.stored_pipeline_sha256(manifest)
    return judge(ModelCandidate(manifest, evidence, card, stored, champion))


def champion_predictions(
    model: DiagnosisModel, manifest: ModelManifest, out: Rows, genes: Sequence[str]
) -> Predictions:
    """Predictions of a champion for samples whose genes may differ from those of its training.

    A gene that is no longer measured is set to its training mean.
    """
    representation = manifest.representation
    features = out.features[representation]
    if representation in {EXPRESSION, BOTH} and tuple(genes) != manifest.genes:
        columns = positions(manifest.genes, genes)
        known = np.flatnonzero(columns >= 0)
        aligned = np.repeat(
            model.pipeline.named_steps[STEPS[0]].mean_[None, :].astype(np.float32), len(out.ids), 0
        )
        aligned[:, known] = features[:, columns[known]]
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
        hours = SHADOW_PERIOD // timedelta(hours=1)
        return f"passed the gate; shadows the champion until a training {hours} h later or more"
    reason = f"passed the gate, and shadowed the champion since {shadow.since}"
    registry.promote(manifest, reason=reason, instead_of=verdicts.champion_version)
    return f"promoted: {reason}"


def _not_now(pointer: ChampionPointer | None, verdicts: Verdicts) -> str | None:
    champions = [named.version for named in pointer.models] if pointer else []

    def names(points: Sequence[Verdict]) -> str:
        return ", ".join(point.name for point in points)

    if champions[:1] == [verdicts.version]:
        return "is champion"
    if verdicts.version in champions:
        return "was champion before: no run undoes a rollback"
    if verdicts.refused:
        return f"refused: {names(verdicts.refused)}"
    if verdicts.waiting:
        return f"waits for a person: {names(verdicts.waiting)}"
    if champions and champions[0] != verdicts.champion_version:
        return "passed beside a champion that is no longer there"
    return None


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
    champion, champions = pointer.champion.version, {named.version for named in pointer.models}
    for version, _ in reversed(registry.history(model)):
        verdicts = None if version in champions else registry.verdicts(model, version)
        if verdicts and verdicts.promotes and verdicts.champion_version == champion:
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
    both = champion.join(shadow, on=["model", "collection_id", "observation_id"], suffix="_shadow")
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
