"""What the owner of a file states of it: options of `genept collections add`, or a small TOML.

Also what publishers call their fields of labels and groups, however they spell it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from genept.common.errors import SourceError
from genept.datasources.catalog.matrix_options import Encoding, Label
from genept.datasources.catalog.source import ID
from genept.datasources.download.streams import open_text
from genept.datasources.readers.text.lines import Lines, fields_of

LABEL_NAMES: Final[dict[Label, tuple[str, ...]]] = {
    "cell_type": ("celltype", "celltypes", "annotation", "cellannotation", "celllabel"),
    "diagnosis": ("diagnosis", "disease", "diseasestate", "condition"),
    "tissue": ("tissue", "organ", "sourcename", "sourcenamech1"),
    "tissue_subtype": ("tissuesubtype", "subtissue", "cohort", "tissuetype"),
    "batch": ("batch", "plate", "lane", "library"),
}

GROUP_NAMES: Final = (
    *("donor", "donorid", "patient", "patientid", "subject", "subjectid"),
    *("individual", "individualid", "sampleid", "cellline", "modelid"),
)


def named_fields(
    fields: Sequence[str], labels: Mapping[Label, str], group: str | None
) -> tuple[dict[Label, str], str | None]:
    """Our labels to the publisher's fields, and the field of the group.

    Parameters
    ----------
    labels, group
        What is said already; only the rest is looked for.
    """
    found = dict(labels)
    taken = {*found.values(), group}
    free = [name for name in fields if name not in taken]
    for label, names in LABEL_NAMES.items():
        if label not in found and (name := _called(free, (label.replace("_", ""), *names))):
            found[label] = name
            free.remove(name)
    return found, group or _called(free, GROUP_NAMES)


def _called(fields: Sequence[str], names: Sequence[str]) -> str | None:
    plain = {re.sub(r"[^a-z0-9]", "", one.rpartition(": ")[2].lower()): one for one in fields[::-1]}
    return next((plain[name] for name in names if name in plain), None)


def geo_fields(path: Path, member: str | None, encoding: Encoding) -> tuple[str, ...]:
    """Fields of the samples that a GEO series matrix describes."""
    found: dict[str, None] = {}
    with open_text(path, member, path.name, encoding=encoding) as stream:
        for line in Lines(stream, path.name, encoding):
            if line.startswith(b"!series_matrix_table_begin"):
                break
            if line.startswith(b"!Sample_"):
                name, *values = fields_of(line, b"\t", path.name, 0)
                name = name.removeprefix("!Sample_")
                keys = {value.partition(":")[0].strip() for value in values if ":" in value}
                if name.startswith("characteristics") and keys:
                    found |= {f"characteristics: {key}": None for key in sorted(keys)}
                else:
                    found[name] = None
    return tuple(found)


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
