"""Publication: stage, audit through S3, seal, gate, swap the pointer.

Readers see a release once the pointer names it; published objects never change. A run that is
killed at any step leaves the pointer unchanged. Rolling back is in `genept.release.rollback`,
deleting in `genept.release.collector`.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from genept.common import ConflictError, MissingObjectError, StoreError
from genept.release import gate
from genept.release.candidates import Published, ReleaseCandidate
from genept.release.diff import differences
from genept.release.gate import History
from genept.release.manifest import Manifest, Pointer, ReleasedFile
from genept.release.released_files import ReleasedFiles
from genept.release.staging import audit, stage, store_pages
from genept.schema.tables import SCHEMA_VERSION
from genept.storage import Lake, MarkList, SwappedDocument

Pages = Callable[[Manifest, ReleasedFiles], Mapping[str, bytes]]
"""Renders pages of a staged release: their bytes by path."""

MakeCatalog = Callable[[Manifest, Callable[[ReleasedFile], Path], str, Path], bytes]
"""Makes the SQL catalogue of a release of its manifest, its files on this machine, the address of
its folder, and a local folder to work in: see `genept.release.catalogs.frozen_catalog`."""

CATALOG: Final = "catalog/catalog.ducklake"
"""Path of the SQL catalogue below the folder of its release."""


class Releases:
    """The releases of one product in one bucket.

    Parameters
    ----------
    lake
        The lake of the product; its bucket is used.
    product
        First segment of every key.
    """

    def __init__(self, lake: Lake, product: str) -> None:
        self.lake = lake
        self.store = lake.store
        self.product = product
        self.marks = MarkList(self.store, product)
        self._pointer = SwappedDocument(self.store, f"{product}/current.json", Pointer)

    def publish(
        self,
        candidate: ReleaseCandidate,
        *,
        now: datetime | None = None,
        pages: Pages | None = None,
        metadata: Pages = lambda *_: {},
        catalog: MakeCatalog | None = None,
        confirm: Callable[[], object] = lambda: None,
    ) -> Published:
        """Make `candidate` the current release, unless its content is already current.

        Parameters
        ----------
        candidate
            The content to publish.
        now
            Time of the release; the present time by default.
        pages
            Renders further pages of the audit from the manifest as it will be sealed, except for
            these pages; they may link to those of the candidate.
        metadata
            Renders the files beside the manifest that describe the release.
        catalog
            Makes the SQL catalogue of the release; none by default. If it fails, nothing is
            published.
        confirm
            Raises unless this run may publish; called after the pointer is read and before it is
            swapped.

        Returns
        -------
        Published
            The manifest of the current release, and whether it is new.

        Raises
        ------
        ReleaseRefusedError
            A table or its evidence is missing or failed, a staged file does not read back as
            written, a partial release would replace a complete one, the content was rolled back
            from, or declarations changed more than `SCHEMA_VERSION` says.
        ConflictError
            Another publisher swapped the pointer.
        """
        gate.refuse_incomplete(candidate.tables)
        gate.refuse_unproved(candidate.tables, candidate.evidence)
        pointer, etag = self.pointer_with_etag()
        confirm()
        current = self.named_by(pointer) if pointer else None
        if current is not None and gate.is_same(current, candidate.data_version):
            return Published(current, is_new=False)
        if pointer is not None and current is not None:
            gate.refuse_denied(pointer, candidate.data_version)
            gate.refuse_breaking(current, approved=candidate.approved)
            if not candidate.complete:
                gate.refuse_partial(current, candidate.limits)
        now = now or datetime.now(UTC)
        release_id = gate.new_id(now, pointer)
        folder = self.folder(release_id)
        self.lake.cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.lake.cache) as scratch:
            tables = stage(self.lake, folder, candidate.tables, Path(scratch))
            audit(self.store, folder, tables)
            manifest = Manifest(
                release_id=release_id,
                schema_version=SCHEMA_VERSION,
                data_version=candidate.data_version,
                created_at=now.isoformat(timespec="seconds"),
                previous=pointer.release_id if pointer else None,
                complete=candidate.complete,
                limits=dict(candidate.limits),
                left_out=candidate.left_out,
                platform_version=candidate.platform_version,
                requirements_sha256=candidate.requirements_sha256,
                tables=tables,
                evidence=dict(candidate.evidence),
                audit={},
                sources=dict(candidate.sources),
            )
            if catalog is not None:
                manifest = self.with_catalog(manifest, catalog, Path(scratch), Path(scratch))
        rendered = dict(candidate.audit())
        if current is not None:
            rendered |= differences(self.files, current, manifest).pages()
        stored = store_pages(self.store, f"{folder}/audit", rendered)
        if pages is not None:
            draft = manifest.model_copy(update={"audit": stored})
            stored |= store_pages(self.store, f"{folder}/audit", pages(draft, self.files))
        manifest = manifest.model_copy(update={"audit": stored})
        described = store_pages(self.store, folder, metadata(manifest, self.files))
        manifest = manifest.model_copy(update={"metadata": described})
        self.store.put_if_absent(self.manifest_key(release_id), manifest.body())
        sealed = self.manifest(release_id, sha256=manifest.stored_sha256)
        gate.refuse_incomplete(sealed.tables)
        gate.refuse_unproved(sealed.tables, sealed.evidence)
        confirm()
        self.swap(self.following(pointer, manifest, manifest.stored_sha256, now), etag)
        return Published(sealed, is_new=True)

    def with_catalog(
        self, manifest: Manifest, make: MakeCatalog, copies: Path, scratch: Path
    ) -> Manifest:
        """Make and store the SQL catalogue of a staged release; return the manifest that lists it.

        Files are read from the local folder `copies`, by SHA-256, where they are there.
        """
        folder = self.folder(manifest.release_id)

        def local(file: ReleasedFile) -> Path:
            copied = copies / f"{file.sha256}.parquet"
            return copied if copied.exists() else self.files.local(manifest, file)

        body = make(manifest, local, self.store.uri(folder), scratch)
        self.store.put_if_absent(f"{folder}/{CATALOG}", body)
        listed = {CATALOG: hashlib.sha256(body).hexdigest()}
        return manifest.model_copy(update={"catalog": listed})

    def refuse_breaking(self, *, approved: Collection[str]) -> None:
        """Raise `ReleaseRefusedError` if tables that are not `approved` change unannounced."""
        if (pointer := self.pointer()) is not None:
            gate.refuse_breaking(self.named_by(pointer), approved=approved)

    @property
    def files(self) -> ReleasedFiles:
        """Access to the files of the releases through local copies."""
        return ReleasedFiles(self.store, f"{self.product}/releases", self.lake.cache)

    def pointer(self) -> Pointer | None:
        """Read `current.json`; None before the first release."""
        return self.pointer_with_etag()[0]

    def current(self) -> Manifest:
        """Read the manifest of the current release, verified against the pointer."""
        if (pointer := self.pointer()) is None:
            raise StoreError("nothing has been released yet: run `genept run` first")
        return self.named_by(pointer)

    def named(self, name: str, pointer: Pointer | None = None) -> Manifest:
        """Read the manifest of a release by its id, ``latest`` or ``stable``.

        `pointer` is read for the aliases, unless it is given.
        """
        if name not in {"latest", "stable"}:
            return self.manifest(name)
        pointer = pointer or self.pointer()
        if name == "latest":
            return self.named_by(pointer) if pointer else self.current()
        if pointer is None or pointer.stable is None:
            raise StoreError("no release is marked as stable: `genept release stable ID` does so")
        return self.manifest(pointer.stable)

    def current_id(self) -> str | None:
        """Return the id of the current release; None before the first."""
        return pointer.release_id if (pointer := self.pointer()) else None

    def manifest(self, release_id: str, *, sha256: str | None = None) -> Manifest:
        """Read the manifest of a sealed release.

        Raises `StoreError` if there is no such release, or its manifest has another SHA-256.
        """
        key = self.manifest_key(release_id)
        try:
            body = self.store.get(key)
        except MissingObjectError:
            latest = ", ".join(self.ids()[-5:]) or "none"
            raise StoreError(f"no release {release_id!r}; the latest are: {latest}") from None
        if sha256 is not None and hashlib.sha256(body).hexdigest() != sha256:
            raise StoreError(f"{self.store.uri(key)} is not the manifest that was sealed")
        return Manifest.parse(body, self.store.uri(key))

    def ids(self) -> list[str]:
        """Return the ids of the releases that are or were current, oldest first.

        Releases that were rolled back from are included; sealed ones that never became current,
        because the run was killed or another was faster, are not.
        """
        return list(self.history().ids)

    def history(self) -> History:
        """Read which releases are or were current, and which manifests are missing."""
        return gate.read_history(self.store, f"{self.product}/releases", self.pointer())

    def address(self, release_id: str, path: str) -> str:
        """Return the S3 address of a path in a release."""
        return self.store.uri(f"{self.folder(release_id)}/{path}")

    def swap(self, replacement: Pointer, etag: str | None) -> Pointer:
        """Swap the pointer, and return it as stored.

        Raises `ConflictError` if another process swapped it since `etag` was read.
        """
        try:
            return self._pointer.swap(replacement, etag)[0]
        except ConflictError:
            raise ConflictError(
                f"another run published while {replacement.release_id} was being made current; "
                "run again: tables that are built already are not computed again"
            ) from None

    def following(
        self, pointer: Pointer | None, manifest: Manifest, sha256: str, now: datetime
    ) -> Pointer:
        """Return the pointer to a manifest, stored with this hash, that follows `pointer`."""
        return Pointer(
            seq=pointer.seq + 1 if pointer else 1,
            release_id=manifest.release_id,
            data_version=manifest.data_version,
            manifest=self.manifest_key(manifest.release_id),
            manifest_sha256=sha256,
            previous=pointer.release_id if pointer else None,
            swapped_at=now.isoformat(timespec="seconds"),
            denied=pointer.denied if pointer else (),
            stable=pointer.stable if pointer else None,
        )

    def named_by(self, pointer: Pointer) -> Manifest:
        """Read the manifest that a pointer names, verified against it."""
        return self.manifest(pointer.release_id, sha256=pointer.manifest_sha256)

    def pointer_with_etag(self) -> tuple[Pointer | None, str | None]:
        """Read the pointer and its ETag, the condition of the next `swap`."""
        return self._pointer.read()

    def folder(self, release_id: str) -> str:
        """Return the key prefix of a release."""
        return f"{self.product}/releases/{release_id}"

    def manifest_key(self, release_id: str) -> str:
        """Return the key of the manifest of a release."""
        return f"{self.folder(release_id)}/manifest.json"
