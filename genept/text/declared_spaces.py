"""Which spaces there are: declared in `spaces.toml` and in the user's own recipes file.

What a space is, is `genept.text.embedders`; what a fused space is made of, `genept.text.fusion`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from genept.text.embedders import Space, space_of
from genept.text.fusion import EMBEDDER as FUSED
from genept.text.fusion import declared_fusion
from genept.text.recipes import declared_entries


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
    declared = dict(declared_entries("genept.text", "spaces", further, _declared))
    fusions = {space.id: space.fusion for space in declared if space.fusion}
    return {
        replace(space, fusion=fusions.get(space.id.partition("@")[0])): released
        for space, released in declared.items()
    }


def chosen_spaces(
    names: Sequence[str], *, declared: dict[Space, bool] | None = None, own: Sequence[Space] = ()
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


def _declared(
    id: str,
    is_control: bool = False,
    released: bool = True,
    of: list[str] | None = None,
    weights: list[float] | None = None,
    missing: str | None = None,
) -> tuple[Space, bool]:
    space = space_of(id, is_control=is_control)
    if of is None and (weights is not None or missing is not None):
        raise ValueError("`weights` and `missing` go with `of`")
    if (space.made_of == "fused" and not space.variant) != (of is not None):
        raise ValueError(f"`of` names the members of a space {FUSED}/…, and of no other")
    if of is not None:
        space = replace(space, fusion=declared_fusion(of, weights, missing))
    return space, released
