"""What the owner of a file states of it: options of `genept collections add`, or a small TOML.

Also what publishers call their fields of labels and groups, however they spell it.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from genept.common.errors import MissingObjectError, SourceError
from genept.datasources.catalog.matrix_options import Label
from genept.datasources.catalog.source import ID
from genept.schema.units import Unit
from genept.storage.object_store import ObjectStore
from genept.storage.provenance import sha256_of
from genept.storage.requests import ObjectInfo


class Sidecar(BaseModel):
    """What is said of a file that is to become a collection.

    Fields are of the publisher's metadata: `group` is the one that no split may cut, `labels`
    are ours to his. `options` are further options of the format (docs/sources.md).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=ID)
    title: str | None = None
    metadata: str | None = Field(None, description="File of the observations, beside this one.")
    kind: Literal["single_cell", "bulk"] | None = None
    format: str | None = None
    unit: Unit | None = None
    group: str | None = Field(None, min_length=1)
    labels: dict[Label, str] = {}
    duplicate_policy: Literal["sum", "highest_mean", "first", "refuse"] | None = None
    annotation_release: str | None = None
    licence: str = "not stated"
    redistributable: bool = False
    citation: str = "not stated"
    caveat: str | None = None
    options: dict[str, Any] = {}

    @property
    def terms(self) -> dict[str, object]:
        """Terms of use, as they stand in the declaration of every file."""
        return {
            "licence": self.licence,
            "redistributable": self.redistributable,
            "citation": self.citation,
        }


def read_sidecar(body: bytes, what: str, *, id_: str) -> Sidecar:
    """Read the TOML beside a file.

    Parameters
    ----------
    id_
        The id, where it says none.

    Raises
    ------
    SourceError
        It is no TOML, or says what cannot be; names every mistake.
    """
    try:
        return validated_sidecar({"id": id_} | tomllib.loads(body.decode("utf-8")), what)
    except SourceError:
        raise
    except RecursionError as error:
        raise SourceError(f"{what} is no TOML: it is nested too deeply") from error
    except ValueError as error:
        raise SourceError(f"{what} is no TOML: {error}") from error


def validated_sidecar(values: dict[str, Any], what: str) -> Sidecar:
    """What is said, checked.

    Raises
    ------
    SourceError
        A value cannot be; names every mistake.
    """
    try:
        return Sidecar.model_validate(values)
    except ValidationError as error:
        raise SourceError(f"{what}: {problems(error)}") from error


def typed_options(assignments: Sequence[str]) -> dict[str, Any]:
    """Options of the format as they are typed: ``NAME=VALUE``, as in TOML.

    Raises
    ------
    SourceError
        One of them is no TOML.
    """
    try:
        return tomllib.loads("\n".join(assignments))
    except tomllib.TOMLDecodeError as error:
        raise SourceError(
            f"--option takes NAME=VALUE as in TOML, text in quotes ('delimiter=\";\"'): {error}"
        ) from error


def problems(error: ValidationError) -> str:
    """The mistakes of a declaration, in one line."""
    return "; ".join(
        f"{'.'.join(map(str, problem['loc'])) or 'it'}: {problem['msg']}"
        for problem in error.errors()
    )


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
            (object_.key, object_.etag, object_.last_modified.isoformat())
            for object_ in (self.file, self.sidecar)
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
    objects = {object_.key.removeprefix(folder): object_ for object_ in store.list(folder)}
    # A sidecar is nobody's file, so that nobody can give a sidecar to another's.
    files = {
        name: object_
        for name, object_ in objects.items()
        if _is_name(name) and not name.endswith(SIDECAR) and name + SIDECAR in objects
    }
    bodies = {name: _read(store, objects[name + SIDECAR]) for name in files}
    named = {name: _metadata_of(body) for name, body in bodies.items()}
    shares = Counter(named.values())
    complete, used = [], set[str]()
    for name, file in files.items():
        table = named[name]
        # Another drop's file is never this one's table, whatever its sidecar says.
        is_free = table in objects and table not in files and not str(table).endswith(SIDECAR)
        complete.append(
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
    return complete, sorted(objects.keys() - used)


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
    id_ = _values(body).get("id")
    if isinstance(id_, str) and re.fullmatch(ID, id_):
        return id_
    stem = file.key.rpartition("/")[2].partition(".")[0].lower()
    return re.sub(r"[^a-z0-9]+", "-", stem).strip("-") or "unnamed"


def _values(body: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return {}  # said when the drop is taken in
