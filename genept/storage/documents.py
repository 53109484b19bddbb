"""JSON documents in the bucket: typed, versioned, and either written once or swapped.

A declaration (what a user registers) is written once. A pointer, a claim or a list is rewritten by
compare-and-swap. What the documents mean is decided where they are declared.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Final, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from genept.common import MissingObjectError, StoreError
from genept.storage.object_store import ObjectStore

FORMAT: Final = 1
"""Format of pointers and manifests. It is raised when older versions, which ignore unknown fields,
would misread a document."""


class Document(BaseModel):
    """A JSON document in the store.

    Fields that this version does not know, such as those of a later version, are ignored, and
    kept when the document is written again.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    def body(self) -> bytes:
        """Return the document as it is stored: JSON in UTF-8."""
        return self.model_dump_json(indent=1).encode()

    @classmethod
    def parse(cls, body: bytes, address: str) -> Self:
        """Parse a document.

        Parameters
        ----------
        body
            Its stored bytes.
        address
            Where they are stored, for the error.

        Raises
        ------
        StoreError
            The document is damaged, or has a later format than this version reads.
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


def _format(body: bytes) -> int:
    """The format that a document states; that of this version if it states none."""
    try:
        document = json.loads(body)
    except ValueError:
        return FORMAT
    stored = document.get("format", FORMAT) if isinstance(document, dict) else FORMAT
    return stored if isinstance(stored, int) else FORMAT


Swapped = TypeVar("Swapped", bound=Document)


class SwappedDocument(Generic[Swapped]):
    """The document under one key, which is only ever replaced by compare-and-swap.

    Parameters
    ----------
    store
        The bucket, with keys that may write if `swap` is called.
    key
        Key of the document.
    kind
        Its class. A field `nonce` of type ``str`` is required: see `swap`.
    """

    def __init__(self, store: ObjectStore, key: str, kind: type[Swapped]) -> None:
        self.store, self.key, self.kind = store, key, kind

    def read(self) -> tuple[Swapped | None, str | None]:
        """Read the document.

        Returns
        -------
        document, etag
            Both None where nothing is stored. The ETag is the condition of the next `swap`.

        Raises
        ------
        StoreError
            The document is damaged, or has a later format than this version reads.
        """
        try:
            body, etag = self.store.get_with_etag(self.key)
        except MissingObjectError:
            return None, None
        return self.kind.parse(body, self.store.uri(self.key)), etag

    def swap(self, document: Swapped, etag: str | None) -> tuple[Swapped, str]:
        """Replace the document that has `etag`, or create it where `etag` is None.

        Each replacement gets a new nonce. No two writers ever write equal bytes, so that a writer
        whose answer was lost recognises its own document when it reads it back.

        Returns
        -------
        document, etag
            As they are stored now.

        Raises
        ------
        ConflictError
            Another writer replaced the document since `etag` was read.
        """
        replacement = document.model_copy(update={"nonce": secrets.token_hex(8)})
        return replacement, self.store.put_if_match(self.key, replacement.body(), etag)


Declaration = TypeVar("Declaration", bound=BaseModel)


def read_declaration(
    store: ObjectStore, key: str, kind: type[Declaration], what: str
) -> Declaration:
    """Read a declaration.

    Parameters
    ----------
    store
        The bucket.
    key
        Key of the declaration.
    kind
        Its class.
    what
        What is declared, such as ``space``, for the error.

    Returns
    -------
    kind
        The declaration; fields that the class does not have are ignored.

    Raises
    ------
    StoreError
        There is no such object, or it is not a declaration of this class.
    """
    try:
        return kind.model_validate_json(store.get(key), extra="ignore")
    except ValidationError as error:
        raise StoreError(
            f"{store.uri(key)} is not a declaration of a {what} ({error.error_count()} errors, "
            f"such as {error.errors()[0]['msg']!r}): delete the object and add the {what} again"
        ) from error


def declare(store: ObjectStore, key: str, declaration: BaseModel) -> None:
    """Write a declaration under a key that must be free.

    Parameters
    ----------
    store
        The bucket.
    key
        Key of the declaration.
    declaration
        A pydantic model; fields with default values are left out.

    Raises
    ------
    ConflictError
        Another declaration is stored under this key.
    """
    body = declaration.model_dump_json(indent=1, by_alias=True, exclude_defaults=True).encode()
    store.put_if_match(key, body, None)
