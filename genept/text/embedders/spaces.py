"""Spaces: which text embedder is applied to which recipe, and which of them are controls.

Declared in `spaces.toml` and in the user's own recipes file. Registered tables of vectors are
`genept.text.embedders.registered_gene_vectors`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal

from genept.text.descriptions import declared_entries

Variant = Literal["shuffled"]
_ID: Final = re.compile(
    r"(?P<embedder>[a-z0-9][a-z0-9.-]*)/(?P<recipe>[a-z0-9][a-z0-9.-]*)(?:@(?P<variant>shuffled))?"
)


@dataclass(frozen=True)
class Space:
    """A coordinate system for genes; vectors of two spaces are never compared.

    Parameters
    ----------
    embedder, recipe
        Their ids.
    is_control
        Whether the space carries no knowledge, so that others must score better.
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
        """Whether its vectors are drawn at random, one per gene, and use no text."""
        return re.fullmatch(r"random-\d+", self.embedder) is not None

    @property
    def is_lsa(self) -> bool:
        """Whether its embedder is fitted on the descriptions that it embeds."""
        return re.fullmatch(r"lsa-\d+", self.embedder) is not None

    @property
    def size(self) -> int:
        """Dimensions of a space that is random or fitted, as its embedder's name says."""
        return int(self.embedder.rpartition("-")[2])

    @property
    def is_text(self) -> bool:
        """Whether its vectors are of each gene's own text."""
        return not (self.is_random or self.variant or self.table)

    @property
    def needs_embedder(self) -> bool:
        """Whether it needs a pretrained embedder: neither random, fitted nor registered."""
        return not (self.is_random or self.is_lsa or self.table)


def space_of(id_: str, *, is_control: bool = False, table: str | None = None) -> Space:
    """Return the space with an id.

    Parameters
    ----------
    id_
        ``embedder/recipe`` or ``embedder/recipe@shuffled``.
    is_control
        Whether it carries no knowledge.
    table
        Hash of its registered table.

    Returns
    -------
    Space
        The space.

    Raises
    ------
    ValueError
        It is not an id, or a shuffled variant of a space without texts.

    Examples
    --------
    >>> space_of("minilm-l6-v2/name-go@shuffled").is_control
    True
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
    """Return every declared space, and whether a release holds it by default.

    Parameters
    ----------
    further
        A file of the user's own declarations; None: only those of the platform.

    Returns
    -------
    dict of Space to bool
        In the order of declaration.

    Raises
    ------
    SourceError
        A declaration is invalid, or made twice.
    """
    return dict(declared_entries("genept.text.embedders", "spaces", further, _declared))


def chosen_spaces(
    names: Sequence[str],
    *,
    declared: dict[Space, bool] | None = None,
    own: Sequence[Space] = (),
) -> tuple[Space, ...]:
    """Return spaces by name; without names, all that a release holds by default.

    Parameters
    ----------
    names
        Ids of spaces.
    declared
        See `declared_spaces`; None: those of the platform.
    own
        Spaces of registered tables.

    Returns
    -------
    tuple of Space
        In the order of declaration.

    Raises
    ------
    ValueError
        A name is not the id of a known space.
    """
    declared = declared_spaces() if declared is None else declared
    known = {space.id: space for space in (*declared, *own)}
    if unknown := sorted(set(names) - set(known)):
        raise ValueError(f"unknown spaces {unknown}; known are {sorted(known)}")
    if names:
        return tuple(space for id_, space in known.items() if id_ in names)
    return (*(space for space, released in declared.items() if released), *own)


def _declared(id: str, is_control: bool = False, released: bool = True) -> tuple[Space, bool]:
    return space_of(id, is_control=is_control), released


SPACES: Final = tuple(space for space, released in declared_spaces().items() if released)
"""The shipped spaces that a release holds; models join the first with expression."""
