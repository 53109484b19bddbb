"""What a stored model says of samples that are not its own: a user's, or another collection's.

It abstains where it cannot know: on a sample unlike those it was trained on, or where no
class is likely enough. For research, not for diagnosing people.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from genept.embeddings.representations import BOTH, EXPRESSION
from genept.models.domain import LEAST_MEASURED, Domain
from genept.models.evidence import ModelManifest
from genept.models.heads import DiagnosisModel
from genept.models.own_samples import LaidOut, Samples, lay_out
from genept.models.registry import ModelRegistry
from genept.tables import REASONS

Matrix = npt.NDArray[np.float32]
GeneVectors = Callable[[str], tuple[Sequence[str], Matrix]]
"""Gene ids and their vectors in a space."""

ANSWERED, UNLIKELY, UNLIKE, TOO_FEW_GENES = REASONS


@dataclass(frozen=True)
class Served:
    """A stored model, verified, with what it takes to say when it does not know."""

    manifest: ModelManifest
    model: DiagnosisModel
    domain: Domain

    @classmethod
    def of(cls, registry: ModelRegistry, manifest: ModelManifest) -> Served:
        """One version of a model.

        Raises
        ------
        ModelRefusedError
            If a file was changed, or the model says something else than when it was trained.
        """
        return cls(manifest, registry.load(manifest), registry.domain(manifest))

    def probabilities(
        self, samples: Samples, vectors: GeneVectors
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], float]:
        """Probabilities (samples × classes), distances, and the share of its genes measured.

        Raises
        ------
        OtherUnitError
            If the samples cannot be brought to the unit that the model reads.
        """
        features, distances, measured = self.read(samples, vectors)
        shares = self.model.probabilities({self.manifest.representation: features})
        return shares, distances, measured

    def read(
        self, samples: Samples, vectors: GeneVectors
    ) -> tuple[Matrix, npt.NDArray[np.float64], float]:
        """What the model reads of samples, their distances, and the share of its genes measured.

        Raises
        ------
        ValueError
            If the samples cannot be brought to the unit that the model reads.
        """
        laid = lay_out(samples, self.manifest.genes, self.manifest.unit)
        features, measured = self._features(laid, vectors)
        distances = self.domain.distances(features, measured)
        return features, distances, float(laid.measured.mean())

    def _features(
        self, laid: LaidOut, vectors: GeneVectors
    ) -> tuple[Matrix, npt.NDArray[np.bool_] | None]:
        """What the model reads; a gene that was not measured is set to its training mean."""
        manifest = self.manifest
        if manifest.representation not in (EXPRESSION, BOTH):
            return laid.embedded(*vectors(manifest.space), manifest.genes), None
        filled = np.where(laid.measured, laid.features, self.domain.mean[: len(manifest.genes)])
        if manifest.representation == EXPRESSION:
            return filled, laid.measured
        embedded = laid.embedded(*vectors(manifest.space), manifest.genes)
        counted = np.concatenate([laid.measured, np.ones(embedded.shape[1], dtype=np.bool_)])
        return np.hstack([filled, embedded]), counted


def diagnose(served: Served, samples: Samples, vectors: GeneVectors) -> pl.DataFrame:
    """What a model says of each sample, and why it does not where it abstains.

    Returns
    -------
    pl.DataFrame
        observation_id, prediction, probability, distance (above 1 a sample is unlike the
        training's), genes_measured (share of the model's), abstained, reason; one row a sample.

    Raises
    ------
    OtherUnitError
        If the samples cannot be brought to the unit that the model reads.
    """
    shares, distances, measured = served.probabilities(samples, vectors)
    likeliest = shares.argmax(axis=1)
    probability = shares.max(axis=1)
    reason = np.select(
        [
            np.full(len(likeliest), measured < LEAST_MEASURED),
            distances > 1,
            probability < served.manifest.abstain_below,
        ],
        [TOO_FEW_GENES, UNLIKE, UNLIKELY],
        ANSWERED,
    )
    return pl.DataFrame(
        {
            "observation_id": samples.ids,
            "prediction": np.asarray(served.manifest.classes)[likeliest],
            "probability": probability,
            "distance": distances,
            "genes_measured": measured,
            "abstained": reason != ANSWERED,
            "reason": reason,
        }
    )
