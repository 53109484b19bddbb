"""Publication: stage, audit through S3, seal, gate, swap.

Readers see a release only once the pointer names it, and a published byte never
changes. A run that is killed anywhere leaves the pointer where it was.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from genept.store.errors import ConflictError, MissingObjectError, StoreError
from genept.store.lake import Lake, StoredTable
from genept.store.manifest import (
    Document,
    Evidence,
    Manifest,
    Pointer,
    ReleasedSource,
    ReleasedTable,
)
from genept.store.provenance import sha256_of
from genept.store.staging import ReleaseRefusedError, audit, stage, store_pages
from genept.tables import TABLES

__all__ = ["Candidate", "Published", "ReleaseRefusedError", "Releases"]

D = TypeVar("D", bound=Document)


@dataclass(frozen=True)
class Candidate:
    """What a release would contain, before it exists.

    `complete` is false when settings limited what was built; `limits` says how. `left_out`
    are collections that may not be redistributed.
    """

    tables: Mapping[str, StoredTable]
    evidence: Mapping[str, Evidence]
    sources: Mapping[str, ReleasedSource]
    platform_version: str
    requirements_sha256: str | None = None
    complete: bool = True
    limits: Mapping[str, Any] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    audit: Mapping[str, bytes] = field(default_factory=dict)

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

    def publish(self, candidate: Candidate, *, now: datetime | None = None) -> Published:
        """Make `candidate` the current release, or find that it already is.

        Raises
        ------
        ReleaseRefusedError
            If a table or its evidence is missing or failed, what lies in the store is
            not what was meant to, or a partial release would replace a complete one.
        ConflictError
            If another publisher moved the pointer meanwhile.
        """
        _gate(candidate.tables, candidate.evidence)
        pointer, etag = self._pointer()
        if pointer is not None and pointer.data_version == candidate.data_version:
            return Published(self._named_by(pointer), is_new=False)
        if pointer is not None and not candidate.complete:
            self._refuse_to_shrink(pointer, candidate)
        now = now or datetime.now(UTC)
        release_id = _new_id(now, pointer)
        folder = self._folder(release_id)
        tables = stage(self.lake, folder, candidate.tables)
        audit(self.store, folder, tables)
        manifest = Manifest(
            release_id=release_id,
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
            audit=store_pages(self.store, folder, candidate.audit),
            sources=dict(candidate.sources),
        )
        self.store.put_if_absent(self._manifest_key(release_id), manifest.body())
        sealed = self.manifest(release_id, sha256=manifest.stored_sha256)
        _gate(sealed.tables, sealed.evidence)
        self._swap(manifest, pointer, etag, now)
        return Published(sealed, is_new=True)

    def current(self) -> Manifest:
        """The manifest of the current release, verified against the pointer."""
        pointer, _ = self._pointer()
        if pointer is None:
            raise StoreError("nothing has been released yet: run `genept run` first")
        return self._named_by(pointer)

    def current_id(self) -> str | None:
        """Id of the current release."""
        pointer, _ = self._pointer()
        return pointer.release_id if pointer else None

    def manifest(self, release_id: str, *, sha256: str | None = None) -> Manifest:
        """The manifest of a sealed release; checked against `sha256` if given."""
        key = self._manifest_key(release_id)
        try:
            body = self.store.get(key)
        except MissingObjectError:
            latest = ", ".join(self.ids()[-5:]) or "none"
            raise StoreError(f"no release {release_id!r}; the latest are: {latest}") from None
        if sha256 is not None and hashlib.sha256(body).hexdigest() != sha256:
            raise StoreError(f"{self.store.uri(key)} is not the manifest that was sealed")
        return _parse(Manifest, body, self.store.uri(key))

    def ids(self) -> list[str]:
        """Ids of the releases that are or were current, oldest first.

        What was sealed but never made current, because its run was killed or lost the
        race, is none of them.
        """
        newest_first = []
        release_id = self.current_id()
        while release_id is not None:
            try:
                body = self.store.get(self._manifest_key(release_id))
            except MissingObjectError:  # older ones were deleted to make room
                break
            newest_first.append(release_id)
            release_id = _parse(Manifest, body, release_id).previous
        return newest_first[::-1]

    def address(self, release_id: str, path: str) -> str:
        """S3 address of something in a release."""
        return self.store.uri(f"{self._folder(release_id)}/{path}")

    def _refuse_to_shrink(self, pointer: Pointer, candidate: Candidate) -> None:
        """A release that settings limited must not take the place of a complete one."""
        if self._named_by(pointer).complete:
            raise ReleaseRefusedError(
                f"the current release {pointer.release_id} is complete, and this one is limited by "
                f"settings ({dict(candidate.limits)}): lift them, or publish it apart with "
                "GENEPT_PRODUCT=trial"
            )

    def _swap(
        self, manifest: Manifest, pointer: Pointer | None, etag: str | None, now: datetime
    ) -> None:
        replacement = Pointer(
            seq=pointer.seq + 1 if pointer else 1,
            release_id=manifest.release_id,
            data_version=manifest.data_version,
            manifest=self._manifest_key(manifest.release_id),
            manifest_sha256=manifest.stored_sha256,
            previous=pointer.release_id if pointer else None,
            swapped_at=now.isoformat(timespec="seconds"),
            nonce=secrets.token_hex(8),
        )
        try:
            self.store.put_if_match(self._pointer_key, replacement.body(), etag)
        except ConflictError:
            raise ConflictError(
                f"another run published while {manifest.release_id} was being made; "
                "run again: what is already built is not built twice"
            ) from None

    def _named_by(self, pointer: Pointer) -> Manifest:
        return self.manifest(pointer.release_id, sha256=pointer.manifest_sha256)

    @property
    def _pointer_key(self) -> str:
        return f"{self.product}/current.json"

    def _pointer(self) -> tuple[Pointer | None, str | None]:
        try:
            body, etag = self.store.get_with_etag(self._pointer_key)
        except MissingObjectError:
            return None, None
        return _parse(Pointer, body, self.store.uri(self._pointer_key)), etag

    def _folder(self, release_id: str) -> str:
        return f"{self.product}/releases/{release_id}"

    def _manifest_key(self, release_id: str) -> str:
        return f"{self._folder(release_id)}/manifest.json"


def _new_id(now: datetime, pointer: Pointer | None) -> str:
    """An id that sorts by time, to the millisecond, and that no other attempt has."""
    stamp = f"{now:%Y%m%dT%H%M%S}.{now.microsecond // 1000:03}Z"
    if pointer is not None and stamp <= pointer.release_id.rpartition("-")[0]:
        raise ReleaseRefusedError(
            f"a release of {stamp} would not be newer than the current {pointer.release_id}: "
            "set this machine's clock right and run again"
        )
    return f"{stamp}-{secrets.token_hex(3)}"


def _gate(
    tables: Mapping[str, StoredTable | ReleasedTable], evidence: Mapping[str, Evidence]
) -> None:
    """Every declared table is there, and this very content of it passed its checks."""
    if missing := sorted(set(TABLES) - set(tables)):
        raise ReleaseRefusedError(f"tables are missing from the release: {', '.join(missing)}")
    if unknown := sorted(set(tables) - set(TABLES)):
        raise ReleaseRefusedError(f"genept/tables.py does not declare {', '.join(unknown)}")
    for name, table in tables.items():
        proof = evidence.get(name)
        if proof is None or proof.data_version != table.data_version:
            raise ReleaseRefusedError(f"{name}: nothing shows that this content was checked")
        if not proof.passed:
            raise ReleaseRefusedError(f"{name} failed its checks: {'; '.join(proof.failed)}")


def _parse(kind: type[D], body: bytes, address: str) -> D:
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise StoreError(
            f"{address} is not a {kind.__name__.lower()} that this version reads: {error}"
        ) from error
