"""What the owner of a file says of it: the options of `genept collections add`, or a small TOML.

Everything but the id may be left out where it can be detected, which is `detection`'s business.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from genept.sources.errors import SourceError
from genept.sources.matrix_options import Label
from genept.sources.source import ID


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
    unit: Literal["counts", "tpm", "log1p", "log2", "zscore"] | None = None
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
        return said({"id": id_} | tomllib.loads(body.decode("utf-8")), what)
    except SourceError:
        raise
    except RecursionError as error:
        raise SourceError(f"{what} is no TOML: it is nested too deeply") from error
    except ValueError as error:
        raise SourceError(f"{what} is no TOML: {error}") from error


def said(values: dict[str, Any], what: str) -> Sidecar:
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
        f"{'.'.join(map(str, one['loc'])) or 'it'}: {one['msg']}" for one in error.errors()
    )
