"""Publication: stage, audit through S3, seal, gate, swap.

Readers see a release only once the pointer names it, and a published byte never
changes. A run that is killed anywhere leaves the pointer where it was. Going back is
`genept.release.rollback`'s business, deleting `genept.release.collector`'s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from genept.common.errors import ConflictError, MissingObjectError, StoreError
from genept.release.diff import Differences, differences
from genept.release.gate import (
    History,
    new_id,
    read_history,
    refuse_breaking,
    refuse_denied,
    refuse_incomplete,
    refuse_unproved,
)
from genept.release.manifest import Evidence, Manifest, Pointer, ReleasedFiles, ReleasedSource
from genept.release.staging import ReleaseRefusedError, audit, stage, store_pages
from genept.schema.tables import SCHEMA_VERSION
from genept.storage.documents import SwappedDocument
from genept.storage.garbage_list import MarkList
from genept.storage.lake import Lake
from genept.storage.provenance import StoredTable, sha256_of

__all__ = ["Candidate", "Pages", "Published", "ReleaseRefusedError", "Releases"]

Pages = Callable[[Manifest, ReleasedFiles], Mapping[str, bytes]]
"""Renders pages for the audit of a release that is staged but not sealed: by path, their bytes."""


@dataclass(frozen=True)
class Candidate:
    """What a release would contain, before it exists.

    `complete` is false when settings limited what was built; `limits` says how. `left_out`
    are collections that may not be redistributed. `audit` renders pages of the audit, by path; it
    is called only when a release comes about.
    """

    tables: Mapping[str, StoredTable]
    evidence: Mapping[str, Evidence]
    sources: Mapping[str, ReleasedSource]
    platform_version: str
    requirements_sha256: str | None = None
    complete: bool = True
    limits: Mapping[str, Any] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    audit: Callable[[], Mapping[str, bytes]] = dict

    @property
    def data_version(self) -> str:
        """What makes two releases the same release."""
        versions = {name: table.data_version for name, table in self.tables.items()}
        return sha256_of(versions, self.complete, dict(self.limits))


@dataclass(frozen=True)
class Published:
    """The release that is current after publishing, and whether this call made it so."""

    manifest: Manifest
    is_new: bool


class Releases:
    """The releases of one product in one bucket."""

    def __init__(self, lake: Lake, product: str) -> None:
        self.lake = lake
        self.store = lake.store
        self.product = product
        self.marks = MarkList(self.store, product)
        self._pointer = SwappedDocument(self.store, f"{product}/current.json", Pointer)

    def publish(
        self,
        candidate: Candidate,
        *,
        now: datetime | None = None,
        pages: Pages | None = None,
        confirm: Callable[[], object] = lambda: None,
    ) -> Published:
        """Make `candidate` the current release, or find that it already is.

        Parameters
        ----------
        pages
            Renders further pages of the audit, which may link to those of the candidate, from
            the manifest as it will be sealed but for these pages themselves.
        confirm
            Raises unless this run may still publish; asked after the pointer was read, and
            again before it is swapped.

        Raises
        ------
        ReleaseRefusedError
            If a table or its evidence is missing or failed, what lies in the store is
            not what was meant to, a partial release would replace a complete one, the same
            content was rolled back from, or columns changed in a way that `SCHEMA_VERSION`
            does not say.
        ConflictError
            If another publisher moved the pointer meanwhile.
        """
        refuse_incomplete(candidate.tables)
        refuse_unproved(candidate.tables, candidate.evidence)
        pointer, etag = self.pointer_with_etag()
        confirm()
        if pointer is not None and pointer.data_version == candidate.data_version:
            return Published(self._named_by(pointer), is_new=False)
        current = self._named_by(pointer) if pointer else None
        if pointer is not None and current is not None:
            refuse_denied(pointer, candidate.data_version)
            refuse_breaking(current)
            if not candidate.complete:
                self._refuse_to_shrink(current, candidate)
        now = now or datetime.now(UTC)
        release_id = new_id(now, pointer)
        folder = self.folder(release_id)
        tables = stage(self.lake, folder, candidate.tables)
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
        rendered = dict(candidate.audit())
        if current is not None:
            rendered |= self.differences(current, manifest).pages()
        stored = store_pages(self.store, folder, rendered)
        if pages is not None:
            draft = manifest.model_copy(update={"audit": stored})
            stored |= store_pages(self.store, folder, pages(draft, self.files))
        manifest = manifest.model_copy(update={"audit": stored})
        self.store.put_if_absent(self.manifest_key(release_id), manifest.body())
        sealed = self.manifest(release_id, sha256=manifest.stored_sha256)
        refuse_incomplete(sealed.tables)
        refuse_unproved(sealed.tables, sealed.evidence)
        confirm()
        self.swap(self.following(pointer, manifest, manifest.stored_sha256, now), etag)
        return Published(sealed, is_new=True)

    def differences(self, before: Manifest, after: Manifest) -> Differences:
        """What changed between two releases, which need not be sealed yet."""
        return differences(self.files, before, after)

    @property
    def files(self) -> ReleasedFiles:
        """The files of the releases, copied to this machine as they are needed."""
        return ReleasedFiles(self.store, f"{self.product}/releases", self.lake.cache)

    def pointer(self) -> Pointer | None:
        """What `current.json` says; none before the first release."""
        return self.pointer_with_etag()[0]

    def current(self) -> Manifest:
        """The manifest of the current release, verified against the pointer."""
        pointer, _ = self.pointer_with_etag()
        if pointer is None:
            raise StoreError("nothing has been released yet: run `genept run` first")
        return self._named_by(pointer)

    def current_id(self) -> str | None:
        """Id of the current release."""
        pointer, _ = self.pointer_with_etag()
        return pointer.release_id if pointer else None

    def manifest(self, release_id: str, *, sha256: str | None = None) -> Manifest:
        """The manifest of a sealed release; checked against `sha256` if given."""
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
        """Ids of the releases that are or were current, oldest first.

        What was rolled back from is one of them. What was sealed but never made current,
        because its run was killed or lost the race, is none.
        """
        return list(self.history().ids)

    def history(self) -> History:
        """The releases that are or were current, and what of it cannot be known any more."""
        return read_history(self.store, f"{self.product}/releases", self.pointer())

    def address(self, release_id: str, path: str) -> str:
        """S3 address of something in a release."""
        return self.store.uri(f"{self.folder(release_id)}/{path}")

    @staticmethod
    def _refuse_to_shrink(current: Manifest, candidate: Candidate) -> None:
        """A release that settings limited must not take the place of a complete one."""
        if current.complete:
            raise ReleaseRefusedError(
                f"the current release {current.release_id} is complete, and this one is limited by "
                f"settings ({dict(candidate.limits)}): lift them, or publish it apart with "
                "GENEPT_PRODUCT=trial"
            )

    def swap(self, replacement: Pointer, etag: str | None) -> Pointer:
        """Move the pointer. Raises `ConflictError` if somebody else did since `etag` was read."""
        try:
            return self._pointer.swap(replacement, etag)[0]
        except ConflictError:
            raise ConflictError(
                f"another run published while {replacement.release_id} was being made current; "
                "run again: what is already built is not built twice"
            ) from None

    def following(
        self, pointer: Pointer | None, manifest: Manifest, sha256: str, now: datetime
    ) -> Pointer:
        """The pointer to a manifest, stored with this hash, that takes the place of `pointer`."""
        key = self.manifest_key(manifest.release_id)
        return Pointer(
            seq=pointer.seq + 1 if pointer else 1,
            release_id=manifest.release_id,
            data_version=manifest.data_version,
            manifest=key,
            manifest_sha256=sha256,
            previous=pointer.release_id if pointer else None,
            swapped_at=now.isoformat(timespec="seconds"),
            denied=pointer.denied if pointer else (),
        )

    def _named_by(self, pointer: Pointer) -> Manifest:
        return self.manifest(pointer.release_id, sha256=pointer.manifest_sha256)

    def pointer_with_etag(self) -> tuple[Pointer | None, str | None]:
        """The pointer, and the ETag to swap it by."""
        return self._pointer.read()

    def folder(self, release_id: str) -> str:
        """Key of everything in a release."""
        return f"{self.product}/releases/{release_id}"

    def manifest_key(self, release_id: str) -> str:
        """Key of a release's manifest."""
        return f"{self.folder(release_id)}/manifest.json"
