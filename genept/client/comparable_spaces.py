"""Spaces that answer which text and which model is best: those that are compared by default.

How they are embedded and scored is `genept.client.benchmark_runs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Final

from genept.benchmarks import NAME_ALONE
from genept.client.platform import Platform
from genept.text import LANGUAGE_MODEL, MODEL_ID, Space

RICHEST: Final = ("name-ncbi-go", "name-ncbi", "name-go")
"""Recipes from the richest on: the first whose sources are here is what models are compared on."""

WITHOUT_ONTOLOGY: Final = "name-ncbi"
"""Compared, too, by embedders that cost seconds: where Gene Ontology is the answer, richer texts
take no part."""


def spaces_to_compare(
    platform: Platform, recipes: Sequence[str], lengths: Sequence[int] = (), *, pay: bool
) -> list[Space]:
    """Every available space that answers which model is best.

    Parameters
    ----------
    platform
        The installation.
    recipes
        Recipes of the spaces of texts; none: the name alone, the richest available, and
        `WITHOUT_ONTOLOGY` by embedders that cost seconds.
    lengths
        Numbers of tokens to which the texts of the last of the recipes are cut, too; an embedder
        that reads fewer is left out.
    pay
        Whether spaces of hosted embedders with a price are among them.

    Returns
    -------
    list of Space
        Those of texts in these recipes; of knowledge beyond texts; registered ones; fused ones,
        unless members would have texts of further recipes embedded for minutes and `GENEPT_SPACES`
        does not name them.

    Raises
    ------
    ValueError
        A recipe is unknown, or what it requires has no source here.
    """
    chosen = list(recipes) or _compared(platform)
    for recipe in chosen:
        platform.recipe_of(Space(MODEL_ID, recipe))
    hosted = platform.hosted.declared
    paid = {id_ for id_, model in hosted.items() if model.dollars_per_million_tokens > 0}
    local = platform.embedders.local
    further = (
        space
        for space in platform.further_spaces
        if not platform.unavailable(space)
        and not (space.embedder in local and local[space.embedder].kind == LANGUAGE_MODEL)
    )
    static = {id_ for id_, model in local.items() if model.kind == "static"}
    named = {space.id for space in platform.spaces}

    def costs_further_texts(space: Space) -> bool:
        members = map(platform.space, space.fusion.members if space.fusion else ())
        return space.id not in named and any(
            member.needs_embedder and member.embedder not in static and member.recipe not in chosen
            for member in members
        )

    spaces = [
        space
        for space in (*platform.known_spaces, *further)
        if (space.recipe in chosen if space.has_recipe else not space.is_control)
        and (pay or space.embedder not in paid)
        and not costs_further_texts(space)
        and (
            bool(recipes)
            or space.recipe != WITHOUT_ONTOLOGY
            or not space.needs_embedder
            or space.embedder in static
        )
    ]
    return spaces + [
        Space(space.embedder, f"{space.recipe}~{length}")
        for space in spaces
        if space.is_text and not space.is_control and space.recipe == chosen[-1]
        for length in lengths
        if length <= _longest(platform, space.embedder)
        and length != platform.recipe_of(space).max_tokens
    ]


def _longest(platform: Platform, embedder: str) -> float:
    """Tokens that an embedder reads; those that are fitted or static read everything."""
    model = platform.embedders.local.get(embedder) or platform.hosted.declared.get(embedder)
    return inf if model is None or model.max_tokens is None else model.max_tokens


def _compared(platform: Platform) -> list[str]:
    """Recipes that are compared by default; lengths are those of the last."""
    known = platform.recipes
    richest = [
        id_ for id_ in RICHEST if id_ in known and not platform.knowledge.unavailable(known[id_])
    ]
    between = [WITHOUT_ONTOLOGY] if WITHOUT_ONTOLOGY in richest[1:] else []
    return [NAME_ALONE, *between, *richest[:1]]
