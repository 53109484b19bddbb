"""What an object is: its key, its bytes before they are stored, what the store says of it.

Nothing here talks to a store.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from genept.store.errors import InvalidKeyError

Stream = io.BytesIO | io.BufferedReader
"""A body before it is sent; it can be read again from its start."""


@dataclass(frozen=True)
class ObjectInfo:
    """What the store says of an object without sending it. The `etag` is not a hash."""

    key: str
    bytes: int
    etag: str
    last_modified: datetime


def check_key(key: str) -> str:
    """The key itself. Raises `InvalidKeyError` for one that servers treat each in their own way."""
    if not key or len(key.encode()) > 1024 or not key.isprintable() or "\\" in key:
        raise InvalidKeyError(f"{key!r} is no key: give 1 to 1024 bytes, printable, no backslash")
    if not {"", ".", ".."}.isdisjoint(key.split("/")):
        raise InvalidKeyError(f"{key!r} is no key: a part between slashes is empty, '.' or '..'")
    return key


@contextmanager
def opened(body: bytes | Path) -> Iterator[tuple[Stream, int]]:
    """The body as a stream, and its length in bytes."""
    if isinstance(body, bytes):
        yield io.BytesIO(body), len(body)
        return
    with body.open("rb") as stream:
        yield stream, body.stat().st_size
