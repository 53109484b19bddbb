"""Docstrings in which one text is about several parameters: each gets it, with its own type."""

from __future__ import annotations

import re
from typing import Any, Final

import griffe

TOGETHER: Final = re.compile(
    r"^(\*{0,2}\w+(?:, \*{0,2}\w+)+)\n((?: +.*\n?|\n(?= ))+)", re.MULTILINE
)


def apart(docstring: str) -> str:
    """A docstring in which parameters that are described together are described one by one."""

    def entries(together: re.Match[str]) -> str:
        text = together[2].rstrip("\n")
        end = together[2][len(text) :]
        return "\n".join(f"{name}\n{text}" for name in together[1].split(", ")) + end

    return TOGETHER.sub(entries, docstring)


class NamesApart(griffe.Extension):
    """Griffe gives the type of the first name to all names of an entry."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Take the entries of the object's docstring apart."""
        if obj.docstring is not None:
            obj.docstring.value = apart(obj.docstring.value)
