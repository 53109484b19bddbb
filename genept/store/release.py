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

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from genept.console import progress_bar
from genept.store.errors import ConflictError, MissingObjectError, StoreError
from genept.store.lake import Lake, Part, StoredTable
from genept.store.manifest import (
    Document,
    Evidence,
    Manifest,
    Pointer,
    ReleasedColumn,
    ReleasedFile,
    ReleasedSource,
    ReleasedTable,
)
from genept.store.provenance import sha256_of
from genept.tables import TABLES

D = TypeVar("D", bound=Document)


class ReleaseRefusedError(StoreError):
    """The evidence does not allow this release; the pointer was not moved."""


@dataclass(frozen=True)
class Candidate:
    """What a release would contain, before it exists.

    `complete` is false when settings limited what was built; `limits` says how.
    """

    tables: Mapping[str, StoredTable]
    evidence: Mapping[str, Evidence]
    sources: Mapping[str, ReleasedSource]
    platform_version: str
    requirements_sha256: str | None = None
    complete: bool = True
    limits: Mapping[str, Any] = field(default_factory=dict)
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
            If a table or its evidence is missing or failed, or what lies in the
            store is not what was meant to.
        ConflictError
            If another publisher moved the pointer meanwhile.
        """
        pointer, etag = self._pointer()
        if pointer is not None and pointer.data_version == candidate.data_version:
            return Published(self.manifest(pointer.release_id), is_new=False)
        _gate(candidate.tables, candidate.evidence)
        now = now or datetime.now(UTC)
        release_id = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        if pointer is not None and release_id <= pointer.release_id:
            raise ReleaseRefusedError(
                f"release {release_id} would be older than the current {pointer.release_id}: "
                "set this machine's clock right and run again"
            )
        tables = self._stage(release_id, candidate.tables)
        self._audit(release_id, tables)
        manifest = Manifest(
            release_id=release_id,
            data_version=candidate.data_version,
            created_at=now.isoformat(timespec="seconds"),
            previous=pointer.release_id if pointer else None,
            complete=candidate.complete,
            limits=dict(candidate.limits),
            platform_version=candidate.platform_version,
            requirements_sha256=candidate.requirements_sha256,
            tables=tables,
            evidence=dict(candidate.evidence),
            audit=self._store_audit(release_id, candidate.audit),
            sources=dict(candidate.sources),
        )
        self.store.put_if_absent(self._manifest_key(release_id), manifest.body())
        sealed = self.manifest(release_id, sha256=manifest.stored_sha256)
        _gate(sealed.tables, sealed.evidence)
        self._swap(sealed, pointer, etag, now)
        return Published(sealed, is_new=True)

    def current(self) -> Manifest:
        """The manifest of the current release, verified against the pointer."""
        pointer, _ = self._pointer()
        if pointer is None:
            raise StoreError("nothing has been released yet: run `genept run` first")
        return self.manifest(pointer.release_id, sha256=pointer.manifest_sha256)

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
            known = ", ".join(self.ids()[-5:]) or "none"
            raise StoreError(f"no release {release_id!r}; the latest are: {known}") from None
        if sha256 is not None and hashlib.sha256(body).hexdigest() != sha256:
            raise StoreError(f"{self.store.uri(key)} is not the manifest that was sealed")
        return _parse(Manifest, body, self.store.uri(key))

    def ids(self) -> list[str]:
        """Ids of all sealed releases, oldest first."""
        prefix = f"{self.product}/releases/"
        keys = (info.key for info in self.store.list(prefix))
        return sorted(key.split("/")[-2] for key in keys if key.endswith("/manifest.json"))

    def address(self, release_id: str, path: str) -> str:
        """S3 address of something in a release."""
        return self.store.uri(f"{self._folder(release_id)}/{path}")

    def _stage(
        self, release_id: str, tables: Mapping[str, StoredTable]
    ) -> dict[str, ReleasedTable]:
        staged = {}
        total = sum(table.bytes for table in tables.values())
        with progress_bar("publishing", total) as advance:
            for name, table in tables.items():
                files = []
                for part in table.parts:
                    files.append(self._stage_part(release_id, part))
                    advance(part.bytes)
                staged[name] = ReleasedTable(
                    meaning=TABLES[name].meaning,
                    key=TABLES[name].key,
                    partition=TABLES[name].partition,
                    columns=ReleasedColumn.of(TABLES[name]),
                    data_version=table.data_version,
                    rows=table.rows,
                    bytes=table.bytes,
                    files=tuple(files),
                )
        return staged

    def _stage_part(self, release_id: str, part: Part) -> ReleasedFile:
        folder = "/".join(["data", part.table, *part.partition])
        path = f"{folder}/part-00000.parquet"
        key = f"{self._folder(release_id)}/{path}"
        self.store.put_if_absent(key, self.lake.local(part), sha256=part.sha256)
        return ReleasedFile(
            path=path,
            partition=part.partition,
            bytes=part.bytes,
            sha256=part.sha256,
            rows=part.rows,
            dimension=part.dimension,
            origin=part.origin,
        )

    def _audit(self, release_id: str, tables: Mapping[str, ReleasedTable]) -> None:
        """Read every file back through S3: bytes, hash, footer, schema and rows."""
        for name, table in tables.items():
            for file in table.files:
                address = self.address(release_id, file.path)
                body = self.store.get(f"{self._folder(release_id)}/{file.path}")
                if hashlib.sha256(body).hexdigest() != file.sha256:
                    raise ReleaseRefusedError(f"{address} does not read back as it was written")
                footer = pq.ParquetFile(pa.BufferReader(body))
                if footer.metadata.num_rows != file.rows:
                    raise ReleaseRefusedError(f"{address}: {footer.metadata.num_rows} rows read")
                if not footer.schema_arrow.equals(TABLES[name].schema(file.dimension)):
                    raise ReleaseRefusedError(f"{address}: its schema is not the declared one")

    def _store_audit(self, release_id: str, audit: Mapping[str, bytes]) -> dict[str, str]:
        for path, body in audit.items():
            self.store.put_if_absent(f"{self._folder(release_id)}/audit/{path}", body)
        return {path: hashlib.sha256(body).hexdigest() for path, body in audit.items()}

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


def _gate(
    tables: Mapping[str, StoredTable | ReleasedTable], evidence: Mapping[str, Evidence]
) -> None:
    """Every declared table is there, and this very content of it passed its checks."""
    missing = sorted(set(TABLES) - set(tables))
    if missing:
        raise ReleaseRefusedError(f"tables are missing from the release: {', '.join(missing)}")
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
