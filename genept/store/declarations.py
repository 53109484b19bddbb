"""What users declare (collections, spaces, outside vectors): one JSON object each, in the bucket.

A declaration is written once and never changed; taking it back deletes the object. What it says
is the business of whoever declares it. Fields that this version does not know are ignored: a
later version may have written it. An option that must not be ignored belongs in a collection's
`options`, which are refused if they are unknown.
"""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from genept.store.errors import StoreError
from genept.store.s3 import ObjectStore

Declaration = TypeVar("Declaration", bound=BaseModel)


def read_declaration(
    store: ObjectStore, key: str, kind: type[Declaration], what: str
) -> Declaration:
    """The declaration under a key.

    Parameters
    ----------
    what
        What is declared, such as ``space``: for the error.

    Raises
    ------
    StoreError
        There is no such object, or it is no declaration of that kind.
    """
    try:
        return kind.model_validate_json(store.get(key), extra="ignore")
    except ValidationError as error:
        raise StoreError(
            f"{store.uri(key)} is no declaration of a {what} ({error.error_count()} mistakes, such "
            f"as {error.errors()[0]['msg']!r}): delete the object and add the {what} again"
        ) from error


def read_declarations(
    store: ObjectStore, prefix: str, kind: type[Declaration], what: str
) -> list[Declaration]:
    """Every declaration below a prefix, by key; raises as `read_declaration`."""
    return [read_declaration(store, info.key, kind, what) for info in store.list(prefix)]


def declare(store: ObjectStore, key: str, declaration: BaseModel) -> None:
    """Write a declaration, unless there is one under this key.

    Raises
    ------
    ConflictError
        There is one, and it was not written by this call.
    """
    body = declaration.model_dump_json(indent=1, by_alias=True, exclude_defaults=True).encode()
    store.put_if_match(key, body, None)
