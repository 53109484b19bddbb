"""Swiss-Prot's flat file: what a protein does, where it is, and which diseases it is part of.

Reads the CC lines FUNCTION, SUBCELLULAR LOCATION and DISEASE of human entries, entry by entry,
and leaves out evidence tags and literature references: they are links, not knowledge.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import polars as pl

from genept.common import SourceError
from genept.datasources.download import Opener, text_lines

TOPICS: Final = {
    "FUNCTION": "function",
    "SUBCELLULAR LOCATION": "location",
    "DISEASE": "disease",
}
_HUMAN: Final = re.compile(r"OX   NCBI_TaxID=9606\b")
_EVIDENCE: Final = re.compile(r"\s*\{ECO:[^}]*\}")
_REFERENCES: Final = re.compile(r"\s*\((?:PubMed:\d+(?:,\s*)?|Ref\.\d+(?:,\s*)?|By similarity)+\)")
_MIM: Final = re.compile(r"\s*\[MIM:\d+\]")
_RULE: Final = "-----"


def read_swissprot(opener: Opener, what: str = "uniprot_sprot_human.dat") -> pl.DataFrame:
    """Function, location and disease of human proteins.

    Parameters
    ----------
    opener
        Opens the unpacked bytes of the file, in UniProt's flat-file format.
    what
        Name of the file for messages.

    Returns
    -------
    pl.DataFrame
        uniprot_id (primary accession), topic (``function``, ``location`` or ``disease``), text;
        a protein may have several texts of a topic, in the order of the entry.

    Raises
    ------
    SourceError
        An entry has no accession, the file is cut short, or holds no human entry.
    """
    rows: list[tuple[str, str, str]] = []
    for entry in _entries(opener, what):
        if any(_HUMAN.match(line) for line in entry):
            accession = _accession(entry, what)
            rows += [(accession, topic, text) for topic, text in _comments(entry)]
    if not rows:
        raise SourceError(f"{what}: says nothing about human proteins; is it the right file?")
    return pl.DataFrame(rows, schema=["uniprot_id", "topic", "text"], orient="row")


def _entries(opener: Opener, what: str) -> Iterator[list[str]]:
    entry: list[str] = []
    for number, line in text_lines(opener, what):
        if number == 1 and not line.startswith("ID   "):
            raise SourceError(f"{what}: begins with {line[:24]!r}, a Swiss-Prot file with 'ID   '")
        if line == "//":
            yield entry
            entry = []
        else:
            entry.append(line)
    if entry:
        raise SourceError(f"{what}: is cut short: {entry[0][:40]!r} has no end; fetch it again")


def _accession(entry: list[str], what: str) -> str:
    line = next((line for line in entry if line.startswith("AC   ")), None)
    if line is None:
        raise SourceError(f"{what}: the entry {entry[0][:40]!r} has no AC line")
    return line[5:].split(";")[0].strip()


def _comments(entry: list[str]) -> Iterator[tuple[str, str]]:
    """Topic and text of every comment that is kept."""
    comments: list[str] = []
    for line in entry:
        if line.startswith(f"CC   {_RULE}"):  # the licence, which follows the comments
            break
        if line.startswith("CC   -!- "):
            comments.append(line[9:])
        elif line.startswith("CC       ") and comments:
            comments[-1] += _joint(comments[-1]) + line[9:].strip()
    for comment in comments:
        topic, _, text = comment.partition(": ")
        if topic in TOPICS and (tidied := _tidied(text)):
            yield TOPICS[topic], tidied


def _joint(before: str) -> str:
    """Lines are broken at spaces, and after hyphens without one."""
    return "" if before.endswith("-") and not before.endswith(" -") else " "


def _tidied(text: str) -> str:
    text = _MIM.sub("", _REFERENCES.sub("", _EVIDENCE.sub("", text)))
    # A tag stands between a sentence's full stop and its own.
    return re.sub(r"\s+", " ", re.sub(r"\.(\s*\.)+", ".", text)).strip(" ;")
