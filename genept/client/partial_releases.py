"""What a partial release was limited to, in words: for its pages and for lists of releases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

MOST_NAMED: Final = 6
"""Ids that are named; of more, only the first ones."""


def limits_in_words(limits: Mapping[str, Any]) -> str:
    """Say what the limits of a manifest leave in.

    Parameters
    ----------
    limits
        `limits` of a manifest: `collections` and `spaces` are ids, `max_genes` a number.

    Returns
    -------
    str
        Such as "1 collection (pbmc-hao) and 1 space (minilm-l6-v2/name-go)".
    """
    *others, last = _phrases(limits) or ["parts of the catalogue"]
    return f"{', '.join(others)} and {last}" if others else last


def _phrases(limits: Mapping[str, Any]) -> list[str]:
    return [phrase for name, value in sorted(limits.items()) for phrase in _of_limit(name, value)]


def _of_limit(name: str, value: Any) -> Iterator[str]:
    if name == "max_genes":
        yield f"at most {value:,} genes"
    elif isinstance(value, list | tuple):
        words = name.removesuffix("s") if len(value) == 1 else name
        more = ", …" if len(value) > MOST_NAMED else ""
        named = f" ({', '.join(map(str, value[:MOST_NAMED]))}{more})" if value else ""
        yield f"{len(value) or 'no'} {words}{named}"
    else:
        yield f"{name} {value}"
