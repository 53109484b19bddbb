"""Registry of trained models in the bucket: immutable versions, and the champion of each model.

A promotion is one compare-and-swap of the pointer; the last five champions are kept, so that a
rollback needs no training. The gate is in `genept.models.promotion_gate`.
"""

import hashlib
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, TypeVar

from safetensors.numpy import load

from genept.common import ConflictError, MissingObjectError, StoreError
from genept.models.confidence import Calibration, Domain
from genept.models.evidence import ModelEvidence, ModelManifest
from genept.models.heads import PROBE_TOLERANCE, Contender, DiagnosisModel, probe_difference
from genept.models.stored_models import (
    ChampionPointer,
    ModelRefusedError,
    NamedVersion,
    Shadow,
    TrainedModel,
    Verdicts,
    load_pipeline,
)
from genept.storage import Document, ObjectStore, SwappedDocument

Stored = TypeVar("Stored", bound=Document)

KEPT: Final = 5

FILES: Final = {
    "pipeline": "model.skops",
    "probe": "probe.safetensors",
    "domain": "domain.safetensors",
    "evidence": "evidence.json",
    "card": "card.md",
}
"""Ends of the names of a version's files; the manifest has the hash of each."""


class ModelRegistry:
    """The models of one product in one bucket.

    Parameters
    ----------
    store, product
        The bucket, and the product below whose ``models/`` everything is kept.
    """

    def __init__(self, store: ObjectStore, product: str) -> None:
        self.store = store
        self.prefix = f"{product}/models"

    def submit(self, trained: TrainedModel) -> None:
        """Store a version, its manifest last: a version without a manifest does not exist."""
        manifest, files = trained.manifest, trained.files
        bodies = {name: getattr(files, name) for name in ("pipeline", "probe", "domain")}
        bodies |= {"evidence": trained.evidence.body(), "card": trained.card.encode()}
        for part, body in bodies.items():
            # Files hold the time of day: those of a killed run have other names.
            self.store.put_if_absent(self._file(manifest, part), body)
        key = self._manifest_key(manifest.model, manifest.version)
        self.store.put_if_absent(key, manifest.body())

    def has(self, model: str, version: str) -> bool:
        """Whether a version is complete."""
        return self.store.exists(self._manifest_key(model, version))

    def manifest(self, model: str, version: str, *, sha256: str | None = None) -> ModelManifest:
        """The manifest of a version; checked against `sha256` if given."""
        key = self._manifest_key(model, version)
        try:
            body = self.store.get(key)
        except MissingObjectError:
            raise StoreError(
                f"model {model!r} has no version {version!r}: see `genept models list`"
            ) from None
        if sha256 is not None and hashlib.sha256(body).hexdigest() != sha256:
            raise ModelRefusedError(f"{self.store.uri(key)} is not the manifest of the champion")
        return ModelManifest.parse(body, self.store.uri(key))

    def evidence(self, manifest: ModelManifest) -> ModelEvidence:
        """What was measured when the version was trained."""
        return ModelEvidence.parse(self._verified(manifest, "evidence"), manifest.version)

    def card(self, manifest: ModelManifest) -> str:
        """The model card, Markdown."""
        return self._verified(manifest, "card").decode()

    def domain(self, manifest: ModelManifest) -> Domain:
        """The domain of samples that the version may predict; StoreError where none was stored."""
        if manifest.domain_sha256 is None:
            raise StoreError(
                f"{manifest.model} {manifest.version[:12]} was stored without its domain, so it "
                "judges no foreign samples: `genept run` trains it again"
            )
        return Domain(**load(self._verified(manifest, "domain")))

    def load(self, manifest: ModelManifest) -> DiagnosisModel:
        """The model, verified by its hash before it is opened and by its probe set after.

        Raises
        ------
        ModelRefusedError
            If the file was changed, names a type that is not allowed, or its predictions changed.
        """
        key = self._file(manifest, "pipeline")
        pipeline = load_pipeline(
            self.store.get(key), manifest.pipeline_sha256, where=self.store.uri(key)
        )
        model = DiagnosisModel(
            Contender(manifest.representation, manifest.head),
            pipeline,
            manifest.classes,
            Calibration(manifest.temperature, manifest.doubt, manifest.floor),
        )
        difference = probe_difference(model, load(self._verified(manifest, "probe")))
        if not difference <= PROBE_TOLERANCE:
            raise ModelRefusedError(
                f"{self.store.uri(key)} predicts its probe set with a difference of "
                f"{difference:.2g}: install the libraries of its manifest ({manifest.libraries}), "
                "or train again"
            )
        return model

    def stored_pipeline_sha256(self, manifest: ModelManifest) -> str:
        """Hash of the model's file in the store."""
        return hashlib.sha256(self.store.get(self._file(manifest, "pipeline"))).hexdigest()

    def verdicts(self, model: str, version: str) -> Verdicts | None:
        """Verdicts of the gate on a version, if there are any."""
        return self._document(Verdicts, f"{self._folder(model, version)}/verdicts.json")

    def judge(self, verdicts: Verdicts) -> None:
        """Store the verdicts of the gate."""
        key = f"{self._folder(verdicts.model, verdicts.version)}/verdicts.json"
        self.store.put_if_absent(key, verdicts.body())

    def shadow(self, model: str, version: str) -> Shadow | None:
        """Since when a version shadows the champion, if it ever did."""
        return self._document(Shadow, f"{self._folder(model, version)}/shadow.json")

    def keep_shadow(self, shadow: Shadow) -> Shadow:
        """Store since when a version shadows the champion; the first record stays."""
        if known := self.shadow(shadow.model, shadow.version):
            return known
        key = f"{self._folder(shadow.model, shadow.version)}/shadow.json"
        with suppress(ConflictError):
            self.store.put_if_absent(key, shadow.body())
        return self.shadow(shadow.model, shadow.version) or shadow

    def pointer(self, model: str) -> tuple[ChampionPointer | None, str | None]:
        """The pointer to the champion, and its ETag."""
        return self._pointer(model).read()

    def champion(self, model: str) -> ModelManifest | None:
        """The manifest of the champion, verified against the pointer."""
        pointer, _ = self.pointer(model)
        if pointer is None:
            return None
        named = pointer.champion
        return self.manifest(model, named.version, sha256=named.manifest_sha256)

    def promote(
        self, manifest: ModelManifest, *, reason: str, instead_of: str | None
    ) -> ChampionPointer:
        """Make a version the champion; champions beyond the last five lose their files.

        Parameters
        ----------
        instead_of
            Version of the champion that it was compared with; none if there was none.

        Raises
        ------
        ConflictError
            If another version became champion since the comparison.
        """
        pointer, etag = self.pointer(manifest.model)
        current = pointer.champion.version if pointer else None
        if current != instead_of:
            raise ConflictError(
                f"{manifest.model}: {manifest.version[:12]} was compared with "
                f"{(instead_of or 'nobody')[:12]}, but the champion is {(current or 'nobody')[:12]}"
                " by now: evaluate it again"
            )
        earlier = pointer.models if pointer else ()
        # Of the stored bytes: an older manifest, read and written again, has more fields.
        body = self.store.get(self._manifest_key(manifest.model, manifest.version))
        digest = hashlib.sha256(body).hexdigest()
        named = NamedVersion(version=manifest.version, manifest_sha256=digest)
        models = (named, *(model for model in earlier if model.version != named.version))
        return self._swap(manifest.model, pointer, etag, models, reason)

    def rollback(self, model: str, *, reason: str) -> ChampionPointer:
        """Make the champion before this one champion again; this one goes to the end."""
        pointer, etag = self.pointer(model)
        if pointer is None or len(pointer.models) < 2:
            raise StoreError(f"model {model!r} has no earlier champion to roll back to")
        return self._swap(model, pointer, etag, (*pointer.models[1:], pointer.champion), reason)

    def names(self) -> list[str]:
        """Every model that has a version."""
        start = len(self.prefix) + 1
        keys = (info.key for info in self.store.list(f"{self.prefix}/"))
        return sorted({key[start:].partition("/")[0] for key in keys})

    def versions(self, model: str) -> list[str]:
        """Every version of a model whose files are kept."""
        return sorted(version for version, _ in self.history(model))

    def history(self, model: str) -> list[tuple[str, datetime]]:
        """Every kept version of a model and when it was stored, oldest first."""
        versions = [
            (info.key.split("/")[-2], info.last_modified)
            for info in self.store.list(f"{self.prefix}/{model}/versions/")
            if info.key.endswith("/manifest.json")
        ]
        return sorted(versions, key=lambda version: (version[1], version[0]))

    def _swap(
        self,
        model: str,
        pointer: ChampionPointer | None,
        etag: str | None,
        models: tuple[NamedVersion, ...],
        reason: str,
    ) -> ChampionPointer:
        replacement = ChampionPointer(
            seq=pointer.seq + 1 if pointer else 1,
            models=models[:KEPT],
            reason=reason,
            swapped_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        try:
            replacement, _ = self._pointer(model).swap(replacement, etag)
        except ConflictError:
            raise ConflictError(
                f"somebody else promoted a {model} meanwhile: look at `genept models show {model}`"
            ) from None
        for gone in models[KEPT:]:
            keys = [info.key for info in self.store.list(f"{self._folder(model, gone.version)}/")]
            # The manifest first: a version without a manifest does not exist.
            self.store.delete(sorted(keys, key=lambda key: not key.endswith("manifest.json")))
        return replacement

    def _verified(self, manifest: ModelManifest, part: str) -> bytes:
        key = self._file(manifest, part)
        body = self.store.get(key)
        if hashlib.sha256(body).hexdigest() != getattr(manifest, f"{part}_sha256"):
            raise ModelRefusedError(f"{self.store.uri(key)} is not what the model's manifest names")
        return body

    def _folder(self, model: str, version: str) -> str:
        return f"{self.prefix}/{model}/versions/{version}"

    def _file(self, manifest: ModelManifest, part: str) -> str:
        sha256 = getattr(manifest, f"{part}_sha256") or ""
        return f"{self._folder(manifest.model, manifest.version)}/{sha256[:16]}.{FILES[part]}"

    def _manifest_key(self, model: str, version: str) -> str:
        return f"{self._folder(model, version)}/manifest.json"

    def _pointer(self, model: str) -> SwappedDocument[ChampionPointer]:
        return SwappedDocument(self.store, f"{self.prefix}/{model}/champion.json", ChampionPointer)

    def _document(self, kind: type[Stored], key: str) -> Stored | None:
        try:
            return kind.parse(self.store.get(key), self.store.uri(key))
        except MissingObjectError:
            return None
