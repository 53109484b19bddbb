"""Spaces: which text embedder is applied to which recipe, and which of them are controls.

Declared in `spaces.toml` and in the user's own recipes file; tables of vectors that were
registered as spaces of their own are `genept.text.embedders.registered_gene_vectors`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal

from genept.common.errors import SourceError
from genept.text.descriptions.recipes import read_declarations

Variant = Literal["shuffled"]
_ID: Final = re.compile(
    r"(?P<embedder>[a-z0-9][a-z0-9.-]*)/(?P<recipe>[a-z0-9][a-z0-9.-]*)(?:@(?P<variant>shuffled))?"
)


@dataclass(frozen=True)
class Space:
    """A coordinate system for genes; vectors of two spaces never meet.

    Parameters
    ----------
    is_control
        Whether the space carries no knowledge, so that others must beat it.
    variant
        ``shuffled``: each gene has the vector of another gene's text.
    table
        Hash of the registered table of vectors; such a space embeds no text.
    """

    embedder: str
    recipe: str
    is_control: bool = False
    variant: Variant | None = None
    table: str | None = None

    @property
    def id(self) -> str:
        """Name of the space, such as ``minilm-l6-v2/name-go``."""
        return f"{self.embedder}/{self.recipe}" + (f"@{self.variant}" if self.variant else "")

    @property
    def is_random(self) -> bool:
        """Whether its vectors are drawn, one per gene, and read no text."""
        return re.fullmatch(r"random-\d+", self.embedder) is not None

    @property
    def is_lsa(self) -> bool:
        """Whether its embedder is fitted on the very descriptions that it embeds."""
        return re.fullmatch(r"lsa-\d+", self.embedder) is not None

    @property
    def is_text(self) -> bool:
        """Whether its vectors are of each gene's own text."""
        return not (self.is_random or self.variant or self.table)

    @property
    def needs_embedder(self) -> bool:
        """Whether a pretrained text embedder is needed: neither drawn, fitted nor registered."""
        return not (self.is_random or self.is_lsa or self.table)


def space_of(id_: str, *, is_control: bool = False, table: str | None = None) -> Space:
    """The space of an id.

    Raises
    ------
    ValueError
        If it is no id, or a control of what is a control already.
    """
    match = _ID.fullmatch(id_)
    if match is None:
        raise ValueError(
            f"{id_!r} is no space: write embedder/recipe or embedder/recipe@shuffled, in small "
            "letters, digits, dots and hyphens"
        )
    variant: Variant | None = "shuffled" if match["variant"] else None
    space = Space(match["embedder"], match["recipe"], is_control or bool(variant), variant, table)
    if variant and (space.is_random or table):
        raise ValueError(f"{id_!r}: only a space of texts can be shuffled")
    return space


@cache
def declared_spaces(further: Path | None = None) -> dict[Space, bool]:
    """Every declared space, in order, and whether a release holds it unasked.

    Raises
    ------
    SourceError
        A declaration is wrong, or one is made twice.
    """
    shipped = files("genept.text.embedders").joinpath("spaces.toml").read_text(encoding="utf-8")
    entries = tomllib.loads(shipped)["spaces"]
    if further is not None:
        entries = [*entries, *read_declarations(further).get("spaces", [])]
    found: dict[Space, bool] = {}
    for entry in entries:
        try:
            space, released = _declared(**entry)
        except (ValueError, TypeError) as error:
            raise SourceError(f"{further or 'spaces.toml'}: [[spaces]] {entry}: {error}") from error
        if space.id in {other.id for other in found}:
            raise SourceError(f"{further or 'spaces.toml'}: space {space.id!r} is declared twice")
        found[space] = released
    return found


def chosen_spaces(
    names: Sequence[str],
    *,
    declared: dict[Space, bool] | None = None,
    own: Sequence[Space] = (),
) -> tuple[Space, ...]:
    """The spaces of these names; if none is named, all that a release holds unasked.

    Parameters
    ----------
    declared
        See `declared_spaces`; by default those that are shipped.
    own
        Registered tables of vectors.

    Raises
    ------
    ValueError
        If a name is not a space.
    """
    declared = declared_spaces() if declared is None else declared
    known = {space.id: space for space in (*declared, *own)}
    if unknown := sorted(set(names) - set(known)):
        raise ValueError(f"unknown spaces {unknown}; known are {sorted(known)}")
    if names:
        return tuple(space for id_, space in known.items() if id_ in names)
    return (*(space for space, released in declared.items() if released), *own)


def _declared(
    id: str,
    is_control: bool = False,
    released: bool = True,
    **unknown: Any,
) -> tuple[Space, bool]:
    if unknown:
        raise ValueError(f"unknown keys {sorted(unknown)}")
    return space_of(id, is_control=is_control), released


SPACES: Final = tuple(space for space, released in declared_spaces().items() if released)
"""The shipped spaces that a release holds; models join the first with expression."""
