"""What champions say of every bulk collection, and what challengers would say, unheard.

A champion is asked about each sample that it was neither trained nor measured on. Its
challenger is asked the same for a night and only recorded: nobody is served by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from genept.embeddings.expression import embedding_matrix, expression_matrix
from genept.models.evidence import ModelManifest
from genept.models.own_samples import Matrix, Samples
from genept.models.registry import ModelRegistry
from genept.models.serving import Served, diagnose
from genept.store.lake import Lake, NewPart, Part
from genept.store.provenance import Origin, sha256_of

SERVED: Final = "sample_diagnoses"
SHADOW: Final = "shadow_diagnoses"
_CODE: Final = (
    *(f"genept.models.{name}" for name in ("domain", "everywhere", "heads", "own_samples")),
    *("genept.models.serving", "genept.models.tempering", "genept.embeddings", "genept.tables"),
)
_LIBRARIES: Final = ("numpy", "scikit-learn", "scipy")


@dataclass(frozen=True)
class BulkCollection:
    """What is read of a collection to diagnose its samples."""

    id: str
    unit: str
    axis: Part
    expression: tuple[Part, ...]

    def samples(self, lake: Lake) -> Samples:
        """All of its samples."""
        ids, matrix = expression_matrix(lake, self.expression, self.axis.rows)
        axis = lake.read(self.axis, ["gene_index", "ensembl_gene_id"]).sort("gene_index")
        return Samples(tuple(ids), tuple(axis["ensembl_gene_id"]), matrix, self.unit)


@dataclass(frozen=True)
class Asked:
    """What came of asking some models about some collections.

    Parameters
    ----------
    not_asked
        Why a model was not asked about a collection, by ``model, collection``.
    """

    parts: tuple[Part, ...]
    not_asked: Mapping[str, str]


def ask_everywhere(
    lake: Lake,
    registry: ModelRegistry,
    manifests: Sequence[ModelManifest],
    collections: Sequence[BulkCollection],
    vectors: Mapping[str, Part],
    *,
    table: str,
) -> Asked:
    """Ask each model about each collection, unless the lake remembers what it said.

    Parameters
    ----------
    vectors
        Parts of ``gene_embeddings``, by space.
    table
        ``sample_diagnoses``, or ``shadow_diagnoses`` which is never published.
    """
    parts: list[Part] = []
    not_asked: dict[str, str] = {}
    read: dict[str, Samples] = {}
    for manifest in manifests:
        served: list[Served] = []  # opened once, and only if there is something to ask
        for collection in collections:
            name = f"{manifest.model}, {collection.id}"
            if why := _unaskable(manifest, collection, vectors):
                not_asked[name] = why
                continue

            def compute(
                manifest: ModelManifest = manifest,
                collection: BulkCollection = collection,
                served: list[Served] = served,
            ) -> list[NewPart]:
                if not served:
                    served.append(Served.of(registry, manifest))
                if collection.id not in read:
                    read[collection.id] = collection.samples(lake)
                known = _known(registry, manifest, collection.id)
                asked = _new(read[collection.id], known)
                return _answers(lake, served[0], asked, (table, collection.id), vectors)

            origin = Origin(
                _CODE,
                {
                    "model": manifest.stored_sha256,
                    "axis": collection.axis.sha256,
                    "expression": sha256_of([part.sha256 for part in collection.expression]),
                    "vectors": vectors[manifest.space].sha256,
                },
                {"unit": collection.unit, "table": table},
                _LIBRARIES,
            )
            step = f"{table}/{manifest.model}/{collection.id}"
            found = lake.build(step, origin, compute)
            parts += found
            if not found:
                not_asked[name] = "it was trained or measured on every sample of it"
    return Asked(tuple(parts), not_asked)


def _unaskable(
    manifest: ModelManifest, collection: BulkCollection, vectors: Mapping[str, Part]
) -> str | None:
    if manifest.domain_sha256 is None:
        return "it was stored without its domain: `genept run` trains it again"
    if manifest.space not in vectors:
        return f"its space {manifest.space} is not built"
    abundances = {"counts", "tpm"}
    alike = manifest.unit == collection.unit or {manifest.unit, collection.unit} <= abundances
    if not alike and manifest.unit != "zscore":
        return f"it reads {manifest.unit}, and the collection is {collection.unit}"
    return None


def _known(registry: ModelRegistry, manifest: ModelManifest, collection: str) -> set[str]:
    """Samples that the model was trained or measured on: table `diagnosis_predictions` has them."""
    if manifest.collection != collection:
        return set()
    evidence = registry.evidence(manifest)
    return {*evidence.out_of_fold.ids, *evidence.holdout.ids}


def _new(samples: Samples, known: set[str]) -> Samples:
    new = np.array([one not in known for one in samples.ids], dtype=np.bool_)
    ids = tuple(one for one, is_new in zip(samples.ids, new, strict=True) if is_new)
    return Samples(ids, samples.genes, samples.expression[new], samples.unit)


def _answers(
    lake: Lake,
    served: Served,
    asked: Samples,
    to: tuple[str, str],
    vectors: Mapping[str, Part],
) -> list[NewPart]:
    """Rows about some samples; `to` names their table and collection."""
    if not asked.ids:
        return []

    def of_space(space: str) -> tuple[Sequence[str], Matrix]:
        rows = lake.read_arrow(vectors[space], ["ensembl_gene_id", "embedding"])
        return rows["ensembl_gene_id"].to_pylist(), embedding_matrix(rows)

    manifest, (table, collection) = served.manifest, to
    rows = diagnose(served, asked, of_space).select(
        pl.lit(manifest.model).alias("model"),
        pl.lit(manifest.version).alias("model_version"),
        pl.lit(collection).alias("collection_id"),
        pl.all(),
    )
    return [NewPart(table, rows.sort("observation_id"), (manifest.model, collection))]
