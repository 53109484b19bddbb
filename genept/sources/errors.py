"""The one exception of this room: a public source is not what was promised, or out of reach."""

from __future__ import annotations


class SourceError(RuntimeError):
    """A source cannot be fetched, is damaged, or does not hold what its catalogue entry says.

    The message is for the person who must act: which archive and member, what
    was expected, what was found, what to do.
    """
