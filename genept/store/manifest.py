"""What a release says about itself: the manifest, the pointer and the evidence of its checks.

Typed documents and their addresses. Writing them in the right order is
`genept.store.release`.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from genept.declaration import Table
from genept.store.errors import StoreError

FORMAT: Final = 1
"""Of the pointer and the manifest. A later version raises it when an older one, which ignores
fields that it does not know, would misread what is written."""


class Document(BaseModel):
    """A JSON document in the store.

    Fields that this version does not know are ignored, and kept when the document is written
    again: a later version may have added them.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    def body(self) -> bytes:
        """The document as it is stored."""
        return self.model_dump_json(indent=1).encode()

    @classmethod
    def parse(cls, body: bytes, address: str) -> Self:
        """The document stored at `address`.

        Raises
        ------
        StoreError
            It has a later format than this version reads, or is damaged.
        """
        if (stored := _format(body)) > FORMAT:
            raise StoreError(
                f"{address} has format {stored}, and this version reads format {FORMAT}: upgrade "
                "with pip install --upgrade genept-platform"
            )
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            raise StoreError(
                f"{address} is not a {cls.__name__.lower()} that this version reads: {error}"
            ) from error

    @property
    def stored_sha256(self) -> str:
        """SHA-256 of the stored bytes."""
        return hashlib.sha256(self.body()).hexdigest()


class ReleasedFile(Document):
    """One parquet file of a release; `path` is relative to the release's folder."""

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
    """One entry of the data dictionary."""

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
        """The data dictionary of a table."""
        return tuple(
            cls(
                name=column.name,
                type=column.type_name,
                meaning=column.meaning,
                unit=column.unit,
                nullable=column.nullable,
                allowed=column.allowed,
                minimum=column.minimum,
                maximum=column.maximum,
                deprecated=column.deprecated,
            )
            for column in table.columns
        )


class ReleasedTable(Document):
    """One table of a release."""

    meaning: str
    deprecated: str | None = None
    key: tuple[str, ...]
    partition: tuple[str, ...]
    columns: tuple[ReleasedColumn, ...]
    data_version: str
    rows: int
    bytes: int
    files: tuple[ReleasedFile, ...]


class ReleasedSource(Document):
    """A public source that went into the release."""

    title: str
    version: str
    released: str
    sha256: str
    licence: str
    redistributable: bool
    citation: str


class Evidence(Document):
    """That a table of a certain content was checked, and what came out.

    `page` is the key of the rendered result in the bucket.
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
    """Everything in a release. Its SHA-256 stands in the pointer."""

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
    evidence: dict[str, Evidence]
    audit: dict[str, str]
    sources: dict[str, ReleasedSource]


class Denied(Document):
    """A release that was rolled back from: its content is not published again until lifted."""

    release_id: str
    data_version: str
    reason: str
    denied_at: str
    lifted_at: str | None = None


class Pointer(Document):
    """`current.json`: which release is current. The only object that is ever rewritten.

    `seq` rises with every swap, also when an earlier release becomes current again; then
    `rolled_back_from` says which was current before. `denied` is part of the pointer so that
    one compare-and-swap takes the bad release away and keeps it away.
    """

    format: Literal[1] = 1
    seq: int
    release_id: str
    data_version: str
    manifest: str
    manifest_sha256: str
    previous: str | None
    swapped_at: str
    nonce: str
    rolled_back_from: str | None = None
    denied: tuple[Denied, ...] = ()

    def fenced(self) -> Pointer:
        """The same in other words: whoever read the pointer before cannot swap it any more."""
        return self.model_copy(update={"seq": self.seq + 1, "nonce": secrets.token_hex(8)})

    @property
    def heads(self) -> tuple[str, ...]:
        """Every release that was current has become so after one of these, or is one of them."""
        return (self.release_id, *(one.release_id for one in self.denied))


def _format(body: bytes) -> int:
    """The format that a document says it has; that of this version if it says none."""
    try:
        document = json.loads(body)
    except ValueError:
        return FORMAT
    stored = document.get("format", FORMAT) if isinstance(document, dict) else FORMAT
    return stored if isinstance(stored, int) else FORMAT
