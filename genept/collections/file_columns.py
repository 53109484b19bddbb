"""Columns of a local file as a look at it sees them: names, kinds, first values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from genept.common.errors import SourceError, listed
from genept.datasources.readers.orientation import Axis
from genept.datasources.readers.parquet_schema import index_of, is_numeric, read_schema
from genept.datasources.readers.text.numbers import MISSING, NUMBER

SAMPLED_ROWS: Final = 1000

_GENE_WORDS: Final = ("gene", "symbol", "ensembl", "entrez", "feature", "hugo")

_OBSERVATION_WORDS: Final = (
    *("sample", "cell", "barcode", "patient", "donor", "subject", "observation", "well"),
    *("obs", "index_cell", "cellline"),
)


@dataclass(frozen=True)
class TextColumn:
    """A column that is not all numbers in the rows that were looked at.

    Parameters
    ----------
    row, line, value
        The first value that is neither a number nor missing, and where it stands.
    n_texts, n_numbers
        How many values are such texts, and how many are numbers.
    """

    row: str
    line: int
    value: str
    n_texts: int
    n_numbers: int

    @property
    def is_mostly_text(self) -> bool:
        """Whether it is no column of numbers with a mistake in it."""
        return self.n_texts > self.n_numbers


@dataclass(frozen=True)
class TextTable:
    """The head of a delimited table: its columns, and which of them are text.

    Parameters
    ----------
    rows
        First fields of the rows that were looked at.
    texts
        Columns, after the first, of which some value is neither a number nor missing.
    first_is_numbers
        Whether the first column has numbers only, so that it may be no ids.
    decimal
        A comma, where the numbers have one.
    """

    columns: tuple[str, ...]
    rows: tuple[str, ...]
    texts: dict[str, TextColumn]
    first_is_numbers: bool = False
    decimal: str = "."

    @property
    def axis_hint(self) -> Axis | None:
        """The axis that names genes, as the name of the first column has it."""
        name = _plain(self.columns[0])
        if any(word in name for word in _GENE_WORDS):
            return "rows"
        return "columns" if any(name.startswith(word) for word in _OBSERVATION_WORDS) else None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def look_at_parquet(path: Path, id_field: str | None = None) -> TextTable:
    """Read the columns of a parquet file; the index of pandas, or its first, names the rows.

    Parameters
    ----------
    id_field
        The column that names the rows, where it is said.
    """
    schema = read_schema(path)
    index = id_field or index_of(schema)
    others = [field for field in schema if field.name != index]
    texts = {}
    if index not in schema.names:
        raise SourceError(f"{path.name}: has no column {index!r}; found {listed(schema.names)}")
    names = pl.scan_parquet(path).select(index).head(SAMPLED_ROWS).collect().to_series()
    rows = names.cast(pl.String).fill_null("").to_list()
    for field in others:
        if not is_numeric(field.type):
            texts[field.name] = _text_column(path, field.name, rows)
    columns = (index, *(field.name for field in others))
    return TextTable(columns, tuple(rows), texts, is_numeric(schema.field(index).type))


def _text_column(path: Path, name: str, rows: Sequence[str]) -> TextColumn:
    values = pl.scan_parquet(path).select(name).head(SAMPLED_ROWS).collect().to_series()
    if values.dtype.is_nested():
        return TextColumn(rows[0] if rows else "", 1, f"a value of {values.dtype}", len(values), 0)
    texts = values.cast(pl.String, strict=False).fill_null("")
    numbers = texts.str.contains(f"^(?:{NUMBER})$")
    odd = ~numbers & ~texts.is_in(list(MISSING))
    row = int(odd.arg_max() or 0)
    value = texts[row] if len(texts) else ""
    return TextColumn(rows[row] if rows else "", row + 1, value, int(odd.sum()), int(numbers.sum()))
