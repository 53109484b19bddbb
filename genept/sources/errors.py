"""The one exception of this room: a public source is not what was promised, or out of reach."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

SHOWN: Final = 12
"""Names that a message shows, at most."""

LONGEST: Final = 60
"""Letters of each: what is no table has lines of any length."""


class SourceError(RuntimeError):
    """A source cannot be fetched, is damaged, or does not hold what its catalogue entry says.

    The message is for the person who must act: which archive and member, what
    was expected, what was found, what to do.
    """


def listed(names: Iterable[str]) -> str:
    """What a file has, as a message shows it: the first names, none longer than anybody reads."""
    shown = [
        name if len(name) <= LONGEST else f"{name[:LONGEST]}…" for name in islice(names, SHOWN)
    ]
    return str(shown)
