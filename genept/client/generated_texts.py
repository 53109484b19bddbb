"""What language models wrote and how they did in probes: what of it a release may hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from genept.language_models.descriptions import StatementTables
from genept.language_models.self_editing import EditTables, ForgettingTables
from genept.storage import Part, sha256_of
from genept.text import Recipe, Space
from genept.text.recipes import PartUse

if TYPE_CHECKING:
    from genept.client.known_spaces import KnownSpaces


EDITED: Final = "self-edited-"
"""Begins the name of every editing of descriptions, and of its recipe."""


def edited_recipes(statements: StatementTables) -> dict[str, Recipe]:
    """Recipes of edited descriptions, by name."""
    parts = (PartUse(part="name"), PartUse(part="written"))
    return {
        writer: Recipe(
            id=writer, writer=writer, parts=parts, requires=("name", "written"),
            biotypes=("protein_coding",), max_tokens=256,
        )
        for writer in statements.writers
        if writer.startswith(EDITED)
    }  # fmt: skip


def blocked(platform: KnownSpaces, recipe: Recipe) -> str | None:
    """Why texts of a recipe are not released; None if they may be."""
    if recipe.writer in platform.language_models.declared:
        return platform.probes.blocked(str(recipe.writer))
    return None


def require_cleared(platform: KnownSpaces, spaces: Sequence[Space]) -> tuple[Space, ...]:
    """The spaces, if a release may hold them.

    Raises `ValueError` if one is of texts by a language model that fails a blocking probe.
    """
    for space in spaces:
        for recipe in platform.recipes_of(space):
            if why := blocked(platform, recipe):
                raise ValueError(f"space {space.id!r} cannot be released: {why}")
    return tuple(spaces)


def statement_parts(platform: KnownSpaces, warn: Callable[[str], None]) -> list[Part]:
    """Parts of table `written_statements`, of language models that pass the blocking probes.

    Parameters
    ----------
    platform
        The installation.
    warn
        Called with why what a model wrote is left out.

    Returns
    -------
    list of Part
        One for each model.
    """
    parts = []
    for writer in platform.statements.writers:
        model = writer in platform.language_models.declared
        if model and (why := platform.probes.blocked(writer)):
            warn(f"statements of {writer} are left out: {why}")
        else:
            parts.append(platform.statements.release(platform.lake, writer))
    return parts


def probe_parts(platform: KnownSpaces) -> list[Part]:
    """Parts of table `language_model_probes`.

    Parameters
    ----------
    platform
        The installation.

    Returns
    -------
    list of Part
        One for each model that was probed.
    """
    return [platform.probes.release(platform.lake, writer) for writer in platform.probes.writers]


def edit_tables(platform: KnownSpaces) -> tuple[EditTables, ForgettingTables]:
    """Kept tables of edits of descriptions, and of what they forgot."""
    place = (lambda: platform.store, platform.settings.product)
    return EditTables(*place), ForgettingTables(*place)


def generated_version(platform: KnownSpaces) -> str:
    """Hash of everything that language models wrote, of their probes and of edits.

    Parameters
    ----------
    platform
        The installation.

    Returns
    -------
    str
        Changes with each of them.
    """
    every = (platform.statements, platform.probes, *edit_tables(platform))
    return sha256_of({f"{kind.table}/{w}": kind.sha256(w) for kind in every for w in kind.writers})
