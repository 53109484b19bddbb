"""Attributes of a sample that a publisher keeps in one text, taken apart.

GEO's and ARCHS4's ``tissue: liver,disease: none``, and SRA's and recount3's
``tissue;;liver|disease;;none``. What the attributes mean is the business of
`genept.collections.labels`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import polars as pl

_KEY: Final = re.compile(r"(?:^|[,;\t])\s*([^:,;\t]{1,80}?)\s*:")
_MOST_KEYS: Final = 200
"""Keys of a collection that become fields: the most frequent ones."""


def parse_attributes(text: str) -> dict[str, str]:
    """Take the attributes of one sample apart.

    Parameters
    ----------
    text
        ``key: value,key: value``, with commas, semicolons or tabs between them, where a value may
        have commas, too; or ``key;;value|key;;value``.

    Returns
    -------
    dict of str to str
        Value by key in lower case; of a key that occurs twice, the first. Empty values are left
        out, and so is text without any key.
    """
    found: dict[str, str] = {}
    if ";;" in text:
        pairs = [part.partition(";;")[::2] for part in text.split("|")]
    else:
        keys = list(_KEY.finditer(text))
        ends = [*(key.start() for key in keys[1:]), *([len(text)] if keys else [])]
        pairs = [(key[1], text[key.end() : end]) for key, end in zip(keys, ends, strict=True)]
    for key, value in pairs:
        if (name := key.strip().lower()) and (stripped := value.strip(" \t,;")):
            found.setdefault(name, stripped)
    return found


def attribute(text: str | None, keys: str) -> str | None:
    """Look up the first of several keys that a sample has.

    Parameters
    ----------
    text
        Attributes of the sample; see `parse_attributes`.
    keys
        Such as ``tissue|organ``, in any case.

    Returns
    -------
    str or None
        The value; None if the sample has none of the keys.
    """
    found = parse_attributes(text or "")
    wanted = (name.strip().lower() for name in keys.split("|"))
    return next((found[key] for key in wanted if key in found), None)


def attribute_fields(
    texts: Sequence[str | None], taken: Iterable[str]
) -> dict[str, list[str | None]]:
    """Make a field of each key that samples have.

    Parameters
    ----------
    texts
        Attributes of each sample.
    taken
        Names of fields that there are already: their keys are left out.

    Returns
    -------
    dict of str to list
        By key, a value or none for each sample; the most frequent keys first, 200 at most.
    """
    parsed = [parse_attributes(text or "") for text in texts]
    known = {name.lower() for name in taken}
    counted = Counter(key for attributes in parsed for key in attributes if key not in known)
    keys = sorted(counted, key=lambda key: (-counted[key], key))[:_MOST_KEYS]
    return {key: [attributes.get(key) for attributes in parsed] for key in keys}


def with_attributes(fields: pl.DataFrame, wanted: Iterable[str]) -> pl.DataFrame:
    """Add the attributes that fields of the form ``key;;value|key;;value`` hold.

    Parameters
    ----------
    fields
        A row for each observation.
    wanted
        Names that must be there if they can: ``sample_attributes/tissue|organ`` is the first of
        these keys in field ``sample_attributes``, of either form.

    Returns
    -------
    pl.DataFrame
        The same, and a field for each key and for each wanted name.
    """
    for name in wanted:
        field, slash, keys = name.partition("/")
        if slash and name not in fields.columns and field in fields.columns:
            values = [attribute(text, keys) for text in fields[field].cast(pl.String)]
            fields = fields.with_columns(pl.Series(name, values, dtype=pl.String))
    for name in fields.columns:
        texts = fields[name]
        if texts.dtype == pl.String and texts.str.contains(";;", literal=True).any():
            new = attribute_fields(texts.to_list(), fields.columns)
            fields = fields.with_columns(pl.Series(key, new[key], dtype=pl.String) for key in new)
    return fields


def field_of(name: str) -> str:
    """The field that holds an attribute such as ``sample_attributes/tissue``."""
    return name.partition("/")[0]
