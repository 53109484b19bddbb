"""Files of declarations: the platform's own, and a user's that adds to them."""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from genept.common import SourceError

T = TypeVar("T")


def read_own_declarations(path: Path) -> dict[str, Any]:
    """Read a user's own file of recipes, masks, spaces and ensembles.

    Raises
    ------
    SourceError
        It cannot be read, or has other entries.
    """
    try:
        declared = tomllib.loads(path.expanduser().read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SourceError(f"the recipes file {path} cannot be read: {error}") from error
    known = ("recipes", "masks", "spaces", "ensembles")
    if unknown := sorted(set(declared) - set(known)):
        raise SourceError(f"{path}: {unknown} is none of {', '.join(known)}")
    return declared


def declared_entries(
    package: str, kind: str, further: Path | None, declared: Callable[..., T]
) -> list[T]:
    """Read the entries of one kind, the platform's and then the user's own.

    Parameters
    ----------
    package
        Package that ships them, as `kind` with the suffix ``.toml``.
    kind
        Name of the entries, such as ``spaces``.
    further
        A file of the user's own declarations; None: only those of the platform.
    declared
        Makes an object of the fields of an entry.

    Returns
    -------
    list
        What `declared` returned, in the order of declaration.

    Raises
    ------
    SourceError
        An entry is invalid, or its id is declared twice.
    """
    entries = tomllib.loads(files(package).joinpath(f"{kind}.toml").read_text("utf-8"))[kind]
    if further is not None:
        entries = [*entries, *read_own_declarations(further).get(kind, [])]
    known = inspect.signature(declared).parameters
    results: dict[str, T] = {}
    for entry in entries:
        try:
            if unknown := sorted(set(entry) - set(known)):
                raise ValueError(f"unknown keys {unknown}")
            result = declared(**entry)
            if entry["id"] in results:
                raise ValueError("it is declared twice")
        except (ValueError, TypeError) as error:
            where = f"{further or f'{kind}.toml'}: [[{kind}]]"
            raise SourceError(f"{where} {entry}: {error}") from error
        results[entry["id"]] = result
    return list(results.values())
