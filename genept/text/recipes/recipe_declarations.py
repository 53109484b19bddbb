"""Recipes: declarations of how a gene's description is composed from parts.

What the parts are made of is `genept.text.knowledge`; budgets in tokens are in
`genept.text.limits`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from genept.common import SourceError, problems_of
from genept.text.limits import WORDPIECE
from genept.text.recipes.dimensions import Dimension, load_dimensions
from genept.text.recipes.masks import Mask
from genept.text.recipes.own_declarations import read_own_declarations

PartName = Literal[
    "symbol", "name", "biotype", "summary", "function", "location", "disease",
    "go", "pathways", "interactions", "phenotypes", "written",
]  # fmt: skip

PARTS: Final[tuple[PartName, ...]] = get_args(PartName)

PROSE: Final = frozenset({"summary", "function", "location", "disease", "written"})
"""Parts whose items are sentences; those of the others are names."""


MOST_NAMED: Final = 2
"""Dimensions that the label of a part names; more are counted."""

Aspect = Literal["process", "function", "component"]


class PartUse(BaseModel):
    """One part in one recipe: how much of it is used, and how it is written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    part: PartName
    otherwise: PartName | None = None
    max_items: int | None = Field(None, ge=1)
    lead: str = ""
    separator: str | None = None
    aspects: tuple[Aspect, ...] = ()
    evidence: tuple[str, ...] = ()
    dimensions: tuple[Dimension, ...] = ()
    before: date | None = None

    @model_validator(mode="before")
    @classmethod
    def _a_name_is_enough(cls, data: Any) -> Any:
        return {"part": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _filters_suit_the_part(self) -> Self:
        if self.part != "go" and (self.aspects or self.evidence or self.before):
            raise ValueError(
                f"part {self.part!r} has no aspects, no evidence and no dates; only go has"
            )
        return self

    @property
    def label(self) -> str:
        """Name in this recipe, such as ``go:process``, ``summary:tissues`` or ``go<2024-01-01``."""
        every = [dimension.id for dimension in self.dimensions]
        dimensions = f"{len(every)}-dimensions" if len(every) > MOST_NAMED else "+".join(every)
        name = ":".join(filter(None, [self.part, "+".join(self.aspects), dimensions]))
        return f"{name}<{self.before}" if self.before else name

    @property
    def between(self) -> str:
        """What stands between two items."""
        if self.separator is not None:
            return self.separator
        return " " if self.part in PROSE else "; "


class Recipe(BaseModel):
    """How one kind of description is composed; the fields are explained in `recipes.toml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*(~\d+[a-z0-9-]*)?$")
    parts: tuple[PartUse, ...] = Field(min_length=1)
    requires: tuple[PartName, ...] = ()
    needs_source: tuple[PartName, ...] = ()
    biotypes: tuple[str, ...] = Field(min_length=1)
    max_tokens: int = Field(ge=4)
    budgets: dict[str, int] = {}
    counted_in: str = WORDPIECE
    gives_way: tuple[str, ...] = ()
    masks: tuple[Mask, ...] = ()
    writer: str | None = None

    @model_validator(mode="after")
    def _parts_are_sound(self) -> Self:
        labels = [use.label for use in self.parts]
        if len(set(labels)) < len(labels):
            raise ValueError(f"recipe {self.id!r} names a part twice: {labels}")
        named = {*self.requires, *self.needs_source}
        if unused := sorted(named - {use.part for use in self.parts}):
            raise ValueError(f"recipe {self.id!r} requires {unused}, which its parts leave out")
        if unknown := sorted(set(self.gives_way) - set(labels)):
            raise ValueError(f"recipe {self.id!r}: {unknown} cannot give way; it has {labels}")
        if (self.writer is not None) != ("written" in self.part_names):
            raise ValueError(f"recipe {self.id!r}: part `written` and `writer` go together")
        if any(budget < 4 for budget in self.budgets.values()):
            raise ValueError(f"recipe {self.id!r}: a budget is at least 4 tokens: {self.budgets}")
        return self

    @property
    def part_names(self) -> tuple[PartName, ...]:
        """Every part that is used, fall-backs included."""
        uses = [(use.part, use.otherwise) for use in self.parts]
        return tuple(dict.fromkeys(name for pair in uses for name in pair if name))

    @property
    def keep_order(self) -> list[int]:
        """Positions of the parts, starting with the part that gives way last."""
        labels = [use.label for use in self.parts]
        givers = [labels.index(label) for label in reversed(self.gives_way)]
        return [position for position in range(len(labels)) if position not in givers] + givers

    def cut_to(self, tokens: int) -> Recipe:
        """Return the recipe with texts of at most so many tokens, as ``name-go~64``."""
        if tokens == self.max_tokens:
            return self
        return self.model_copy(update={"id": f"{self.id}~{tokens}", "max_tokens": tokens})

    def for_embedder(self, embedder: str, counted_in: str = WORDPIECE) -> Recipe:
        """Return the recipe at the token budget of an embedder, in the embedder's own tokens.

        An embedder without a budget of its own reads the same text as all others, whose budget is
        in WordPiece; with one, it reads a text of its own, such as ``full~8000-cl100k-base``.

        Parameters
        ----------
        embedder
            Id of the embedder.
        counted_in
            Unit of its tokens: see `genept.text.limits.counting`.

        Returns
        -------
        Recipe
            This recipe, or one with another id and budget.
        """
        budget = self.budgets.get(embedder)
        if budget is None or (budget, counted_in) == (self.max_tokens, self.counted_in):
            return self
        unit = "" if counted_in == WORDPIECE else f"-{counted_in.replace('_', '-')}"
        return self.model_copy(
            update={
                "id": f"{self.id}~{budget}{unit}", "max_tokens": budget, "counted_in": counted_in
            }
        )  # fmt: skip


@cache
def load_recipes(further: Path | None = None) -> dict[str, Recipe]:
    """Load all recipes.

    Parameters
    ----------
    further
        A file of the user's own recipes; None: only those of the platform.

    Returns
    -------
    dict of str to Recipe
        By id.

    Raises
    ------
    SourceError
        The file cannot be read, an entry is invalid, or it redefines a recipe of the platform.
    """
    shipped = files("genept.text.recipes").joinpath("recipes.toml").read_text(encoding="utf-8")
    entries = tomllib.loads(shipped)
    own = {} if further is None else read_own_declarations(further)
    for kind in ("recipes", "masks"):
        if taken := sorted(set(entries[kind]) & set(own.get(kind, {}))):
            raise SourceError(
                f"{further}: {kind} {taken} are shipped already; texts under a known name must not "
                "change: choose another"
            )
        entries[kind] |= own.get(kind, {})
    masks: dict[str, Mask] = {}
    recipes: dict[str, Recipe] = {}
    where = ""
    try:
        for name, entry in entries["masks"].items():
            where = f"[masks.{name}]"
            masks[name] = Mask(**{"id": name, **entry})
        for name, entry in entries["recipes"].items():
            where = f"[recipes.{name}]"
            fields = _inherited(name, entry, entries["recipes"])
            if unknown := [mask for mask in fields.get("masks", ()) if mask not in masks]:
                raise ValueError(f"unknown masks {unknown}; known are {sorted(masks)}")
            fields["masks"] = tuple(masks[mask] for mask in fields.get("masks", ()))
            fields["parts"] = [_with_dimensions(part) for part in fields["parts"]]
            recipes[name] = Recipe(**{"id": name, **fields})
    except (ValueError, TypeError) as error:
        reason = problems_of(error) if isinstance(error, ValidationError) else error
        raise SourceError(f"{further or 'recipes.toml'} {where}: {reason}") from error
    return recipes


def _with_dimensions(part: Any) -> Any:
    """An entry of a part with its dimensions in place of their names."""
    if not isinstance(part, dict) or "dimensions" not in part:
        return part
    known = load_dimensions()
    names = list(known) if part["dimensions"] == "all" else part["dimensions"]
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"unknown dimensions {unknown}; known are {list(known)}")
    return part | {"dimensions": [known[name] for name in names]}


def _inherited(name: str, entry: Mapping[str, Any], all_: Mapping[str, Any]) -> dict[str, Any]:
    """An entry with what it takes over from the recipe that it is `like`."""
    fields = dict(entry)
    base = fields.pop("like", None)
    if base is None:
        return fields
    if base not in all_ or "like" in all_[base]:
        raise ValueError(
            f"recipe {name!r} is like {base!r}, which is not a recipe, or is itself like another"
        )
    return dict(all_[base]) | fields
