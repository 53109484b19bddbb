"""Names of targets of drugs that are declared: genes under other names, and groups of genes.

The declarations themselves are `target_groups.toml`; how a token is read with them is in
`genept.nomenclature.target_tokens`.
"""

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, model_validator

FILE: Final = "target_groups.toml"
_GREEK: Final = {"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon"}


class TargetGroup(BaseModel):
    """A declared group of genes: what it is, and which genes act in it.

    Attributes
    ----------
    kind
        Whether it is a family, a complex or a process.
    members
        Approved symbols, and names of groups that stand for their genes. Only a process has none.
    names
        Further names of the group.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["family", "complex", "process"]
    members: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


class DeclaredTargets(BaseModel):
    """What `target_groups.toml` declares.

    Attributes
    ----------
    unnamed
        Tokens that name nothing.
    qualifiers
        Words that say what a drug does to its target, and not what the target is.
    aliases
        Further names of genes, by approved symbol.
    groups
        Groups by name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    unnamed: tuple[str, ...]
    qualifiers: tuple[str, ...]
    aliases: Mapping[str, tuple[str, ...]]
    groups: Mapping[str, TargetGroup]

    @model_validator(mode="after")
    def _each_name_once(self) -> DeclaredTargets:
        for name, group in self.groups.items():
            if not self.symbols(name) and group.kind != "process":
                raise ValueError(f"{FILE}: the {group.kind} {name} has no members")
        seen: dict[str, str] = {}
        for name, owner in self._names():
            if seen.setdefault(key_of(name), owner) != owner:
                raise ValueError(
                    f"{FILE}: {name!r} is declared for {seen[key_of(name)]} and for {owner}"
                )
        return self

    def _names(self) -> Iterator[tuple[str, str]]:
        """Every declared name with what it stands for."""
        for symbol, names in self.aliases.items():
            yield from ((name, symbol) for name in names)
        for name, group in self.groups.items():
            yield from ((each, f"the group {name}") for each in (name, *group.names))
        yield from ((name, "nothing") for name in self.unnamed)

    def symbols(self, name: str) -> tuple[str, ...]:
        """Symbols of a group's genes, those of groups among its members included."""
        listed: list[str] = []
        for member in self.groups[name].members:
            listed += self.symbols(member) if member in self.groups else [member]
        return tuple(dict.fromkeys(listed))


@cache
def declared_targets() -> DeclaredTargets:
    """Load `target_groups.toml`.

    Returns
    -------
    DeclaredTargets
        The declarations, checked.
    """
    text = files("genept.nomenclature").joinpath(FILE).read_text("utf-8")
    return DeclaredTargets.model_validate(tomllib.loads(text))


def key_of(name: str) -> str:
    """Reduce a name to what decides whether two names are the same.

    Parameters
    ----------
    name
        A name of a target or a drug.

    Returns
    -------
    str
        Its letters and digits in capitals, Greek letters spelled out.
    """
    plain = unicodedata.normalize("NFKC", name)
    spelled = "".join(_GREEK.get(letter, letter) for letter in plain)
    return "".join(letter for letter in spelled.upper() if letter.isalnum())
