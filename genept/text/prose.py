"""Prose of public sources made fit for a description: links, dates and control marks go.

What is taken out carries no knowledge of the gene, but says who wrote of it, when and where.
"""

from __future__ import annotations

import re

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
    return [one for one in _SENTENCE.split(text.strip()) if one]


def without_control_characters(text: str) -> tuple[str, bool]:
    """The text with control and invisible characters made spaces, and whether it had any."""
    if not _CONTROL.search(text):
        return text, False
    return re.sub(r"\s+", " ", _CONTROL.sub(" ", text)).strip(), True
