"""One column of a CSV or TSV at a time, packed or not, without holding the table in memory."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO, cast

from genept.escaping import restored
from genept.sources.errors import SourceError


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
