"""Spaces: which text embedder is applied to which recipe, and which of them are controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

EmbedderName = Literal["minilm-l6-v2", "lsa-384", "random-384"]


@dataclass(frozen=True)
class Space:
    """A coordinate system for genes; vectors of two spaces never meet.

    `is_control` marks spaces that carry no knowledge and that others must beat.
    """

    embedder: EmbedderName
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


def chosen_spaces(names: Sequence[str]) -> tuple[Space, ...]:
    """The spaces of these names; all if none is named.

    Raises
    ------
    ValueError
        If a name is not a space.
    """
    known = {space.id: space for space in SPACES}
    if unknown := sorted(set(names) - set(known)):
        raise ValueError(f"unknown spaces {unknown}; known are {sorted(known)}")
    return tuple(known[name] for name in known if name in names) if names else SPACES
