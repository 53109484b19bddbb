"""The gate asked about a stored version: the champion is scored beside it on the same holdout.

What the gate asks is in `genept.models.gate`; how models are stored in `genept.models.registry`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genept.embeddings.representations import BOTH, EXPRESSION
from genept.models.evidence import Candidate, Champion, ModelManifest, Predictions
from genept.models.gate import judge
from genept.models.heads import STEPS, DiagnosisModel
from genept.models.holdout import Rows
from genept.models.registry import ModelRegistry
from genept.models.retraining import predictions_of
from genept.models.verdicts import Verdicts


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
    candidate = Candidate(
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
