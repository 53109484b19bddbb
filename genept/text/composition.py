"""Compose one gene's text: its items in the recipe's order, masked, within the token budget.

Also cleaning of prose: links, dates and control characters are removed. What is known of a gene is
`genept.text.knowledge`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from genept.text.limits import SPECIAL_TOKENS, CountTokens
from genept.text.recipes import PROSE, PartUse, Recipe

_CREDIT = re.compile(r"\s*\[?\b(?:provided|supplied) by [^\[\]]{1,80}\]\.?")

_IN_BRACKETS = re.compile(
    r"\s*[(\[](?:[^()\[\]]*\b)?(?:PMIDs?|PubMed(?:\s?IDs?)?)\b[^()\[\]]*[)\]]"
)

_BARE = re.compile(r"\s*\b(?:PMIDs?|PubMed(?:\s?IDs?)?):?\s*\d+(?:(?:,|,? and)\s*\d+)*")

_ADDRESS = re.compile(r"\s*\(?\b(?:https?://|www\.)[^\s()]+\)?")

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b\u2028\u2029\ufeff]+")

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"'(\[])")


def tidy_summary(text: str) -> str:
    """Remove links, references and the date of the last change from an NCBI summary.

    As Chen & Zou (2023) did: "[provided by RefSeq, Jul 2008]" and similar notes.
    """
    for pattern in (_CREDIT, _IN_BRACKETS, _BARE, _ADDRESS):
        text = pattern.sub("", text)
    return re.sub(r"\s+", " ", text).strip()


def sentences(text: str) -> list[str]:
    """The sentences of a text; joined by single spaces they are the text again."""
    return [sentence for sentence in _SENTENCE.split(text.strip()) if sentence]


def without_control_characters(text: str) -> tuple[str, bool]:
    """The text with control and invisible characters made spaces, and whether it had any."""
    if not _CONTROL.search(text):
        return text, False
    return re.sub(r"\s+", " ", _CONTROL.sub(" ", text)).strip(), True


@dataclass(frozen=True)
class PartOfText:
    """One part of a recipe for one gene, while its text is composed.

    Parameters
    ----------
    use
        The part as the recipe declares it.
    part
        The part that is used: the fall-back if the gene lacks the recipe's own.
    release
        Release of its source.
    known
        Number of items that the source has, before any limit.
    items
        Items after limits and masks; the first `kept` of them are in the text.
    kept
        Number of items in the text.
    cut
        Whether the first item was cut to fit.
    cleaned
        Number of items with control characters removed.
    masked
        Number of words that each mask removed.
    """

    use: PartUse
    part: str
    release: str
    known: int
    items: tuple[str, ...]
    kept: int = 0
    cut: bool = False
    cleaned: int = 0
    masked: Mapping[str, int] = field(default_factory=dict)

    @property
    def used(self) -> tuple[str, ...]:
        """The items that are in the text."""
        return self.items[: self.kept]

    @property
    def written(self) -> str:
        """The part as it is written in the text."""
        return self.use.lead + self.use.between.join(self.used)

    @property
    def record(self) -> str:
        """The entry of column `parts`, such as ``go@go-2019-07-01 12/30``."""
        label = self.use.label if self.part == self.use.part else self.part
        notes = [f"instead of {self.use.label}"] if self.part != self.use.part else []
        notes += ["cut"] if self.cut else []
        notes += [f"cleaned {self.cleaned}"] if self.cleaned else []
        notes += [f"mask {name} {n}" for name, n in self.masked.items() if n]
        return ", ".join([f"{label}@{self.release} {self.kept}/{self.known}", *notes])


@dataclass(frozen=True)
class Composed:
    """A gene's text.

    Parameters
    ----------
    text
        The text.
    n_tokens
        Its length, special tokens included.
    parts
        Its parts, in the order of the recipe.
    """

    text: str
    n_tokens: int
    parts: tuple[PartOfText, ...]


class Lengths:
    """Token counts of pieces of text without special tokens; each distinct piece is counted once.

    Parameters
    ----------
    count_tokens
        Counts tokens, special ones included.
    pieces
        Pieces to count at once, in advance.
    """

    def __init__(self, count_tokens: CountTokens, pieces: Iterable[str] = ()) -> None:
        self._count = count_tokens
        self._of: dict[str, int] = {}
        if distinct := sorted(set(pieces)):
            self._of = dict(zip(distinct, self.counts(distinct), strict=True))

    def counts(self, pieces: Sequence[str]) -> list[int]:
        """Lengths of pieces, in order."""
        return [n - SPECIAL_TOKENS for n in self._count(pieces)]

    def __getitem__(self, piece: str) -> int:
        if piece not in self._of:
            self._of[piece] = self.counts([piece])[0]
        return self._of[piece]


def masked(part: PartOfText, recipe: Recipe, gene: Mapping[str, Any]) -> PartOfText:
    """Apply the recipe's masks to a part; items of which nothing is left are removed.

    Parameters
    ----------
    part
        The part.
    recipe
        Declares the masks.
    gene
        A row of table `genes`.

    Returns
    -------
    PartOfText
        The part with the remaining items, and counts by mask.
    """
    if not recipe.masks:
        return part
    items, counts = list(part.items), {}
    for mask in recipe.masks:
        done = [mask.apply(item, gene) for item in items]
        items = [item for item, _ in done]
        counts[mask.id] = sum(n for _, n in done)
    return replace(part, items=tuple(filter(None, items)), masked=counts)


def compose(recipe: Recipe, parts: Sequence[PartOfText], length: Lengths) -> Composed:
    """Compose the text of one gene.

    Items are kept part by part, starting with the part that gives way last, until one no longer
    fits; it and all that follow are left out. If the very first item is too long by itself, it is
    cut after the last word that fits.

    Parameters
    ----------
    recipe
        Declares order and token budget.
    parts
        In the order of the recipe, masked.
    length
        Token counts.

    Returns
    -------
    Composed
        The text, of at most `recipe.max_tokens` tokens unless a single word is longer.
    """
    chosen = list(parts)
    n_tokens, spent = SPECIAL_TOKENS, False
    for place in recipe.keep_order:
        for item in chosen[place].items:
            cost = length[item] + _cost_of_joining(chosen, place, length)
            if n_tokens + cost > recipe.max_tokens:
                spent = True
                break
            n_tokens += cost
            chosen[place] = replace(chosen[place], kept=chosen[place].kept + 1)
        if spent:
            break
    if n_tokens == SPECIAL_TOKENS and spent:
        chosen[place] = _cut(chosen[place], recipe.max_tokens - SPECIAL_TOKENS, length)
        n_tokens += sum(length.counts([chosen[place].written]))
    return Composed(_text(chosen), n_tokens, tuple(chosen))


def join_after(part: PartOfText) -> str:
    """Return the separator between a part and the next: sentences end with a full stop already.

    Parameters
    ----------
    part
        The part before.

    Returns
    -------
    str
        A space, or a full stop and a space.
    """
    return " " if part.part in PROSE else ". "


def _text(parts: Sequence[PartOfText]) -> str:
    shown = [part for part in parts if part.kept]
    joined = [part.written + join_after(part) for part in shown[:-1]]
    return "".join([*joined, *(part.written for part in shown[-1:])])


def _cost_of_joining(parts: Sequence[PartOfText], place: int, length: Lengths) -> int:
    """Tokens that come with one more item of a part: its separator, or the part's own joints."""
    part = parts[place]
    if part.kept:
        return length[part.use.between]
    before = [position for position, other in enumerate(parts) if other.kept]
    after = sorted([*before, place])
    return length[part.use.lead] + _joints(parts, after, length) - _joints(parts, before, length)


def _joints(parts: Sequence[PartOfText], places: Sequence[int], length: Lengths) -> int:
    return sum(length[join_after(parts[place])] for place in places[:-1])


def _cut(part: PartOfText, budget: int, length: Lengths) -> PartOfText:
    """The part with its first item cut after the last word that fits; a word at the least."""
    words = part.items[0].split(" ")
    kept, left = 0, budget - length[part.use.lead]
    for n in length.counts(words):
        left -= n
        if left < 0:
            break
        kept += 1
    shortened = " ".join(words[: max(kept, 1)])
    return replace(part, items=(shortened,), kept=1, cut=True)


def text_sha256(text: str) -> str:
    """Return the address of a text in caches and tables.

    Parameters
    ----------
    text
        Any text.

    Returns
    -------
    str
        SHA-256 of its UTF-8 bytes, hexadecimal.

    Examples
    --------
    >>> text_sha256("TP53")[:8]
    'ec090109'
    """
    return hashlib.sha256(text.encode()).hexdigest()
