"""What is declared of labels: those of one collection, and the habits of all authors.

Nothing here reads an ontology; how a label is mapped is `genept.collections.labels.label_mapping`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from genept.collections.labels.label_spelling import Form, words_form

_HABITS: Final = ("words", "codes", "nothing")


@dataclass(frozen=True)
class DeclaredLabel:
    """What a label of one collection is declared to mean.

    Parameters
    ----------
    words
        What it is called in plain words; empty: only its ids are declared.
    terms
        Ids of terms whose texts stand for it: what it means, or is nearest to.
    ids
        Ids of the terms that it names: `terms`, unless the declaration says otherwise.
    because
        Why it names none.
    """

    words: str
    terms: tuple[str, ...]
    ids: tuple[str, ...]
    because: str = ""


@cache
def declared_labels() -> Mapping[str, Mapping[str, DeclaredLabel]]:
    """Read what labels of published collections are declared to mean.

    Returns
    -------
    mapping of str to mapping
        Of collection to label to its declaration.
    """
    return {
        collection: {
            label: DeclaredLabel(
                entry.get("words", ""),
                tuple(entry.get("terms", ())),
                tuple(entry.get("ids", entry.get("terms", ()))),
                entry.get("because", ""),
            )
            for label, entry in labels.items()
        }
        for collection, labels in _toml("label_terms.toml").items()
    }


@dataclass(frozen=True)
class AuthorHabits:
    """How authors write labels of one field.

    Parameters
    ----------
    words
        Words that stand for others.
    codes
        Ids of terms by the words of a whole label.
    nothing
        Why a label means no term, by its words.
    """

    words: Mapping[str, Form]
    codes: Mapping[Form, str]
    nothing: Mapping[Form, str]


@cache
def author_habits(field: str) -> AuthorHabits:
    """Read how authors write the labels of a field.

    Parameters
    ----------
    field
        Column of table `observations`, such as ``cell_type``.

    Returns
    -------
    AuthorHabits
        Empty for a field of which nothing is declared, but for labels that mean nothing.
    """
    words, codes, nothing = (_toml("author_words.toml")[key] for key in _HABITS)
    key = "tissue" if field == "tissue_subtype" else field
    return AuthorHabits(
        {word: words_form(text) for word, text in words.get(key, {}).items()},
        {words_form(label): term for label, term in codes.get(key, {}).items()},
        {words_form(label): why for label, why in nothing.items()},
    )


def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath(name).read_text("utf-8"))
