"""The catalogue: which archives are used and which collections are made of them.

Reads and validates `catalogue.toml`. A further collection of a known format is
an entry there and no code. Fetching is in `archives`, parsing in one module per
format.
"""

from __future__ import annotations

import tomllib
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from genept.sources.errors import SourceError
from genept.sources.formats import FORMATS

ID = r"^[a-z0-9][a-z0-9-]*$"


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Entry):
    """One archive on the package index, pinned to the byte."""

    id: str = Field(pattern=ID)
    title: str
    publisher: str
    package: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    version: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+!-]*$")
    filename: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+!-]*(\.whl|\.tar\.gz)$")
    bytes: int = Field(gt=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    licence: str
    redistributable: bool
    citation: str
    released: date = Field(description="Date of the data, not of the package.")

    @property
    def is_wheel(self) -> bool:
        """Whether the archive is a wheel (zip) and not a source distribution (tar.gz)."""
        return self.filename.endswith(".whl")


class Collection(_Entry):
    """One data set that is ingested: its format, unit, groups and terms of use.

    `options` are the format's own; they are checked against its model on load,
    and the parser reads them through that model.
    """

    id: str = Field(pattern=ID)
    title: str
    kind: Literal["single_cell", "bulk"]
    format: str
    sources: tuple[str, ...]
    unit: Literal["counts", "tpm", "log1p", "log2", "zscore"]
    duplicate_policy: Literal["sum", "highest_mean", "first", "refuse"]
    par_y: Literal["quarantine", "merge"] = "quarantine"
    annotation_release: str | None = Field(None, description="As declared by the publisher.")
    group_axis: str
    redistributable: bool
    licence: str
    citation: str
    caveat: str | None = None
    options: dict[str, Any] = {}

    @model_validator(mode="after")
    def _policy_suits_unit(self) -> Collection:
        expected = "sum" if self.unit in ("counts", "tpm") else "highest_mean"
        if self.duplicate_policy not in (expected, "first", "refuse"):
            raise ValueError(
                f"columns of one gene in {self.unit} are merged by {expected!r} or refused, "
                f"not merged by {self.duplicate_policy!r}"
            )
        return self

    @model_validator(mode="after")
    def _options_suit_format(self) -> Collection:
        if self.format not in FORMATS:
            raise ValueError(f"unknown format {self.format!r}; known are {sorted(FORMATS)}")
        options = FORMATS[self.format].model_validate(self.options)
        if len(self.sources) != options.n_sources:
            raise ValueError(
                f"format {self.format!r} takes {options.n_sources} sources, not {len(self.sources)}"
            )
        return self


class Catalogue(_Entry):
    """All sources and collections by id."""

    sources: dict[str, Source]
    collections: dict[str, Collection]

    @model_validator(mode="before")
    @classmethod
    def _ids_come_from_the_headings(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {
            heading: {
                id_: {"id": id_} | entry if isinstance(entry, dict) else entry
                for id_, entry in entries.items()
            }
            if isinstance(entries, dict)
            else entries
            for heading, entries in data.items()
        }

    @model_validator(mode="after")
    def _collections_name_known_sources(self) -> Catalogue:
        for collection in self.collections.values():
            for source_id in collection.sources:
                if source_id not in self.sources:
                    raise ValueError(
                        f"collection {collection.id!r} names the unknown source {source_id!r}; "
                        f"known are {', '.join(sorted(self.sources))}"
                    )
        for heading, entries in (("sources", self.sources), ("collections", self.collections)):
            for id_, entry in entries.items():
                if entry.id != id_:
                    raise ValueError(f"[{heading}.{id_}] calls itself {entry.id!r}: drop its id")
        return self


def load_catalogue(path: Path | None = None) -> Catalogue:
    """Read and validate a catalogue; by default the one shipped with the library.

    Raises
    ------
    SourceError
        The file is missing, is not TOML, or an entry is wrong; names every wrong entry.
    """
    where = path or resources.files("genept.sources") / "catalogue.toml"
    try:
        return Catalogue.model_validate(tomllib.loads(where.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SourceError(f"the catalogue {where} cannot be read: {error}") from error
    except ValidationError as error:
        problems = "; ".join(
            f"[{'.'.join(map(str, problem['loc'])) or 'catalogue'}] {problem['msg']}"
            for problem in error.errors()
        )
        raise SourceError(f"the catalogue {where} is not valid: {problems}") from error
