"""What the stated targets of a drug mean: genes, or a family, complex or process with its genes.

Texts such as ``PDGFR, KIT, PI3K (class 1)`` are split into tokens, and each token gets an outcome
with its evidence. Names of targets that the gene nomenclature does not know, or would take for
another gene, are declared in `target_groups.toml`. Which drug has which targets is in
`genept.datasources`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

from genept.nomenclature.mapping import Nomenclature
from genept.nomenclature.target_groups import FILE, DeclaredTargets, declared_targets, key_of

TargetOutcome = Literal["gene", "family", "complex", "process", "unknown"]
TARGET_OUTCOMES: Final[tuple[TargetOutcome, ...]] = get_args(TargetOutcome)
"""What a token may turn out to be."""

_MUTATION: Final = re.compile(r"[A-Z]\d+[A-Z]")
_PARENTHESES: Final = re.compile(r"(?P<before>[^()]*)\((?P<inside>[^()]*)(?:\)(?P<after>[^()]*))?")
_RANGE: Final = re.compile(r"(?P<stem>.*\D)(?P<first>\d{1,2})[-–](?P<last>\d{1,2})")
_LIST: Final = re.compile(r"(?P<stem>.*\D)(?P<numbers>\d{1,2}(?:/\d{1,2})+)")
_LONGEST_RANGE: Final = 20
_NOT_A_TARGET: Final = frozenset({"entrez_id"})
"""Outcomes of the nomenclature that no target is named by: a bare number names a compound."""


@dataclass(frozen=True)
class TargetMeaning:
    """What one token of a drug's targets means.

    Parameters
    ----------
    token
        The token as stated.
    outcome
        What it is: one of `TARGET_OUTCOMES`.
    group
        Name of the family, complex or process; None for a gene, and for what is unknown.
    members
        Symbol and Ensembl gene id of each gene that it stands for: one of a gene, any number of a
        group. A declared gene that the reference does not have is not among them.
    evidence
        How it was mapped, in words.
    """

    token: str
    outcome: TargetOutcome
    group: str | None
    members: tuple[tuple[str, str], ...]
    evidence: str


def split_targets(text: str) -> list[str]:
    """Split the text of a drug's targets into tokens.

    Parameters
    ----------
    text
        Targets as stated, separated by commas. A comma within parentheses does not separate;
        after a parenthesis that is never closed, it does.

    Returns
    -------
    list of str
        The tokens in order, without the spaces around them; empty ones are left out.
    """
    tokens, start = [], 0
    inside = _enclosed(text)
    for at, letter in enumerate(text):
        if letter == "," and at not in inside:
            tokens.append(text[start:at])
            start = at + 1
    return [stripped for token in (*tokens, text[start:]) if (stripped := token.strip())]


def _enclosed(text: str) -> set[int]:
    """Positions between an opening parenthesis and the closing one that belongs to it."""
    opened: list[int] = []
    inside: set[int] = set()
    for at, letter in enumerate(text):
        if letter == "(":
            opened.append(at)
        elif letter == ")" and opened:
            inside.update(range(opened.pop(), at))
    return inside


def map_targets(tokens: Iterable[str], nomenclature: Nomenclature) -> dict[str, TargetMeaning]:
    """Map tokens of targets to genes, each with its evidence.

    Parameters
    ----------
    tokens
        Tokens as `split_targets` returns them.
    nomenclature
        What names of genes mean. A name that `target_groups.toml` declares is decided there.

    Returns
    -------
    dict of str to TargetMeaning
        By token. Synonyms of a gene have the same Ensembl id.
    """
    reading = _Reading(declared_targets(), nomenclature)
    return {token: reading.meaning(token) for token in dict.fromkeys(tokens)}


class _Reading:
    """Reads tokens with one nomenclature."""

    def __init__(self, declared: DeclaredTargets, nomenclature: Nomenclature) -> None:
        self._declared, self._nomenclature = declared, nomenclature
        self._gene_of = {key_of(n): s for s, names in declared.aliases.items() for n in names}
        self._group_of = {
            key_of(each): name
            for name, group in declared.groups.items()
            for each in (name, *group.names)
        }
        self._unnamed = {key_of(name) for name in declared.unnamed}
        words = "|".join(declared.qualifiers)
        self._qualified = re.compile(rf"(?:\b(?:{words})\b|\s)+", re.IGNORECASE)

    def meaning(self, token: str) -> TargetMeaning:
        """What a token means."""
        if key_of(token) in self._unnamed:
            return _unknown(token, f"names no target, as {FILE} declares")
        return self._read(token, token) or _unknown(token, self._why_unknown(token))

    def _read(self, token: str, text: str) -> TargetMeaning | None:
        if (direct := self._direct(token, text)) is not None:
            return direct
        for how, names in self._readings(text):
            parts = [self._read(token, name) for name in names]
            if (known := [part for part in parts if part is not None]) and len(known) == len(names):
                return _joined(token, how, known)
        return None

    def _direct(self, token: str, name: str) -> TargetMeaning | None:
        """What a name means as it stands: as declared, or else in the nomenclature."""
        key = key_of(name)
        if (symbol := self._gene_of.get(key)) is not None:
            known = self._known([symbol])
            if not known:
                return _unknown(token, f"declared alias of {symbol}, which the reference lacks")
            evidence = "approved symbol" if name == symbol else f"declared alias of {symbol}"
            return TargetMeaning(token, "gene", None, known, evidence)
        if (group := self._group_of.get(key)) is not None:
            kind, symbols = self._declared.groups[group].kind, self._declared.symbols(group)
            members = self._known(symbols)
            evidence = f"{kind} {group} of {FILE}"
            if lacking := [each for each in symbols if each not in dict(members)]:
                evidence += f"; the reference lacks {', '.join(lacking)}"
            return TargetMeaning(token, kind, group, members, evidence)
        mapped = self._nomenclature.map_name(name)
        if mapped.ensembl_gene_id is None or mapped.outcome in _NOT_A_TARGET:
            return None
        evidence = "approved symbol" if mapped.outcome == "exact" else mapped.evidence
        return TargetMeaning(token, "gene", None, ((name, mapped.ensembl_gene_id),), evidence)

    def _known(self, symbols: Sequence[str]) -> tuple[tuple[str, str], ...]:
        ids = ((symbol, self._nomenclature.map_name(symbol).ensembl_gene_id) for symbol in symbols)
        return tuple((symbol, id_) for symbol, id_ in ids if id_ is not None)

    def _readings(self, text: str) -> Iterator[tuple[str, list[str]]]:
        """Shorter names that a text may stand for, with what was read; the likeliest first."""
        if match := _PARENTHESES.fullmatch(text):
            inside, after = match["inside"].strip(), match["after"] or ""
            if inside and not _MUTATION.fullmatch(inside):
                yield "names a gene in parentheses", split_targets(inside)
            if outside := f"{match['before'].strip()} {after.strip()}".strip():
                yield f"({inside}) left out", [outside]
        elif (bare := text.replace("(", "").replace(")", "").strip()) != text and bare:
            yield "a stray parenthesis left out", [bare]
        if match := _RANGE.fullmatch(text):
            numbers = range(int(match["first"]), int(match["last"]) + 1)
            if 1 < len(numbers) <= _LONGEST_RANGE:
                yield "a range of numbers", [f"{match['stem']}{n}" for n in numbers]
        if match := _LIST.fullmatch(text):
            yield "several numbers", [f"{match['stem']}{n}" for n in match["numbers"].split("/")]
        if "/" in text and all(names := [name.strip() for name in text.split("/")]):
            yield "several names", names
        words = [word for word in text.split() if not _MUTATION.fullmatch(word)]
        kept = self._qualified.sub(" ", " ".join(words)).strip()
        if kept and kept != text:
            yield "what is done to it, or its mutation, left out", [kept]

    def _why_unknown(self, token: str) -> str:
        mapped = self._nomenclature.map_name(token)
        among = f", one of {', '.join(mapped.candidates)}" if mapped.candidates else ""
        return f"{mapped.evidence or mapped.outcome}{among}; {FILE} does not declare it"


def _unknown(token: str, why: str) -> TargetMeaning:
    return TargetMeaning(token, "unknown", None, (), why)


def _joined(token: str, how: str, parts: Sequence[TargetMeaning]) -> TargetMeaning:
    """One meaning of all names that a token was read as."""
    if len(parts) == 1:
        return replace(parts[0], evidence=f"{how}; {parts[0].evidence}")
    members = {id_: symbol for part in parts for symbol, id_ in part.members}
    genes = tuple((symbol, id_) for id_, symbol in members.items())
    evidence = f"{how}: {', '.join(symbol for symbol, _ in genes)}"
    if len(genes) == 1:
        return TargetMeaning(token, "gene", None, genes, evidence)
    return TargetMeaning(token, "family", token, genes, evidence)
