"""Recipes: declarations of how a gene's description is composed from parts.

Masks name words that a description must not contain, so that a benchmark cannot read its labels.
What the parts are made of is `genept.text.descriptions.knowledge`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from genept.common import SourceError
from genept.text.descriptions.tokens import WORDPIECE

_GAP = re.compile(r"[ \t]{2,}")

_BEFORE_MARK = re.compile(r" +(?=[,.;:)])")

_DOUBLED_MARK = re.compile(r"([,;:]\s*)+(?=[,;:.])")


class Mask(BaseModel):
    """Words to be removed from the items of a description.

    Parameters
    ----------
    id
        Name of the mask.
    words
        Words or phrases, found as whole words: ``kinase`` is not in ``kinases``.
    ignore_case
        Whether ``Kinase`` matches ``kinase``; applies to `words`.
    own_name
        Remove the gene's approved symbol, aliases and previous symbols in exactly this spelling
        (``REST`` is a gene, rest is not), and its full name in any case.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    words: tuple[str, ...] = ()
    ignore_case: bool = True
    own_name: bool = False

    @model_validator(mode="after")
    def _masks_something(self) -> Self:
        if not self.own_name and not self.words:
            raise ValueError(f"mask {self.id!r} takes out nothing: give `words` or `own_name`")
        if any(not word.strip() for word in self.words):
            raise ValueError(f"mask {self.id!r} has an empty word")
        return self

    def apply(self, text: str, gene: Mapping[str, Any]) -> tuple[str, int]:
        """Remove the masked words from a text.

        Parameters
        ----------
        text
            An item of a description.
        gene
            A row of table `genes`.

        Returns
        -------
        text, n
            The text without them, and how many were removed.
        """
        patterns = [self._words] if self._words else []
        if self.own_name:
            symbols = [gene["symbol"], *gene["aliases"], *gene["previous_symbols"]]
            names = [gene["name"]] if gene["name"] else []
            patterns += [_whole_words(names, re.IGNORECASE)] if names else []
            patterns += [_whole_words([symbol for symbol in symbols if symbol], 0)]
        taken = 0
        for pattern in patterns:
            text, n = pattern.subn("", text)
            taken += n
        return (_closed(text) if taken else text), taken

    @cached_property
    def _words(self) -> re.Pattern[str] | None:
        return _whole_words(self.words, re.IGNORECASE * self.ignore_case) if self.words else None


def _whole_words(words: Sequence[str], flags: int) -> re.Pattern[str]:
    """Longest first, so that no part of a phrase is left behind."""
    ordered = sorted(set(words), key=lambda word: (-len(word), word))
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, ordered))})(?!\w)", flags)


def _closed(text: str) -> str:
    """The text with the gaps that a mask left closed."""
    text = _BEFORE_MARK.sub("", _GAP.sub(" ", text.replace("()", "")))
    text = _DOUBLED_MARK.sub("", text).strip(" ,;:")
    return text if any(character.isalnum() for character in text) else ""


PartName = Literal[
    "symbol", "name", "biotype", "summary", "function", "location", "disease",
    "go", "pathways", "interactions", "phenotypes",
]  # fmt: skip

PARTS: Final[tuple[PartName, ...]] = get_args(PartName)

PROSE: Final = frozenset({"summary", "function", "location", "disease"})
"""Parts whose items are sentences; those of the others are names."""


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

    @model_validator(mode="before")
    @classmethod
    def _a_name_is_enough(cls, data: Any) -> Any:
        return {"part": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _filters_suit_the_part(self) -> Self:
        if self.part != "go" and (self.aspects or self.evidence):
            raise ValueError(f"part {self.part!r} has no aspects and no evidence; only go has")
        return self

    @property
    def label(self) -> str:
        """Name of the part in this recipe, such as ``go:process``."""
        return ":".join(filter(None, [self.part, "+".join(self.aspects)]))

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
    requires: tuple[PartName, ...] = Field(min_length=1)
    needs_source: tuple[PartName, ...] = ()
    biotypes: tuple[str, ...] = Field(min_length=1)
    max_tokens: int = Field(ge=4)
    budgets: dict[str, int] = {}
    counted_in: str = WORDPIECE
    gives_way: tuple[str, ...] = ()
    masks: tuple[Mask, ...] = ()

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

    def for_embedder(self, embedder: str, counted_in: str = WORDPIECE) -> Recipe:
        """Return the recipe at the token budget of an embedder, in the embedder's own tokens.

        An embedder without a budget of its own reads the same text as all others, whose budget is
        in WordPiece; with one, it reads a text of its own, such as ``full~8000-cl100k-base``.

        Parameters
        ----------
        embedder
            Id of the embedder.
        counted_in
            Unit of its tokens: see `genept.text.descriptions.tokens.counting`.

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
    shipped = files("genept.text.descriptions").joinpath("recipes.toml").read_text(encoding="utf-8")
    book = tomllib.loads(shipped)
    if further is not None:
        book = _merged(book, read_declarations(further), further)
    return _recipes(book, further or Path("recipes.toml"))


def read_declarations(path: Path) -> dict[str, Any]:
    """Read a user's own file of recipes, masks, spaces and ensembles.

    Parameters
    ----------
    path
        A TOML file.

    Returns
    -------
    dict
        As written.

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


def _merged(book: dict[str, Any], own: Mapping[str, Any], path: Path) -> dict[str, Any]:
    for kind in ("recipes", "masks"):
        if taken := sorted(set(book[kind]) & set(own.get(kind, {}))):
            raise SourceError(
                f"{path}: {kind} {taken} are shipped already; texts under a known name must not "
                "change: choose another"
            )
    return {kind: book[kind] | own.get(kind, {}) for kind in ("recipes", "masks")}


def _recipes(book: Mapping[str, Any], path: Path) -> dict[str, Recipe]:
    recipes: dict[str, Recipe] = {}
    where = ""
    try:
        masks = {}
        for name, entry in book["masks"].items():
            where = f"[masks.{name}]"
            masks[name] = Mask(**{"id": name, **entry})
        for name, entry in book["recipes"].items():
            where = f"[recipes.{name}]"
            fields = _inherited(name, entry, book["recipes"])
            if unknown := [mask for mask in fields.get("masks", ()) if mask not in masks]:
                raise ValueError(f"unknown masks {unknown}; known are {sorted(masks)}")
            fields["masks"] = tuple(masks[mask] for mask in fields.get("masks", ()))
            recipes[name] = Recipe(**{"id": name, **fields})
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise SourceError(f"{path} {where}: {problems}") from error
    except (ValueError, TypeError) as error:
        raise SourceError(f"{path} {where}: {error}") from error
    return recipes


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
