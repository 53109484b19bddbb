"""What users register in the bucket: declarations under an id, and tables that they name by hash.

Neither is ever rewritten. Removing a declaration removes neither the table nor what was released.
What is declared is decided where it is used: collections, spaces of genes, vectors of observations.
"""

import hashlib
import io
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final, Generic, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from genept.common import ConflictError, MissingObjectError, StoreError
from genept.storage.object_store import ObjectStore

STAMPS: Final = {"added", "registered"}
"""Fields that say when something was registered; two declarations may differ in them."""


class VectorFile(BaseModel):
    """A user's file of vectors, and the terms under which they may be used.

    Parameters
    ----------
    file, file_sha256
        Name and SHA-256 of the file.
    citation, licence, redistributable
        Terms of use, and whether they allow a release with the vectors to be passed on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    file_sha256: str
    citation: str
    licence: str = "not stated"
    redistributable: bool = False


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


Declared = TypeVar("Declared", bound=BaseModel)


@dataclass(frozen=True)
class Registrations(Generic[Declared]):
    """The declarations of one kind.

    Parameters
    ----------
    store
        The bucket.
    folder
        Key prefix; a declaration is stored under its id, with the suffix ``.json``.
    kind
        Class of the declarations.
    what
        What they declare, such as ``space``, for errors.
    """

    store: ObjectStore
    folder: str
    kind: type[Declared]
    what: str

    @property
    def ids(self) -> list[str]:
        """Ids that are registered, sorted."""
        keys = [info.key for info in self.store.list(self.folder)]
        return [key.removeprefix(self.folder).removesuffix(".json") for key in keys]

    def all(self) -> list[Declared]:
        """Read all declarations, in the order of their ids.

        Raises `StoreError` if an object in the folder is not a declaration of this kind.
        """
        return [self._read(id_) for id_ in self.ids]

    def find(self, id_: str) -> Declared | None:
        """Read one declaration; None if the id is free."""
        try:
            return self._read(id_)
        except MissingObjectError:
            return None

    def add(self, id_: str, declaration: Declared) -> Declared:
        """Write a declaration, and return the one that is stored; the same again changes nothing.

        Raises `StoreError` if another one has the id.
        """
        try:
            declare(self.store, self._key(id_), declaration)
        except ConflictError:
            known = self.find(id_)
            if known is None or known.model_dump(exclude=STAMPS) != declaration.model_dump(
                exclude=STAMPS
            ):
                raise StoreError(
                    f"a {self.what} {id_!r} is registered already, and what is registered is not "
                    "rewritten: choose another id, or remove it first"
                ) from None
            return known
        return declaration

    def remove(self, id_: str) -> None:
        """Remove a declaration: the next release does not hold what it declares.

        Raises `StoreError` if the id is not registered.
        """
        if id_ not in (known := self.ids):
            there = ", ".join(known) or "none"
            raise StoreError(f"no {self.what} {id_!r} is registered; there are {there}")
        self.store.delete([self._key(id_)])

    def _key(self, id_: str) -> str:
        return f"{self.folder}{id_}.json"

    def _read(self, id_: str) -> Declared:
        """Read a declaration; fields that its class does not have are ignored."""
        key = self._key(id_)
        try:
            return self.kind.model_validate_json(self.store.get(key), extra="ignore")
        except ValidationError as error:
            raise StoreError(
                f"{self.store.uri(key)} is not a declaration of a {self.what} "
                f"({error.error_count()} errors, such as {error.errors()[0]['msg']!r}): delete the "
                f"object and add the {self.what} again"
            ) from error


def put_table(store: ObjectStore, folder: str, rows: pa.Table, **options: Any) -> str:
    """Store a table as parquet under the hash of its bytes; see `get_table`.

    Parameters
    ----------
    store
        The bucket.
    folder
        Key prefix.
    rows
        The table.
    **options
        Of `pyarrow.parquet.write_table`.

    Returns
    -------
    str
        Its key.
    """
    body = io.BytesIO()
    pq.write_table(rows, body, **{"compression": "zstd", **options})
    content = body.getvalue()
    key = f"{folder}{hashlib.sha256(content).hexdigest()}.parquet"
    store.put_if_absent(key, content)
    return key


def get_table(store: ObjectStore, key: str, remedy: str) -> pa.Table:
    """Read a table that is stored under the hash of its bytes.

    Parameters
    ----------
    store
        The bucket.
    key
        Key, as `put_table` returned it.
    remedy
        What to do if the table is damaged, for the error.

    Returns
    -------
    pyarrow.Table
        The table.

    Raises
    ------
    StoreError
        Its bytes do not match its name.
    """
    content = store.get(key)
    if hashlib.sha256(content).hexdigest() != PurePosixPath(key).stem:
        raise StoreError(
            f"{store.uri(key)} is damaged: its content does not match its name; {remedy}"
        )
    return pq.read_table(pa.BufferReader(content))
