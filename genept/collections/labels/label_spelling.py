"""Forms of a label in which authors' habits of writing do not count.

Case, underscores, punctuation, plural, Greek letters and British spelling do not; signs of markers
(``CD16+``, ``CD16-``) do. What a form means is `genept.collections.labels.label_mapping`.
"""

import re
import unicodedata
from functools import cache
from typing import Final

_GREEK: Final = str.maketrans(
    {"α": " alpha ", "β": " beta ", "γ": " gamma ", "δ": " delta ", "ε": " epsilon ", "φ": " phi "}
)
_MARKERS: Final = (
    (re.compile(r"(?<=[a-z0-9])\+"), " positive "),
    (re.compile(r"(?<![a-z0-9])(cd\d+[a-z]?)-(?![a-z0-9])"), r"\1 negative "),
    (re.compile(r"(?<![a-z0-9])(cd\d+[a-z]?)(?:neg|−)(?![a-z])"), r"\1 negative "),
    (re.compile(r"(?<![a-z0-9])(cd\d+[a-z]?)pos(?![a-z])"), r"\1 positive "),
    (re.compile(r"(?<![a-z0-9])(cd\d+[a-z]?)(dim|bright|low|lo|high|hi)(?![a-z])"), r"\1 \2 "),
)
_POSSESSIVE: Final = re.compile(r"['’]s?(?![a-z0-9])|(?<=[a-z])['’](?=s )")
_BRITISH: Final = (
    (re.compile(r"aemia$"), "emia"),
    (re.compile(r"^haem"), "hem"),
    (re.compile(r"^oesoph"), "esoph"),
    (re.compile(r"oedema$"), "edema"),
    (re.compile(r"tumour"), "tumor"),
    (re.compile(r"^gynaec"), "gynec"),
)
_SINGULAR: Final = re.compile(r"(?<![sui])s$")
_WORDS: Final = re.compile(r"[^\W_]+")
_LONG_ENOUGH: Final = 3
_UNDONE: Final = {"monos": "mono", "nks": "nk", "dcs": "dc", "macs": "mac", "ecs": "ec"}

Form = tuple[str, ...]
"""Words of a label."""


def as_published(label: str) -> str:
    """Write a label in lower case, with single spaces for underscores.

    Parameters
    ----------
    label
        Such as ``Bone_Marrow``.

    Returns
    -------
    str
        Such as ``bone marrow``.
    """
    text = label if label.isascii() else unicodedata.normalize("NFKC", label)
    return " ".join(text.replace("_", " ").casefold().split())


def words_form(label: str) -> Form:
    """Words of a label in the singular, without punctuation; signs of markers are words.

    Parameters
    ----------
    label
        Such as ``T_cells_CD4+``.

    Returns
    -------
    tuple of str
        Such as ``("t", "cell", "cd4", "positive")``.
    """
    text = as_published(label).translate(_GREEK)
    if "+" in text or "cd" in text:
        for pattern, words in _MARKERS:
            text = pattern.sub(words, text)
    if "'" in text or "’" in text:
        text = _POSSESSIVE.sub("", text)
    return tuple(map(_word, _WORDS.findall(text)))


def letters_and_digits(label: str) -> str:
    """The letters and digits of a label, in lower case: how names of cell lines are compared.

    Parameters
    ----------
    label
        Such as ``MDA-MB-231``.

    Returns
    -------
    str
        Such as ``mdamb231``.
    """
    return "".join(_WORDS.findall(as_published(label)))


@cache
def _word(word: str) -> str:
    for pattern, american in _BRITISH:
        word = pattern.sub(american, word)
    if word in _UNDONE:
        return _UNDONE[word]
    if len(word) <= _LONG_ENOUGH:
        return word
    return f"{word[:-3]}y" if word.endswith("ies") else _SINGULAR.sub("", word)
