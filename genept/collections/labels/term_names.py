"""Names of the terms of one ontology, looked up in several forms.

Which form decides is `genept.collections.labels.label_mapping`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from genept.collections.labels.label_spelling import (
    Form,
    as_published,
    letters_and_digits,
    words_form,
)
from genept.datasources import OntologyTerm

LITTLE_WORDS: Final = frozenset({"of", "the", "and", "in", "a", "an"})
"""Words that do not count where words are compared in any order."""

OTHER_SPECIES: Final = ("(Mmus)", "non-human animal", ", mouse")
"""Ends of names of terms that no human label means."""

_DISTINCTION: Final = re.compile(r" \[(.*)\]$")
"""What Cellosaurus adds to a name that several lines have: ``HH [Human lymphoma]``."""

Index = Mapping[Any, frozenset[str]]


@dataclass(frozen=True)
class TermNames:
    """Names and exact synonyms of the terms of an ontology.

    Parameters
    ----------
    terms
        Terms by id.
    """

    terms: Mapping[str, OntologyTerm]

    @cached_property
    def published(self) -> tuple[Index, Index]:
        """Ids by name, and by synonym, in lower case."""
        return self._by(as_published)

    @cached_property
    def words(self) -> tuple[Index, Index]:
        """Ids by the words of a name, and of a synonym."""
        return self._by(words_form)

    @cached_property
    def any_order(self) -> tuple[Index, Index]:
        """Ids by the words in any order, without `LITTLE_WORDS`."""
        names, synonyms = (_reordered(index) for index in self.words)
        return names, synonyms

    @cached_property
    def compact(self) -> tuple[Index, Index]:
        """Ids by letters and digits alone."""
        return self._by(letters_and_digits)

    @cached_property
    def exact(self) -> Index:
        """Ids by name as it is, with what Cellosaurus adds."""
        return {term.name: frozenset({id_}) for id_, term in self.terms.items()}

    def _by(self, form: Callable[[str], Hashable]) -> tuple[Index, Index]:
        return _index(self._names, form), _index(self._synonyms, form)

    def _names(self) -> Iterator[tuple[str, str]]:
        for id_, term in self.terms.items():
            if not term.name.endswith(OTHER_SPECIES):
                added = _DISTINCTION.search(term.name)
                if added is None or (id_.startswith("CVCL") and added[1].startswith("Human")):
                    yield id_, _DISTINCTION.sub("", term.name)

    def _synonyms(self) -> Iterator[tuple[str, str]]:
        for id_, term in self.terms.items():
            if not term.name.endswith(OTHER_SPECIES):
                for synonym in term.synonyms:
                    yield id_, synonym


def in_any_order(words: Form) -> Form:
    """Words in alphabetical order, without `LITTLE_WORDS`.

    Parameters
    ----------
    words
        Words of a label or a name.

    Returns
    -------
    tuple of str
        The same for every order of the words.
    """
    return tuple(sorted(word for word in words if word not in LITTLE_WORDS))


def _index(
    names: Callable[[], Iterator[tuple[str, str]]], form: Callable[[str], Hashable]
) -> Index:
    ids: defaultdict[Hashable, set[str]] = defaultdict(set)
    for id_, name in names():
        if key := form(name):
            ids[key].add(id_)
    return {key: frozenset(several) for key, several in ids.items()}


def _reordered(index: Index) -> Index:
    ids: defaultdict[Form, set[str]] = defaultdict(set)
    for words, several in index.items():
        if key := in_any_order(words):
            ids[key] |= several
    return {key: frozenset(several) for key, several in ids.items()}
