"""Delimited text: strict tables, labelled matrices, and single columns of large tables."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.common.display import restored
from genept.common.errors import SourceError, listed
from genept.datasources.readers.parsed import refuse_repeats


class TextTable:
    """A delimited text file with a header.

    Raises
    ------
    SourceError
        It is empty, begins like HTML, is not UTF-8, is damaged, or a row has another width than
        the header; names the line.
    """

    def __init__(self, path: Path, separator: str) -> None:
        self.path, self._separator = path, separator
        with self._rows() as (rows, _):
            self.header = next(rows, [])
        if not self.header:
            raise SourceError(f"{path.name}: is empty")
        if self.header[0].lstrip().startswith("<"):
            raise SourceError(
                f"{path.name}: expected a table, but it begins with a tag, as HTML does"
            )

    def is_wider_than_long(self) -> bool:
        """Whether there are fewer rows than columns; reads no more rows than that."""
        with self._rows() as (rows, _):
            return sum(1 for _ in zip(rows, self.header, strict=False)) - 1 < len(self.header) - 1

    def column(self, position: int, size: int) -> Iterator[tuple[list[str], int]]:
        """Values of a column, `size` at a time, and how many bytes of the file that took.

        The apostrophe that our own CSV files have before a formula is taken away.
        """
        with self._rows() as (rows, file):
            next(rows)
            values: list[str] = []
            before = 0
            for row in rows:
                values.append(restored(row[position]))
                if len(values) == size:
                    yield values, file.tell() - before
                    values, before = [], file.tell()
            yield values, self.path.stat().st_size - before

    @contextmanager
    def _rows(self) -> Iterator[tuple[Iterator[list[str]], BinaryIO]]:
        """The rows, header first, and the file as it is being read."""
        try:
            with self.path.open("rb") as file:
                packed = self.path.suffix == ".gz"
                data = cast(BinaryIO, gzip.GzipFile(fileobj=file) if packed else file)
                with TextIOWrapper(data, "utf-8-sig", newline="") as text:
                    yield self._checked(csv.reader(text, delimiter=self._separator)), file
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"{self.path.name}: cannot be read: {error}") from error

    def _checked(self, rows: Iterator[list[str]]) -> Iterator[list[str]]:
        width, line = None, 0
        try:
            for line, row in enumerate(rows, start=1):
                if not row and width != 1:
                    continue  # a blank line; in a list of names it is an empty name
                fields = row or [""]
                width = width or len(fields)
                if len(fields) != width:
                    where = f"{self.path.name}: line {line}"
                    raise SourceError(f"{where} has {len(fields)} fields, the header {width}")
                yield fields
        except UnicodeDecodeError as error:
            raise SourceError(
                f"{self.path.name}: is not UTF-8 after line {line}: {error}; save it as UTF-8"
            ) from error
        except csv.Error as error:
            raise SourceError(f"{self.path.name}: after line {line}: {error}") from error


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
