"""One gene's text: its items in the recipe's order, masked, within the token budget.

Prose of public sources is made fit for a description: links, dates and control marks go.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from genept.text.descriptions.recipes import PROSE, PartUse, Recipe
from genept.text.descriptions.tokens import SPECIAL_TOKENS, CountTokens

_CREDIT = re.compile(r"\s*\[?\b(?:provided|supplied) by [^\[\]]{1,80}\]\.?")

_IN_BRACKETS = re.compile(
    r"\s*[(\[](?:[^()\[\]]*\b)?(?:PMIDs?|PubMed(?:\s?IDs?)?)\b[^()\[\]]*[)\]]"
)

_BARE = re.compile(r"\s*\b(?:PMIDs?|PubMed(?:\s?IDs?)?):?\s*\d+(?:(?:,|,? and)\s*\d+)*")

_ADDRESS = re.compile(r"\s*\(?\b(?:https?://|www\.)[^\s()]+\)?")

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b\u2028\u2029\ufeff]+")

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"'(\[])")


def tidy_summary(text: str) -> str:
    """An NCBI summary without links, references and the date of its last change.

    As Chen & Zou (2023) did: "[provided by RefSeq, Jul 2008]" and what is like it.
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
    """What became of one part of a recipe for one gene.

    Parameters
    ----------
    part
        The part that was told: the fall-back where the gene lacks the recipe's own.
    known
        How many items the source has, before any limit.
    items
        What there was to tell, after limits and masks; `kept` of them are in the text.
    masked
        How many words each mask took out.
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
    def told(self) -> tuple[str, ...]:
        """The items that are in the text."""
        return self.items[: self.kept]

    @property
    def written(self) -> str:
        """How the part stands in the text."""
        return self.use.lead + self.use.between.join(self.told)

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
    """A gene's text, its length, and its parts in the order of the recipe."""

    text: str
    n_tokens: int
    parts: tuple[PartOfText, ...]


class Lengths:
    """Tokens of pieces of text without the special ones; each distinct piece is counted once."""

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
    """The part with the recipe's masks applied; items of which nothing is left are gone."""
    if not recipe.masks:
        return part
    items, counts = list(part.items), {}
    for mask in recipe.masks:
        done = [mask.apply(item, gene) for item in items]
        items = [item for item, _ in done]
        counts[mask.id] = sum(n for _, n in done)
    return replace(part, items=tuple(filter(None, items)), masked=counts)


def compose(recipe: Recipe, parts: Sequence[PartOfText], length: Lengths) -> Composed:
    """The text of one gene from its parts, given in the order of the recipe.

    Items are kept part by part, the part first that gives way last, until one no longer fits:
    it and what comes after it are left out. Should the very first be too long by itself, it is
    cut after the last word that fits.
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
    """What stands between a part and the next: sentences have their full stop already."""
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
    """Address of a text."""
    return hashlib.sha256(text.encode()).hexdigest()
