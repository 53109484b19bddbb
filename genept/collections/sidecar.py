"""What the owner of a file states about it, and the files in the inbox, each with its sidecar.

A sidecar is a small TOML file beside the data; `genept collections add` takes the same statements
as options. What becomes of a file in the inbox is `genept.collections.inbox`.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from genept.common import MissingObjectError, SourceError, problems_of
from genept.datasources import ID, Label
from genept.schema import Unit
from genept.storage import ObjectInfo, ObjectStore, sha256_of


class Sidecar(BaseModel):
    """Statements about a file that is to become a collection.

    Fields are of the publisher's metadata: `group` is the field that no split may cut, `labels`
    maps our labels to the publisher's fields. `options` are further options of the format
    (docs/sources.md).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=ID)
    title: str | None = None
    metadata: str | None = Field(None, description="File of the observations, beside this one.")
    kind: Literal["single_cell", "bulk"] | None = None
    format: str | None = None
    unit: Unit | None = None
    counts_of: Literal["reads", "molecules"] | None = Field(
        None, description="What counts are of: reads of whole transcripts, or molecules (UMI)."
    )
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
        """Terms of use, as in the declaration of every file."""
        return {
            "licence": self.licence,
            "redistributable": self.redistributable,
            "citation": self.citation,
        }


def read_sidecar(body: bytes, what: str, *, id_: str) -> Sidecar:
    """Read the TOML beside a file.

    Parameters
    ----------
    body
        Its bytes.
    what
        Its name, for errors.
    id_
        Id of the collection, if the file states none.

    Returns
    -------
    Sidecar
        The statements.

    Raises
    ------
    SourceError
        It is not TOML, or a statement is invalid; names every mistake.
    """
    try:
        return validated_sidecar({"id": id_} | tomllib.loads(body.decode("utf-8")), what)
    except RecursionError as error:
        raise SourceError(f"{what} is no TOML: it is nested too deeply") from error
    except ValueError as error:
        raise SourceError(f"{what} is no TOML: {error}") from error


def validated_sidecar(values: dict[str, Any], what: str) -> Sidecar:
    """Validate statements about a file.

    Parameters
    ----------
    values
        By field of `Sidecar`.
    what
        Where they come from, for errors.

    Returns
    -------
    Sidecar
        The statements.

    Raises
    ------
    SourceError
        A statement is invalid; names every mistake.
    """
    try:
        return Sidecar.model_validate(values)
    except ValidationError as error:
        raise SourceError(f"{what}: {problems_of(error)}") from error


def typed_options(assignments: Sequence[str]) -> dict[str, Any]:
    """Parse options of the format from the command line.

    Parameters
    ----------
    assignments
        ``NAME=VALUE`` each, with the value as in TOML.

    Returns
    -------
    dict
        Value by name.

    Raises
    ------
    SourceError
        An assignment is not TOML.
    """
    try:
        return tomllib.loads("\n".join(assignments))
    except tomllib.TOMLDecodeError as error:
        raise SourceError(
            f"--option takes NAME=VALUE as in TOML, text in quotes ('delimiter=\";\"'): {error}"
        ) from error


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
        Id of the collection; derived from the file's name if the sidecar states none.
    file, sidecar
        The objects.
    body
        Content of the sidecar; empty if it is longer than `LONGEST_SIDECAR`.
    metadata
        The table of observations that the sidecar names, if it is beside it.
    shared
        Whether another drop names the same table, which then stays until the last of them is gone.
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
        """Hash of keys, etags and times of file and sidecar; changes with every upload."""
        both = [
            (object_.key, object_.etag, object_.last_modified.isoformat())
            for object_ in (self.file, self.sidecar)
        ]
        return sha256_of(both)

    @property
    def own_objects(self) -> tuple[ObjectInfo, ...]:
        """The objects that belong to this drop alone; the sidecar first."""
        metadata = () if self.metadata is None or self.shared else (self.metadata,)
        return (self.sidecar, self.file, *metadata)


def drops(store: ObjectStore, product: str) -> tuple[list[Drop], list[str]]:
    """List the complete drops of the inbox, and the files without their other half.

    A name or a sidecar that is invalid does not keep other drops from being listed.

    Parameters
    ----------
    store
        The bucket.
    product
        Key prefix of the installation.

    Returns
    -------
    drops, waiting
        Complete drops; and names of the other files, sorted.
    """
    folder = f"{product}/inbox/"
    objects = {object_.key.removeprefix(folder): object_ for object_ in store.list(folder)}
    # A sidecar cannot have a sidecar: so no statement can be replaced through another.
    files = {
        name: object_
        for name, object_ in objects.items()
        if _is_name(name) and not name.endswith(SIDECAR) and name + SIDECAR in objects
    }
    bodies = {name: _read(store, objects[name + SIDECAR]) for name in files}
    stated = {name: _values(body) for name, body in bodies.items()}
    named = {name: _metadata_of(values) for name, values in stated.items()}
    shares = Counter(named.values())
    complete, used = [], set[str]()
    for name, file in files.items():
        table = named[name]
        # The file of another drop is never read as this drop's table.
        is_free = table in objects and table not in files and not table.endswith(SIDECAR)
        complete.append(
            Drop(
                id=_id_of(stated[name], name),
                file=file,
                sidecar=objects[name + SIDECAR],
                body=bodies[name],
                metadata=objects[table] if is_free else None,
                shared=shares[table] > 1,
            )
        )
        used |= {name, name + SIDECAR} | ({table} if is_free else set())
    return complete, sorted(objects.keys() - used)


def is_same(now: ObjectInfo | None, then: ObjectInfo) -> bool:
    """Whether an object has not been replaced since."""
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


def _metadata_of(values: dict[str, Any]) -> str:
    """The metadata file that a sidecar names, if it may be called so; else empty."""
    name = values.get("metadata")
    return name if isinstance(name, str) and _is_name(name) else ""


def _id_of(values: dict[str, Any], name: str) -> str:
    """The id that a sidecar states, or one made of the file's name."""
    id_ = values.get("id")
    if isinstance(id_, str) and re.fullmatch(ID, id_):
        return id_
    return re.sub(r"[^a-z0-9]+", "-", name.partition(".")[0].lower()).strip("-") or "unnamed"


def _values(body: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return {}  # reported when the drop is taken in
