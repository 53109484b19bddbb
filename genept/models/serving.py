"""Predictions of stored diagnosis models for a user's samples, and for other collections."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.embeddings import (
    BOTH,
    EXPRESSION,
    CollectionTables,
    axis_genes,
    embedding_matrix,
    expression_matrix,
)
from genept.models.confidence import LEAST_MEASURED, Domain, Floats
from genept.models.evidence import ModelManifest
from genept.models.heads import DiagnosisModel
from genept.models.registry import ModelRegistry
from genept.models.stored_models import LIBRARIES
from genept.models.user_samples import LaidOut, Samples, lay_out
from genept.schema import LINEAR
from genept.schema.tables import REASONS
from genept.storage import Lake, NewPart, Origin, Part, sha256_of

Matrix = NDArray[np.float32]

VectorsOfSpace = Callable[[str], tuple[Sequence[str], Matrix]]
"""Gene ids and their vectors in a space."""


ANSWERED, UNLIKELY, UNLIKE, TOO_FEW_GENES = REASONS


@dataclass(frozen=True)
class Served:
    """A stored model, verified, with the domain outside which it abstains.

    Parameters
    ----------
    manifest, model, domain
        What the model is made of, the fitted model, and the distribution of its training samples.
    """

    manifest: ModelManifest
    model: DiagnosisModel
    domain: Domain

    @classmethod
    def of(cls, registry: ModelRegistry, manifest: ModelManifest) -> Served:
        """One version of a model.

        Raises
        ------
        ModelRefusedError
            If a file was changed, or the model predicts something else than when it was trained.
        """
        return cls(manifest, registry.load(manifest), registry.domain(manifest))

    def read(self, samples: Samples, vectors: VectorsOfSpace) -> tuple[Matrix, Floats, float]:
        """What the model reads of samples, their distances, and the share of its genes measured.

        Raises
        ------
        ValueError
            If the samples cannot be brought to the unit that the model reads.
        """
        laid = lay_out(samples, self.manifest.genes, self.manifest.unit)
        features, measured = self._features(laid, vectors)
        return features, self.domain.distances(features, measured), float(laid.measured.mean())

    def _features(
        self, laid: LaidOut, vectors: VectorsOfSpace
    ) -> tuple[Matrix, NDArray[np.bool_] | None]:
        """What the model reads; a gene that was not measured is set to its training mean."""
        manifest = self.manifest
        if manifest.representation not in (EXPRESSION, BOTH):
            return laid.embedded(*vectors(manifest.space), manifest), None
        filled = np.where(laid.measured, laid.features, self.domain.mean[: len(manifest.genes)])
        if manifest.representation == EXPRESSION:
            return filled, laid.measured
        embedded = laid.embedded(*vectors(manifest.space), manifest)
        counted = np.concatenate([laid.measured, np.ones(embedded.shape[1], dtype=np.bool_)])
        return np.hstack([filled, embedded]), counted


def diagnose(served: Served, samples: Samples, vectors: VectorsOfSpace) -> pl.DataFrame:
    """Predict each sample, and say why where the model abstains.

    Parameters
    ----------
    served, samples
        The model, and the samples, in any unit that converts to that of the model.
    vectors
        Gives gene ids and vectors, shape (genes, dimensions), of a space.

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
    features, distances, measured = served.read(samples, vectors)
    shares = served.model.probabilities({served.manifest.representation: features})
    likeliest, probability = shares.argmax(axis=1), shares.max(axis=1)
    reason = np.select(
        [measured < LEAST_MEASURED, distances > 1, probability < served.manifest.abstain_below],
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


SERVED: Final = "sample_diagnoses"
SHADOW: Final = "shadow_diagnoses"
CODE: Final = (
    "genept.models.confidence",
    "genept.models.serving",
    "genept.models.heads",
    "genept.models.user_samples",
    "genept.embeddings",
    "genept.schema.tables",
)


@dataclass(frozen=True)
class BulkCollection:
    """What is read of a collection to diagnose its samples.

    Parameters
    ----------
    id, unit, per_kilobase
        As of `genept.datasources.Collection`.
    axis, expression
        Part of table ``gene_axis``, and the parts of table ``expression``.
    """

    id: str
    unit: str
    axis: Part
    expression: tuple[Part, ...]
    per_kilobase: bool = False

    @classmethod
    def all_of(cls, of: CollectionTables) -> list[BulkCollection]:
        """Every bulk collection of the tables."""
        return [
            cls(each.id, each.unit, of.axis(each), tuple(of.expression(each)), each.per_kilobase)
            for each in of.ingested("bulk")
        ]

    def samples(self, lake: Lake) -> Samples:
        """All of its samples."""
        ids, matrix = expression_matrix(lake, self.expression, self.axis.rows)
        genes = axis_genes(lake, self.axis)
        return Samples(tuple(ids), genes, matrix, self.unit, self.per_kilobase)


def batch_inference(
    lake: Lake,
    registry: ModelRegistry,
    manifests: Sequence[ModelManifest],
    collections: Sequence[BulkCollection],
    vectors: Mapping[str, Part],
    *,
    table: str,
) -> tuple[list[Part], dict[str, str]]:
    """Predict each collection with each model, unless the lake holds the predictions.

    Samples that a model was trained or scored on are left out.

    Parameters
    ----------
    lake, registry
        Where tables and models are kept.
    manifests, collections
        Versions that predict, and collections to predict.
    vectors
        Parts of ``gene_embeddings``, by space.
    table
        ``sample_diagnoses``, or ``shadow_diagnoses`` which is never published.

    Returns
    -------
    parts : list of Part
        Parts of `table`, one per model and collection.
    skipped : dict
        Why a model has no predictions for a collection, by ``model, collection``.

    Raises
    ------
    ModelRefusedError
        If a file of a model was changed, or the model predicts otherwise than when it was trained.
    """
    samples_of = {each.id: cache(partial(each.samples, lake)) for each in collections}

    def predict(
        manifest: ModelManifest, opened: Callable[[], Served], collection: BulkCollection
    ) -> pl.DataFrame:
        samples = samples_of[collection.id]()
        if manifest.collection == collection.id:
            samples = samples.without(registry.evidence(manifest).unseen.ids)
        if not samples.ids:
            return pl.DataFrame()
        rows = diagnose(opened(), samples, lambda space: space_vectors(lake, vectors[space]))
        return rows.sort("observation_id")

    parts: list[Part] = []
    skipped: dict[str, str] = {}
    for manifest in manifests:
        # Opened once, and only if there is something to predict.
        opened = cache(lambda named=manifest: Served.of(registry, named))
        for collection in collections:
            name = f"{manifest.model}, {collection.id}"
            if why := _unfit(manifest, collection, vectors):
                skipped[name] = why
                continue
            rows = partial(predict, manifest, opened, collection)
            read = {"vectors": vectors[manifest.space].sha256}
            predicted = predicted_parts(lake, table, manifest, collection, rows, CODE, read)
            parts += predicted
            if not predicted:
                skipped[name] = "it was trained or measured on every sample of it"
    return parts, skipped


def predicted_parts(
    lake: Lake,
    table: str,
    manifest: ModelManifest,
    collection: BulkCollection,
    predict: Callable[[], pl.DataFrame],
    code: tuple[str, ...],
    inputs: Mapping[str, str],
) -> list[Part]:
    """Predictions of a model for a collection, unless the lake holds them; none without rows.

    `code` and `inputs` decide the rows, beside the model and the expression.
    """

    def compute() -> list[NewPart]:
        if not (rows := predict()).height:
            return []
        named = rows.with_columns(
            model=pl.lit(manifest.model),
            model_version=pl.lit(manifest.version),
            collection_id=pl.lit(collection.id),
        )
        return [NewPart(table, named, (manifest.model, collection.id))]

    read = {
        **inputs,
        "model": manifest.stored_sha256,
        "axis": collection.axis.sha256,
        "expression": sha256_of([part.sha256 for part in collection.expression]),
    }
    settings = {"unit": collection.unit, "reads": collection.per_kilobase, "table": table}
    origin = Origin(code, read, settings, LIBRARIES)
    return lake.build(f"{table}/{manifest.model}/{collection.id}", origin, compute)


def _unfit(
    manifest: ModelManifest, collection: BulkCollection, vectors: Mapping[str, Part]
) -> str | None:
    if manifest.domain_sha256 is None:
        return "it was stored without its domain: `genept run` trains it again"
    if manifest.space not in vectors:
        return f"its space {manifest.space} is not built"
    alike = manifest.unit == collection.unit or {manifest.unit, collection.unit} <= LINEAR
    if not alike and manifest.unit != "zscore":
        return f"it reads {manifest.unit}, and the collection is {collection.unit}"
    return None


def space_vectors(lake: Lake, part: Part) -> tuple[Sequence[str], Matrix]:
    """Gene ids and their vectors, from a part of table ``gene_embeddings``."""
    rows = lake.read_arrow(part, ["ensembl_gene_id", "embedding"])
    return rows["ensembl_gene_id"].to_pylist(), embedding_matrix(rows)
