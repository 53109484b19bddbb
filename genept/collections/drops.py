"""Files that wait in the inbox: which belong together, and what their sidecars state."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from genept.common.errors import MissingObjectError
from genept.datasources.catalog.source import ID
from genept.storage.object_store import ObjectStore
from genept.storage.provenance import sha256_of
from genept.storage.requests import ObjectInfo

SIDECAR: Final = ".toml"

LONGEST_SIDECAR: Final = 64 << 10
"""Bytes of a sidecar, at most."""

LONGEST_NAME: Final = 200
"""Bytes of a file's name, at most; what is called longer waits."""


@dataclass(frozen=True)
class Drop:
    """A file in the inbox with its sidecar.

    Parameters
    ----------
    id
        Of the collection that it is to become; made of the file's name if the sidecar says none.
    body
        What the sidecar says; empty if it is longer than `LONGEST_SIDECAR`.
    metadata
        The table of observations that the sidecar names, if it lies beside it.
    shared
        Whether another drop names the same table: it stays until the last of them is gone.
    version
        Changes whenever one of the objects is written.
    """

    id: str
    file: ObjectInfo
    sidecar: ObjectInfo
    body: bytes
    metadata: ObjectInfo | None = None
    shared: bool = False

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.file.key.rpartition("/")[2]

    @property
    def version(self) -> str:
        """Hash of what the store says of the file and its sidecar."""
        both = [
            (one.key, one.etag, one.last_modified.isoformat()) for one in (self.file, self.sidecar)
        ]
        return sha256_of(both)

    @property
    def own_objects(self) -> tuple[ObjectInfo, ...]:
        """The objects that are this drop's and nobody else's; the sidecar first."""
        metadata = () if self.metadata is None or self.shared else (self.metadata,)
        return (self.sidecar, self.file, *metadata)


def drops(store: ObjectStore, product: str) -> tuple[list[Drop], list[str]]:
    """The complete drops of the inbox, and the names of files that wait for their other half.

    Nothing that a file is called or that a sidecar says keeps another drop from being seen.
    """
    folder = f"{product}/inbox/"
    objects = {one.key.removeprefix(folder): one for one in store.list(folder)}
    # A sidecar is nobody's file, so that nobody can give a sidecar to another's.
    files = {
        name: one
        for name, one in objects.items()
        if _is_name(name) and not name.endswith(SIDECAR) and name + SIDECAR in objects
    }
    bodies = {name: _read(store, objects[name + SIDECAR]) for name in files}
    named = {name: _metadata_of(body) for name, body in bodies.items()}
    shares = Counter(named.values())
    found, used = [], set[str]()
    for name, file in files.items():
        table = named[name]
        # Another drop's file is never this one's table, whatever its sidecar says.
        is_free = table in objects and table not in files and not str(table).endswith(SIDECAR)
        found.append(
            Drop(
                id=_id_of(bodies[name], file),
                file=file,
                sidecar=objects[name + SIDECAR],
                body=bodies[name],
                metadata=objects[table] if table is not None and is_free else None,
                shared=shares[table] > 1,
            )
        )
        used |= {name, name + SIDECAR} | ({table} if table is not None and is_free else set())
    return found, sorted(objects.keys() - used)


def _is_same(now: ObjectInfo | None, then: ObjectInfo) -> bool:
    return now is not None and (now.etag, now.bytes) == (then.etag, then.bytes)


def _is_name(name: str) -> bool:
    """Whether a file may be called so, here and in the bucket."""
    return (
        "/" not in name
        and name not in ("", ".", "..")
        and name.isprintable()
        and "\\" not in name
        and len(name.encode()) <= LONGEST_NAME
    )


def _read(store: ObjectStore, sidecar: ObjectInfo) -> bytes:
    if sidecar.bytes > LONGEST_SIDECAR:
        return b""
    try:
        return store.get(sidecar.key)
    except MissingObjectError:  # taken out since the listing
        return b""


def _metadata_of(body: bytes) -> str | None:
    """The metadata file that a sidecar names, if it may be called so."""
    name = _values(body).get("metadata")
    return name if isinstance(name, str) and _is_name(name) else None


def _id_of(body: bytes, file: ObjectInfo) -> str:
    """The id that a sidecar says, or one made of the file's name."""
    told = _values(body).get("id")
    if isinstance(told, str) and re.fullmatch(ID, told):
        return told
    stem = file.key.rpartition("/")[2].partition(".")[0].lower()
    return re.sub(r"[^a-z0-9]+", "-", stem).strip("-") or "unnamed"


def _values(body: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return {}  # said when the drop is taken in
