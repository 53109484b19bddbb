"""Masks: words that a description must not contain, so that a benchmark cannot read its labels."""

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
            if gene["name"]:
                patterns.append(whole_words([gene["name"]], re.IGNORECASE))
            symbols = [gene["symbol"], *gene["aliases"], *gene["previous_symbols"]]
            patterns.append(whole_words(list(filter(None, symbols)), 0))
        taken = 0
        for pattern in patterns:
            text, n = pattern.subn("", text)
            taken += n
        return (_closed(text) if taken else text), taken

    @cached_property
    def _words(self) -> re.Pattern[str] | None:
        return whole_words(self.words, re.IGNORECASE * self.ignore_case) if self.words else None


def whole_words(words: Sequence[str], flags: int) -> re.Pattern[str]:
    """A pattern of whole words, longest first, so that no part of a phrase is left behind."""
    ordered = sorted(set(words), key=lambda word: (-len(word), word))
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, ordered))})(?!\w)", flags)


def _closed(text: str) -> str:
    """The text with the gaps that a mask left closed."""
    text = _BEFORE_MARK.sub("", _GAP.sub(" ", text.replace("()", "")))
    text = _DOUBLED_MARK.sub("", text).strip(" ,;:")
    return text if any(character.isalnum() for character in text) else ""
