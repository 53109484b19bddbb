"""Drafts: which lines of its evidence the text of each gene has, and in which order.

How drafts are changed is `genept.language_models.self_editing.edits`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Final

import polars as pl

from genept.language_models.descriptions import GeneEvidence
from genept.text import CountTokens, Lengths
from genept.text.recipes import load_dimensions

Draft = tuple[int, ...]
"""Numbers of lines of a gene's evidence, from 0, in the order of its text; ``~n`` is line n in the
words of a language model."""

Drafts = Mapping[str, Draft]
"""Drafts by Ensembl id."""

MOST_TOKENS: Final = 256

_CLASSES: Final = {
    "transcription": r"transcription factor|zinc finger|homeobox|helix-loop|DNA.binding|forkhead",
    "signalling": r"kinase|phosphatase|GTPase|receptor|signal|growth factor|cytokine|interleukin",
    "enzymes": r"\w+ase\b|enzyme|catalytic|cytochrome",
    "transport": r"channel|transporter|solute carrier|exchanger|pump|exocyt|endocyt|vesicle",
    "expression": r"ribosom|splic|RNA|translation|histone|chromatin|helicase",
    "structure": r"collagen|keratin|actin|myosin|tubulin|adhesion|cadherin|cytoskelet|laminin",
}
"""Kinds of genes, by words of the name or of the first line; the first that fits."""

OTHER: Final = "other"


def class_of(evidence: GeneEvidence) -> str:
    """The kind of a gene, by the words of its name and of its first line.

    Parameters
    ----------
    evidence
        What is known of the gene.

    Returns
    -------
    str
        Name of the kind; ``other`` if no words fit.
    """
    for text in (evidence.name, evidence.lines[0]):
        for name, words in _CLASSES.items():
            if re.search(words, text, re.IGNORECASE):
                return name
    return OTHER


@dataclass(frozen=True)
class Library:
    """The evidence of genes, and how long its lines are.

    Parameters
    ----------
    evidence
        By Ensembl id.
    genes
        Table `genes`: which symbols there are.
    count_tokens
        Counts tokens, special ones included.
    restated
        What a language model wrote in place of lines, by gene and line.
    """

    evidence: Mapping[str, GeneEvidence]
    genes: pl.DataFrame
    count_tokens: CountTokens
    restated: Mapping[str, Mapping[str, str]]

    @cached_property
    def classes(self) -> dict[str, str]:
        """Kind of each gene."""
        return {id_: class_of(each) for id_, each in self.evidence.items()}

    @cached_property
    def dimensions(self) -> dict[str, list[frozenset[str]]]:
        """What each line of each gene speaks of."""
        rows = pl.DataFrame(
            [(id_, line) for id_, each in self.evidence.items() for line in each.lines],
            {"ensembl_gene_id": pl.String, "item": pl.String},
            orient="row",
        )
        spoken = {
            name: each.spoken_of(rows, self.genes).to_list()
            for name, each in load_dimensions().items()
        }
        of_gene: dict[str, list[frozenset[str]]] = {}
        for id_, *flags in zip(rows["ensembl_gene_id"], *spoken.values(), strict=True):
            speaks = frozenset(name for name, flag in zip(spoken, flags, strict=True) if flag)
            of_gene.setdefault(id_, []).append(speaks)
        return of_gene

    @cached_property
    def parts(self) -> dict[str, list[str]]:
        """Part of descriptions that each line of each gene is of."""
        return {
            id_: [source.partition("@")[0] for source in each.sources]
            for id_, each in self.evidence.items()
        }

    @cached_property
    def first_drafts(self) -> dict[str, Draft]:
        """Prose in the order of the sources; of genes without prose, the first line."""
        drafts = {}
        for id_, parts in self.parts.items():
            prose = tuple(n for n, part in enumerate(parts) if part in ("summary", "function"))
            drafts[id_] = prose or (0,)
        return drafts

    def lines(self, id_: str, draft: Draft) -> list[str]:
        """The lines of a draft, as many as fit."""
        gene = self.evidence[id_]
        left = MOST_TOKENS - 2 - self._lengths[f"{gene.name}. "]
        kept: list[str] = []
        for n in draft:
            line = gene.lines[n] if n >= 0 else self.restated[id_][gene.lines[~n]]
            left -= self._lengths[line]
            if left < 0 and kept:
                break
            kept.append(line)
        return kept

    def text(self, id_: str, draft: Draft) -> str:
        """The text of a gene: its full name, and the lines of its draft."""
        return f"{self.evidence[id_].name}. {' '.join(self.lines(id_, draft))}"

    @cached_property
    def _lengths(self) -> Lengths:
        lines = [line for each in self.evidence.values() for line in each.lines]
        return Lengths(self.count_tokens, lines)


def place(n: int) -> int:
    """The line of the evidence that an entry of a draft is, in whatever words."""
    return n if n >= 0 else ~n


def shuffled_draft(draft: Draft, n_lines: int, random: Random) -> Draft:
    """A draft of the same length, of any lines in any order: a change without a reason."""
    return tuple(random.sample(range(n_lines), min(len(draft), n_lines)))


def changed(before: Drafts, after: Drafts) -> list[str]:
    """Genes whose draft differs.

    Parameters
    ----------
    before, after
        Drafts by gene; `before` has every gene of `after`.

    Returns
    -------
    list of str
        Ensembl ids, sorted.
    """
    return sorted(id_ for id_, draft in after.items() if before[id_] != draft)
