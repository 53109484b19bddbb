"""Frozen reader of version 0.1.0: it knows the documents of its time, and refuses other fields.

Do not update it: it represents installations that nobody upgrades.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

POINTER = {
    "format", "seq", "release_id", "data_version", "manifest", "manifest_sha256", "previous",
    "swapped_at", "nonce",
}  # fmt: skip
POINTER_OPTIONAL = {"format", "rolled_back_from", "denied"}
DENIED = {"release_id", "data_version", "reason", "denied_at"}
DENIED_OPTIONAL = {"lifted_at"}
MANIFEST = {
    "release_id", "data_version", "created_at", "previous", "complete", "limits",
    "platform_version", "requirements_sha256", "tables", "evidence", "audit", "sources",
}  # fmt: skip
MANIFEST_OPTIONAL = {"format", "schema_version", "left_out"}
TABLE = {"meaning", "key", "partition", "columns", "data_version", "rows", "bytes", "files"}
TABLE_OPTIONAL = {"deprecated"}
FILE = {"path", "partition", "bytes", "sha256", "rows", "dimension", "origin"}
FILE_OPTIONAL = {"collections", "redistributable"}


class NotReadableError(Exception):
    """A document of another format, of which the reader reads nothing."""


class TornError(Exception):
    """The content does not fit what the documents state."""


def read_current(get: Callable[[str], bytes], product: str) -> Iterator[tuple[str, bytes]]:
    """Path and bytes of every file of the current release.

    Raises
    ------
    NotReadableError
        The release was written in a way that version 0.1.0 does not know.
    TornError
        A document or file does not have its stated hash.
    """
    pointer = _document(get(f"{product}/current.json"), POINTER, POINTER_OPTIONAL)
    for denied in pointer.get("denied", ()):
        _fields(denied, DENIED, DENIED_OPTIONAL)
    body = get(pointer["manifest"])
    if hashlib.sha256(body).hexdigest() != pointer["manifest_sha256"]:
        raise TornError(f"{pointer['manifest']} is not the manifest that was sealed")
    manifest = _document(body, MANIFEST, MANIFEST_OPTIONAL)
    for table in manifest["tables"].values():
        _fields(table, TABLE, TABLE_OPTIONAL)
        for file in table["files"]:
            _fields(file, FILE, FILE_OPTIONAL)
            content = get(f"{product}/releases/{manifest['release_id']}/{file['path']}")
            if hashlib.sha256(content).hexdigest() != file["sha256"]:
                raise TornError(f"{file['path']} does not have its hash")
            yield file["path"], content


def _document(body: bytes, needed: set[str], optional: set[str]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(body)
    _fields(document, needed, optional)
    if document.get("format", 1) != 1:
        raise NotReadableError(f"format {document['format']}")
    return document


def _fields(document: dict[str, Any], needed: set[str], optional: set[str]) -> None:
    if (needed - optional) - document.keys() or document.keys() - needed - optional:
        raise NotReadableError(f"other fields: {sorted(document.keys() ^ needed - optional)}")
