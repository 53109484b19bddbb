"""Marker genes that a text names: "CD14-low, CD16-positive", "negative for CD19 and CD20".

What a text says to be expressed or not, by the name that it uses, and the genes of these names on
an axis. How much they weigh beside the genes whose descriptions are near a text is in `readings`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MarkerIds = Callable[[Collection[str]], Mapping[str, Sequence[str]]]
"""Ensembl ids of the genes that names stand for; a name that is of no gene is left out."""

_EXPRESSED: Final = {"positive": 1, "high": 1, "bright": 1, "hi": 1, "+": 1}
_NOT: Final = {"negative": -1, "low": -1, "dim": -1, "lo": -1, "-": -1, "−": -1}
_SIGNS: Final = _EXPRESSED | _NOT

_SIGNED: Final = re.compile(
    r"(?<![\w-])(?P<name>[A-Z](?:\w|-(?=[A-Z]))*?)"
    r"(?P<sign>[-\s]?(?:positive|negative|low|high|dim|bright)\b|hi\b|lo\b|\+|[-−](?![A-Za-z0-9]))"
)
"""A name, hyphens before capitals included (HLA-DRA), and a sign behind it."""

_OF_A_GENE: Final = re.compile(r"(?![IVX]+$).+[A-Z0-9]")
"""Besides its first capital, names of genes and proteins have another, or a digit; "MHC class II-
negative" names none."""

_STATEMENT: Final = re.compile(
    r"\b(?P<not>negative for|lacks?|lacking|absence of|(?:does|do) not express|without)\b"
    r"|\b(?P<is>positive for|express(?:es|ing)?)\b"
)
_END: Final = re.compile(r"[.;:()]")
_NUMBERED: Final = re.compile(r"(?<![\w-])[A-Z]+\d\w*(?![\w+−-])")
"""A name with a number, and no sign behind it: of the words of a sentence only these are asked."""


def markers_in(text: str) -> dict[str, int]:
    """Find the names that a text says to be expressed or not.

    Parameters
    ----------
    text
        A name, a definition, or a sentence.

    Returns
    -------
    dict of str to int
        1 for a name that is said to be expressed, -1 for one that is not, or low; a name of which
        a text says both is left out. Whether it is a gene's is not asked.

    Examples
    --------
    >>> markers_in("CD14-low, CD16-positive monocyte")
    {'CD14': -1, 'CD16': 1}
    >>> markers_in("It expresses CD14 and is negative for the lineage markers CD3 and CD19.")
    {'CD14': 1, 'CD3': -1, 'CD19': -1}
    """
    signs = defaultdict[str, set[int]](set)
    for name, sign in _SIGNED.findall(text):
        if _OF_A_GENE.match(name):
            signs[name].add(_SIGNS[sign.strip().removeprefix("-") or "-"])
    for statement in _STATEMENT.finditer(text):
        following = _STATEMENT.search(text, statement.end())
        scope = text[statement.end() : following.start() if following else len(text)]
        scope = _END.split(scope, maxsplit=1)[0]
        for name in _NUMBERED.findall(scope):
            signs[name].add(1 if statement["is"] else -1)
    return {name: said.pop() for name, said in signs.items() if len(said) == 1}


def marker_matrix(texts: Sequence[Sequence[str]], axis: Sequence[str], ids_of: MarkerIds) -> Floats:
    """Which genes of an axis texts say to be expressed or not.

    Parameters
    ----------
    texts
        For each text its phrasings.
    axis
        Ensembl ids.
    ids_of
        Finds the genes of names. A name of several genes counts for each in equal parts.

    Returns
    -------
    NDArray of float64
        Axis × texts: from 1, said to be expressed, to -1, said not to be; 0 of others. Phrasings
        that name a gene are averaged.
    """
    said = [_said_by(phrasings) for phrasings in texts]
    ids = ids_of({name for of_text in said for name in of_text})
    place = {id_: row for row, id_ in enumerate(axis)}
    matrix = np.zeros((len(axis), len(texts)))
    for column, of_text in enumerate(said):
        for name, sign in of_text.items():
            rows = [place[id_] for id_ in ids.get(name, ()) if id_ in place]
            matrix[rows, column] += sign / max(len(rows), 1)
    return np.clip(matrix, -1, 1)


def _said_by(phrasings: Sequence[str]) -> dict[str, float]:
    """Mean sign of each name over the phrasings that have it."""
    signs = defaultdict[str, list[int]](list)
    for phrasing in phrasings:
        for name, sign in markers_in(phrasing).items():
            signs[name].append(sign)
    return {name: float(np.mean(each)) for name, each in signs.items()}


def ids_of_names(index: pl.DataFrame) -> MarkerIds:
    """Look names up in the name index of a reference.

    Parameters
    ----------
    index
        Rows of table `gene_names`: columns ``name``, ``ensembl_gene_id`` and ``candidates``.

    Returns
    -------
    callable
        Genes of symbols, earlier symbols and aliases; all candidates of an ambiguous name.
    """

    def look_up(names: Collection[str]) -> dict[str, list[str]]:
        rows = index.filter(pl.col("name").is_in(list(names)))
        columns = rows.select("name", "ensembl_gene_id", "candidates")
        found = {name: [id_] if id_ else list(others) for name, id_, others in columns.iter_rows()}
        return {name: ids for name, ids in found.items() if ids}

    return look_up
