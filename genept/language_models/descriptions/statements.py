"""Statements about a gene: what a model's answer says, and whether what it cites says so, too.

Nothing that a model writes is believed. A statement is kept if it cites a line of the evidence, if
its words are those of the lines that it cites, and if it names no gene and no number that these
lines do not have. What is not kept is counted, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal

from genept.language_models.chats import ChatOutcome
from genept.language_models.descriptions.gene_evidence import GeneEvidence
from genept.schema import has_canary

Fate = Literal["kept", "no_citation", "unsupported", "repeated", "canary", "no_answer"]
"""What became of a statement, or of a gene whose chat has no answer."""

LEAST_SUPPORT: Final = 0.6
"""Share of a statement's content words that the cited lines must have."""

_WORD: Final = re.compile(r"[^\W\d_][\w-]+")
_SPECIFIC: Final = re.compile(
    r"\b(?:[A-Z][A-Z0-9-]*\d[A-Z0-9-]*|[A-Z]{3,}[A-Z0-9-]*|\d+(?:\.\d+)?)\b"
)
_COMMON: Final = frozenset(
    re.findall(
        r"\w+",
        """a an and are as at be been by can for from gene genes has have human in into involved
        is it its may of on or other plays protein proteins role such that the their this to was
        were which with within encoded encodes encoding product known found also associated""",
    )
)


def statements_of(outcome: ChatOutcome, evidence: GeneEvidence) -> list[dict[str, Any]]:
    """Check the answer of one chat about one gene.

    Parameters
    ----------
    outcome
        What came of the chat; its answers have the form of prompt ``gene-statements``, or of
        ``gene-statement-lines``.
    evidence
        What the model was shown.

    Returns
    -------
    list of dict
        Rows of table `written_statements` without `writer` and `prompt`; one row with fate
        ``no_answer`` if there is no answer.
    """
    gene = {"ensembl_gene_id": evidence.ensembl_gene_id, "symbol": evidence.symbol}
    if outcome.text is None:
        nothing = {"position": 0, "statement": outcome.reason, "evidence": [], "support": 0.0}
        return [gene | nothing | {"fate": "no_answer"}]
    rows: list[dict[str, Any]] = []
    known: set[str] = set()
    for position, (cited, text) in enumerate(_stated(outcome)):
        lines = [evidence.lines[n - 1] for n in cited if 1 <= n <= len(evidence.lines)]
        share = support(text, lines, (evidence.symbol, evidence.name))
        rows.append(
            gene
            | {
                "position": position,
                "statement": "left out" if has_canary(text) else text,
                "evidence": lines,
                "support": share,
                "fate": _fate(text, len(lines) == len(cited) > 0, share, known),
            }
        )
        known.add(text.casefold())
    return rows


def _stated(outcome: ChatOutcome) -> Iterator[tuple[list[int], str]]:
    """Numbers that are cited, and the text, of each statement of an answer."""
    if outcome.chat.answer_format.schema is not None:
        for entry in outcome.parsed["statements"]:
            yield list(dict.fromkeys(entry["evidence"])), " ".join(entry["text"].split())
        return
    for line in (outcome.text or "").splitlines():
        number, _, text = line.removeprefix("[").partition("] ")
        yield [int(number)], " ".join(text.split())


def _fate(text: str, has_citation: bool, share: float, known: set[str]) -> Fate:
    if has_canary(text):
        return "canary"
    if not has_citation:
        return "no_citation"
    if share < LEAST_SUPPORT:
        return "unsupported"
    return "repeated" if text.casefold() in known else "kept"


def support(statement: str, lines: Sequence[str], names: Sequence[str] = ()) -> float:
    """How much of a statement stands in the lines that it cites.

    Parameters
    ----------
    statement
        A sentence.
    lines
        The lines.
    names
        Names of the gene, which need no evidence.

    Returns
    -------
    float
        Share of its content words, by their first six letters; 0 if it has none, or has a symbol
        or a number that neither the lines nor the names have.

    Examples
    --------
    >>> support("It regulates apoptosis in neurons.", ["Gene Ontology: regulation of apoptosis"])
    0.6666666666666666
    >>> support("It binds MDM2.", ["It binds DNA."])
    0.0
    """
    cited = " ".join([*lines, *names])
    if set(_SPECIFIC.findall(statement)) - set(_SPECIFIC.findall(cited)):
        return 0.0
    wanted = _stems(statement) - _stems(" ".join(names))
    return len(wanted & _stems(cited)) / len(wanted) if wanted else 0.0


def _stems(text: str) -> set[str]:
    words = (word.casefold() for word in _WORD.findall(text))
    return {word[:6] for word in words if word not in _COMMON}
