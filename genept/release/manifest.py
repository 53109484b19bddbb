"""Documents of a release: manifest, pointer and evidence of checks.

Publishing is in `genept.release.publish`, reading tables in `genept.client`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from genept.schema import Table
from genept.storage import Document

if TYPE_CHECKING:
    from genept.datasources.download import Archives


class ReleasedFile(Document):
    """A parquet file of a release.

    Parameters
    ----------
    path
        Relative to the folder of the release.
    partition
        Values of the table's partition columns.
    bytes, sha256, rows
        Size, SHA-256 (hex digits) and number of rows.
    dimension
        Length of the vectors; None if the table has no vector column.
    origin
        What it was computed from: versions of code and libraries, inputs, settings.
    collections
        Ids of the collections that its rows were made of.
    redistributable
        Whether licences allow others to pass it on.
    """

    path: str
    partition: tuple[str, ...]
    bytes: int
    sha256: str
    rows: int
    dimension: int | None
    origin: dict[str, Any]
    collections: tuple[str, ...] = ()
    redistributable: bool = True


class ReleasedColumn(Document):
    """One entry of the data dictionary; fields as in `genept.schema.Column`, the type as text."""

    name: str
    type: str
    meaning: str
    unit: str | None
    nullable: bool
    allowed: tuple[str, ...] | None
    minimum: float | None
    maximum: float | None
    deprecated: str | None = None

    @classmethod
    def of(cls, table: Table) -> tuple[ReleasedColumn, ...]:
        """Return the data dictionary of a table."""
        same = [name for name in cls.model_fields if name != "type"]
        return tuple(
            cls(type=column.type_name, **{name: getattr(column, name) for name in same})
            for column in table.columns
        )


class ReleasedTable(Document):
    """One table of a release; `meaning`, `deprecated`, `key` and `partition` as in its declaration.

    Parameters
    ----------
    columns
        Its data dictionary.
    data_version
        Hash of its content.
    rows, bytes
        Of all files together.
    files
        In order of their partitions.
    """

    meaning: str
    deprecated: str | None = None
    key: tuple[str, ...]
    partition: tuple[str, ...]
    columns: tuple[ReleasedColumn, ...]
    data_version: str
    rows: int
    bytes: int
    files: tuple[ReleasedFile, ...]

    @property
    def by_partition(self) -> dict[str, list[ReleasedFile]]:
        """Files of each partition, by its values; ``(whole)`` without partition columns."""
        files: dict[str, list[ReleasedFile]] = {}
        for file in self.files:
            files.setdefault("/".join(file.partition) or "(whole)", []).append(file)
        return files


class ReleasedSource(Document):
    """A public source that went into the release.

    Parameters
    ----------
    title, version, released
        As the publisher names them; ``not stated`` without a date of release.
    sha256
        Data version of the copy that was read.
    licence, redistributable, citation
        Its terms, as the catalogue declares them.
    """

    title: str
    version: str
    released: str
    sha256: str
    licence: str
    redistributable: bool
    citation: str

    @classmethod
    def of(cls, archives: Archives, name: str) -> ReleasedSource:
        """Describe the copy of a source that was read."""
        source, seen = archives.catalogue.source(name), archives.cache_metadata(name)
        return cls(
            title=source.title,
            version=source.released_as,
            released=str(source.published or (seen and seen.released) or "not stated"),
            sha256=archives.data_version(name),
            licence=source.licence,
            redistributable=source.redistributable,
            citation=source.citation,
        )


class CheckEvidence(Document):
    """The result of checking a table with a certain content.

    Parameters
    ----------
    table, data_version
        Name of the table, and hash of the content that was checked.
    suite
        Version of the suite of expectations.
    passed
        Whether nothing failed.
    expectations
        Number of expectations.
    failed, warnings
        Sentences on what failed, and on unusual properties.
    page
        Key of the rendered result in the bucket.
    """

    table: str
    data_version: str
    suite: str
    passed: bool
    expectations: int
    failed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    page: str


class Manifest(Document):
    """The content of a release. Its SHA-256 is in the pointer.

    Parameters
    ----------
    release_id, data_version, schema_version, platform_version
        Id; hash of the content; versions of the declared tables and of the platform.
    created_at
        Time of publication, UTC, in ISO 8601.
    previous
        Id of the release that was current before; None for the first one.
    complete, limits
        False if settings limited what was built, and these settings.
    left_out
        Names of what may not be redistributed and was left out.
    requirements_sha256
        SHA-256 of the locked requirements, if known.
    tables, evidence, sources
        Tables and passed checks by table; public sources by name.
    audit
        SHA-256 of each audit page, by path.
    metadata, catalog
        SHA-256 of files that describe the release, and of its SQL catalogue; not stored if empty.
    """

    format: Literal[1] = 1
    release_id: str
    data_version: str
    schema_version: str | None = None
    created_at: str
    previous: str | None
    complete: bool
    limits: dict[str, Any]
    left_out: tuple[str, ...] = ()
    platform_version: str
    requirements_sha256: str | None
    tables: dict[str, ReleasedTable]
    evidence: dict[str, CheckEvidence]
    audit: dict[str, str]
    metadata: dict[str, str] = Field(default={}, exclude_if=lambda files: not files)
    sources: dict[str, ReleasedSource]
    catalog: dict[str, str] = Field(default={}, exclude_if=lambda files: not files)


class Denied(Document):
    """A release that was rolled back from; its content is refused until `lifted_at` is set."""

    release_id: str
    data_version: str
    reason: str
    denied_at: str
    lifted_at: str | None = None

    @classmethod
    def of(cls, manifest: Manifest, reason: str, moment: str) -> Denied:
        """The entry of a release that is taken back at a moment."""
        return cls(
            release_id=manifest.release_id,
            data_version=manifest.data_version,
            reason=reason,
            denied_at=moment,
        )


class Pointer(Document):
    """`current.json`: the current release, and the one that is marked as `stable`, if any.

    `seq` increases with every swap, also with a rollback; `rolled_back_from` is the release that
    was current before it. `denied` is part of the pointer, so that a rollback and the refusal of
    the bad content take effect with one compare-and-swap.
    """

    format: Literal[1] = 1
    seq: int
    release_id: str
    data_version: str
    manifest: str
    manifest_sha256: str
    previous: str | None
    swapped_at: str
    nonce: str = ""
    rolled_back_from: str | None = None
    denied: tuple[Denied, ...] = ()
    stable: str | None = Field(default=None, exclude_if=lambda name: name is None)

    def retracted(self, release_id: str) -> str | None:
        """Return why a release was taken back; None if it was not."""
        for denied in self.denied:
            if denied.release_id == release_id and denied.lifted_at is None:
                return denied.reason
        return None

    @property
    def heads(self) -> tuple[str, ...]:
        """Ids from which all releases that were current are reached by `Manifest.previous`."""
        return (self.release_id, *(denied.release_id for denied in self.denied))
