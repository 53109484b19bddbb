"""The rules by which a label finds its term, in order.

What becomes of what they find is `genept.collections.labels.label_mapping`. Every rule compares
forms of whole names; none of them measures likeness.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator
from itertools import groupby
from typing import Final

from genept.collections.labels.label_spelling import (
    Form,
    as_published,
    letters_and_digits,
    words_form,
)
from genept.collections.labels.label_terms import AuthorHabits
from genept.collections.labels.term_names import Index, TermNames, in_any_order

Step = tuple[str, str, frozenset[str]]
"""Outcome, evidence, and ids of the terms that were found."""


def steps(of_field: str, label: str, names: TermNames, habits: AuthorHabits) -> Iterator[Step]:
    """What each rule finds, in order; every rule is one look-up of names and one of synonyms.

    Parameters
    ----------
    of_field, label
        Field of the label, and the label as published.
    names, habits
        Names of the terms of one ontology, and how authors write labels of the field.

    Yields
    ------
    tuple
        Outcome, evidence, and ids of the terms that the rule finds; often none.
    """
    published, form = as_published(label), words_form(label)
    by_name, by_synonym = _looked_up(names.published, published, ("name", "synonym"))
    yield by_name
    code = habits.codes.get(form)
    if code is not None and code in names.terms:
        yield "abbreviation", "declared code of authors", frozenset({code})
    yield by_synonym
    yield from _looked_up(names.words, form, ("spelling", "spelling"))
    if of_field == "assay":
        yield from _looked_up(names.compact, letters_and_digits(label), ("spelling", "spelling"))
    for written_out in _written_out(of_field, form, habits):
        code = habits.codes.get(written_out)
        if code is not None and code in names.terms:
            yield "abbreviation", f"declared words: {' '.join(written_out)}", frozenset({code})
        yield from _looked_up(
            names.words, written_out, ("abbreviation", "abbreviation"), " ".join(written_out)
        )
        if of_field in ("cell_type", "tissue", "tissue_subtype", "diagnosis"):
            key = in_any_order(written_out)
            words = f"{' '.join(written_out)}, in any order"
            yield from _looked_up(names.any_order, key, ("abbreviation", "abbreviation"), words)


def _looked_up(
    indices: tuple[Index, Index], key: Hashable, outcomes: tuple[str, str], words: str = ""
) -> Iterator[Step]:
    because = f" ({words})" if words else ""
    for index, outcome, what in zip(indices, outcomes, ("name", "exact synonym"), strict=True):
        yield outcome, f"{what}{because}", index.get(key, frozenset())


_LEFT_OVER: Final = (("other",), ("nos",), ("unspecified",), ("not", "specified"))
_NOUN: Final = {"cell_type": "cell"}
_MARKER: Final = re.compile(r"cd\d+[a-z]?")
_SIGNS: Final = {"positive", "negative", "low", "lo", "dim", "high", "hi", "bright"}
_RECEPTOR: Final = {"alpha", "beta", "gamma", "delta"}


def _written_out(of_field: str, form: Form, habits: AuthorHabits) -> list[Form]:
    """The label with abbreviations written out; of cell types also with noun and signs."""
    full = [each for word in form for each in habits.words.get(word, (word,))]
    words: Form = tuple(word for word, _ in groupby(full))
    noun = _NOUN.get(of_field)
    written = [words]
    if words[-1:] in _LEFT_OVER or words[-2:] in _LEFT_OVER:  # "other soft tissue" is soft tissue
        written.append(words[: -1 if words[-1:] in _LEFT_OVER else -2])
    if noun and noun not in words:
        written.append((*words, noun))
    if noun:
        written += [signed for each in written if (signed := _signed(each)) != each]
    return list(dict.fromkeys(written))


def _signed(words: Form) -> Form:
    """Markers without a sign are positive; T cells of CD4 or CD8 are alpha-beta ones."""
    signed: list[str] = []
    for word, following in zip(words, (*words[1:], ""), strict=True):
        signed.append(word)
        if _MARKER.fullmatch(word) and following not in _SIGNS:
            signed.append("positive")
    has = set(signed)
    if "t" in has and not has & (_RECEPTOR | {"regulatory", "nk"}):
        for marker in ("cd4", "cd8"):
            if marker in has and signed[signed.index(marker) + 1] == "positive":
                at = signed.index(marker) + 2
                signed[at:at] = ["alpha", "beta"]
                break
    return tuple(signed)


def means_nothing(label: str, habits: AuthorHabits) -> str | None:
    """Say why a label means no term of any ontology.

    Parameters
    ----------
    label, habits
        As of `steps`.

    Returns
    -------
    str or None
        None where it may mean one.
    """
    form = words_form(label)
    without_noun = form[:-1] if form[-1:] == ("cell",) else form
    if why := habits.nothing.get(form) or habits.nothing.get(without_noun):
        return why
    if not form:
        return "holds no letter and no digit"
    if re.fullmatch(r"(cluster |c )?\d+", " ".join(form)):
        return "numbers a cluster of this collection"
    return None
