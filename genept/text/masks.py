"""Masks: words that a description must not hold, so that a benchmark cannot read its labels.

A mask is named and declared in a recipes file: words of its own, or the gene's own name. It
takes out whole words and leaves everything else as it was; what it took out is counted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

_GAP = re.compile(r"[ \t]{2,}")
_BEFORE_MARK = re.compile(r" +(?=[,.;:)])")
_DOUBLED_MARK = re.compile(r"([,;:]\s*)+(?=[,;:.])")


class Mask(BaseModel):
    """What is taken out of the items of a description.

    Parameters
    ----------
    words
        Words or phrases. They are found as whole words: ``kinase`` is not in ``kinases``.
    ignore_case
        Whether ``Kinase`` is the word ``kinase``; holds for `words`.
    own_name
        Take out the gene's approved symbol, aliases and previous symbols, spelled exactly so
        (``REST`` is a gene, rest is not), and its full name, in any case.
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
        """The text without the masked words, and how many were taken out.

        Parameters
        ----------
        gene
            A row of table `genes`.
        """
        patterns = [self._words] if self._words else []
        if self.own_name:
            symbols = [gene["symbol"], *gene["aliases"], *gene["previous_symbols"]]
            names = [gene["name"]] if gene["name"] else []
            patterns += [_whole_words(names, re.IGNORECASE)] if names else []
            patterns += [_whole_words([one for one in symbols if one], 0)]
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
    """The text with the gaps closed that a mask left."""
    text = _BEFORE_MARK.sub("", _GAP.sub(" ", text.replace("()", "")))
    text = _DOUBLED_MARK.sub("", text).strip(" ,;:")
    return text if any(character.isalnum() for character in text) else ""
