"""Delimited text from archives: strict tables and labelled matrices.

Anything that pandas would quietly mend (a repeated column, a short row, a
number as text) is refused with its place. What the columns mean is the
parser's business.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.sources.errors import SourceError, listed
from genept.sources.parsed import refuse_repeats


@dataclass(frozen=True)
class LabelledMatrix:
    """Numbers with unique names on both axes; `values` is (rows, columns), float32."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: NDArray[np.float32]


def read_matrix(stream: BinaryIO, *, separator: str, what: str) -> LabelledMatrix:
    """Read a matrix whose first column names the rows and whose header names the columns.

    Raises
    ------
    SourceError
        Names repeat, rows are ragged, a value is empty or not a number, or it is not UTF-8 text.
    """
    frame = _read(stream, separator, what, pl.Float32)
    named, numbers = frame.columns[0], frame.columns[1:]
    gaps = {name: frame[name].null_count() for name in frame.columns if frame[name].null_count()}
    if gaps:
        name, count = next(iter(gaps.items()))
        raise SourceError(f"{what}: {count} empty values in column {name!r}; expected none")
    rows = frame[named].to_list()
    refuse_repeats(rows, f"{what}: row names")
    return LabelledMatrix(tuple(rows), tuple(numbers), frame.select(numbers).to_numpy())


def read_table(stream: BinaryIO, *, columns: tuple[str, ...], what: str) -> pl.DataFrame:
    """Read the named columns of a comma-separated table, as text; empty fields are null.

    The first of `columns` says what a row is about and is never empty.

    Raises
    ------
    SourceError
        A column is missing, names repeat, a row is about nothing or too long, or
        it is not UTF-8 text.
    """
    frame = _read(stream, ",", what, pl.String)
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise SourceError(f"{what}: has no column {missing[0]!r}; found {listed(frame.columns)}")
    nameless = frame[columns[0]].is_null().arg_true()
    if len(nameless):
        raise SourceError(f"{what}: row {nameless[0] + 2} has no {columns[0] or 'name'!r}")
    return frame.select(columns)


def _read(stream: BinaryIO, separator: str, what: str, others: type[pl.DataType]) -> pl.DataFrame:
    data = stream.read()
    head, _, body = data.removeprefix(b"\xef\xbb\xbf").partition(b"\n")
    if not body or head.lstrip()[:1] in (b"<", b"\x1f") or b"\0" in head:
        raise SourceError(f"{what}: expected delimited text, but it begins with {data[:24]!r}")
    try:
        header = next(csv.reader([head.decode("utf-8").rstrip("\r")], delimiter=separator))
        refuse_repeats(header, f"{what}: columns")
        # The header is read here: polars would rename a repeated column without a word.
        return pl.read_csv(
            body,
            has_header=False,
            separator=separator,
            schema={
                name: others if position else pl.String for position, name in enumerate(header)
            },
        )
    except (UnicodeDecodeError, csv.Error, pl.exceptions.PolarsError) as error:
        reason = str(error).strip().splitlines()[0]
        raise SourceError(f"{what}: is not a regular table: {reason}") from error
