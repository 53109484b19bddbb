"""Grammars in GBNF, the notation of llama.cpp, and whether a text follows one.

Services enforce grammars while they write; here an answer is checked afterwards. Rules, literals,
classes of characters, groups, alternatives and repetitions are read; a rule that begins with itself
is refused, as llama.cpp does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

STEPS: Final = 1_000_000
"""Most positions that are tried for one text: a grammar may be ambiguous beyond reason."""

ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t"}

_TOKEN: Final = re.compile(
    r"""(?P<space>(?:\s|\#[^\n]*)+)
    | (?P<rule>[A-Za-z][\w-]*)\s*::=
    | (?P<name>[A-Za-z][\w-]*)
    | "(?P<literal>(?:\\.|[^"\\\n])*)"
    | (?P<any>\.)
    | \[(?P<characters>(?:\\.|[^\]\\])*)\]
    | (?P<repeat>[*+?]|\{\d+(?:,\d*)?\})
    | (?P<mark>[()|])""",
    re.VERBOSE,
)
_ESCAPE: Final = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))")


class GrammarError(ValueError):
    """A grammar that cannot be read."""


@dataclass(frozen=True)
class _Characters:
    pattern: re.Pattern[str]


@dataclass(frozen=True)
class _Rule:
    name: str


@dataclass(frozen=True)
class _Sequence:
    parts: tuple[_Node, ...]


@dataclass(frozen=True)
class _Choice:
    options: tuple[_Node, ...]


@dataclass(frozen=True)
class _Repeat:
    node: _Node
    least: int
    most: int | None


_Node = str | _Characters | _Rule | _Sequence | _Choice | _Repeat


class Grammar:
    """A grammar whose first rule is ``root``.

    Parameters
    ----------
    text
        In GBNF.
    """

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0
        self._rules: dict[str, _Node] = {}
        while self._at < len(self._tokens):
            kind, name = self._tokens[self._at]
            if kind != "rule":
                raise GrammarError(f"expected a rule, `name ::= …`, at {name!r}")
            self._at += 1
            self._rules[name] = self._choice()
        if "root" not in self._rules:
            raise GrammarError("it has no rule `root`")
        for name, node in self._rules.items():
            if unknown := sorted(set(_names(node)) - set(self._rules)):
                raise GrammarError(f"rule {name} names {unknown[0]}, which is no rule")

    def matches(self, text: str) -> bool:
        """Whether the whole of a text follows the grammar."""
        return len(text) in _Match(self._rules, text).ends(_Rule("root"), 0)

    def _choice(self) -> _Node:
        options = [self._sequence()]
        while self._next("mark", "|"):
            options.append(self._sequence())
        return options[0] if len(options) == 1 else _Choice(tuple(options))

    def _sequence(self) -> _Node:
        parts: list[_Node] = []
        while (node := self._item()) is not None:
            while repeat := self._next("repeat"):
                node = _Repeat(node, *_bounds(repeat))
            parts.append(node)
        return parts[0] if len(parts) == 1 else _Sequence(tuple(parts))

    def _item(self) -> _Node | None:
        if self._next("mark", "("):
            node = self._choice()
            if not self._next("mark", ")"):
                raise GrammarError("a bracket is not closed")
            return node
        kind, text = self._tokens[self._at] if self._at < len(self._tokens) else ("", "")
        if kind not in ("name", "literal", "characters", "any"):
            return None
        self._at += 1
        if kind == "name":
            return _Rule(text)
        if kind == "literal":
            return _unescaped(text)
        if kind == "any":
            return _Characters(re.compile(r".", re.DOTALL))
        try:
            return _Characters(re.compile(_class(text), re.DOTALL))
        except re.error as error:
            raise GrammarError(f"[{text}] is no class of characters: {error}") from None

    def _next(self, kind: str, text: str | None = None) -> str:
        """The next token if it is of this kind, and then it is used; else nothing."""
        if self._at < len(self._tokens):
            kind_of_token, content = self._tokens[self._at]
            if kind_of_token == kind and text in (None, content):
                self._at += 1
                return content
        return ""


class _Match:
    """Where parts of a grammar may end in one text."""

    def __init__(self, rules: dict[str, _Node], text: str) -> None:
        self.rules, self.text, self.steps = rules, text, 0
        self.known: dict[tuple[str, int], frozenset[int]] = {}
        self.open: set[tuple[str, int]] = set()

    def ends(self, node: _Node, at: int) -> frozenset[int]:
        """Positions at which `node`, begun at `at`, may end."""
        self.steps += 1
        if self.steps > STEPS:
            raise GrammarError(f"the grammar is too ambiguous to check {len(self.text)} characters")
        match node:
            case str():
                fits = self.text.startswith(node, at)
                return frozenset({at + len(node)}) if fits else frozenset()
            case _Characters(pattern):
                return frozenset({at + 1}) if pattern.match(self.text, at) else frozenset()
            case _Sequence(parts):
                ends = frozenset({at})
                for part in parts:
                    ends = self._all(part, ends)
                return ends
            case _Choice(options):
                return frozenset().union(*(self.ends(option, at) for option in options))
            case _Repeat():
                return self._repeated(node, at)
            case _Rule(name):
                return self._rule(name, at)

    def _all(self, node: _Node, starts: frozenset[int]) -> frozenset[int]:
        return frozenset().union(*(self.ends(node, start) for start in starts))

    def _repeated(self, node: _Repeat, at: int) -> frozenset[int]:
        ends, reached = frozenset({at}), set[int]()
        for _ in range(node.least):
            ends = self._all(node.node, ends)
        done = node.least
        while ends and (node.most is None or done <= node.most):
            reached |= ends
            ends = self._all(node.node, ends) - reached
            done += 1
        return frozenset(reached)

    def _rule(self, name: str, at: int) -> frozenset[int]:
        place = (name, at)
        if place not in self.known:
            if place in self.open:
                raise GrammarError(f"rule {name} begins with itself")
            self.open.add(place)
            self.known[place] = self.ends(self.rules[name], at)
            self.open.discard(place)
        return self.known[place]


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None or token.lastgroup is None:
            raise GrammarError(f"cannot read {text[at : at + 20]!r}")
        at = token.end()
        if token.lastgroup != "space":
            yield token.lastgroup, token[token.lastgroup]


def _names(node: _Node) -> Iterator[str]:
    match node:
        case _Rule(name):
            yield name
        case _Sequence(nodes) | _Choice(nodes):
            for part in nodes:
                yield from _names(part)
        case _Repeat(inner):
            yield from _names(inner)


def _bounds(repeat: str) -> tuple[int, int | None]:
    """Least and most of ``*``, ``+``, ``?``, ``{2}``, ``{2,}`` or ``{2,5}``."""
    if repeat in "*+?":
        return int(repeat == "+"), 1 if repeat == "?" else None
    least, comma, most = repeat[1:-1].partition(",")
    return int(least), int(most) if most else None if comma else int(least)


def _unescaped(text: str) -> str:
    def character(match: re.Match[str]) -> str:
        code = match[1] or match[2] or match[3]
        return chr(int(code, 16)) if code else ESCAPES.get(match[4], match[4])

    return _ESCAPE.sub(character, text)


def _class(text: str) -> str:
    """A class of GBNF as that of a regular expression; only ``^`` and ``-`` have a meaning."""
    negated = text.startswith("^")
    out, at = ("[^" if negated else "["), int(negated)
    while at < len(text):
        if text[at] == "-":
            out, at = out + "-", at + 1
            continue
        escaped = _ESCAPE.match(text, at)
        piece = escaped[0] if escaped else text[at]
        out += re.escape(_unescaped(piece))
        at += len(piece)
    return out + "]"
