"""Spaces: which text embedder is applied to which recipe, and which of them are controls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Space:
    """A coordinate system for genes; vectors of two spaces never meet.

    `is_control` marks spaces that carry no knowledge and that others must beat.
    """

    embedder: str
    recipe: str
    is_control: bool = False

    @property
    def id(self) -> str:
        """Name of the space, such as ``minilm-l6-v2/name-go``."""
        return f"{self.embedder}/{self.recipe}"


SPACES: Final = (
    Space("minilm-l6-v2", "name-go"),
    Space("minilm-l6-v2", "name"),
    Space("lsa-384", "name-go"),
    Space("random-384", "name-go", is_control=True),
)
"""The spaces that a release holds; models join the first with expression."""


def chosen_spaces(names: Sequence[str], more: Iterable[Space] = ()) -> tuple[Space, ...]:
    """The spaces of these names; all of `SPACES` if none is named.

    Parameters
    ----------
    more
        Spaces that are only embedded when they are named: those of hosted embedders.

    Raises
    ------
    ValueError
        If a name is not a space.
    """
    if not names:
        return SPACES
    known = {space.id: space for space in (*SPACES, *more)}
    if unknown := sorted(set(names) - set(known)):
        raise ValueError(f"unknown spaces {unknown}; known are {sorted(known)}")
    return tuple(known[name] for name in known if name in names)
