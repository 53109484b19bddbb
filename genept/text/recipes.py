"""Recipes: declarations of how a gene's description is composed from parts.

They live in `recipes.toml`; adding one needs no code. Composing the text is
`genept.text.descriptions`.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

PartName = Literal["name", "go"]


class Recipe(BaseModel):
    """How one kind of description is composed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    parts: tuple[PartName, ...] = Field(min_length=1)
    requires: tuple[PartName, ...] = Field(min_length=1)
    biotypes: tuple[str, ...] = Field(min_length=1)
    max_tokens: int = Field(ge=4)

    @model_validator(mode="after")
    def _parts_are_sound(self) -> Self:
        if len(set(self.parts)) < len(self.parts):
            raise ValueError(f"recipe {self.id!r} names a part twice: {self.parts}")
        if unused := sorted(set(self.requires) - set(self.parts)):
            raise ValueError(f"recipe {self.id!r} requires {unused}, which its parts leave out")
        return self


@cache
def load_recipes() -> dict[str, Recipe]:
    """All recipes by id."""
    text = files("genept.text").joinpath("recipes.toml").read_text(encoding="utf-8")
    entries = tomllib.loads(text)["recipes"]
    return {name: Recipe(id=name, **entry) for name, entry in entries.items()}
