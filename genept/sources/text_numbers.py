"""Rows of numbers out of delimited text, in bounded memory, each value with its place.

Strict: a short row, a number in quotes, a decimal comma that was not declared is
refused, never mended. Lines and names are read in `text_lines`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv as arrow_csv

from genept.sources.errors import SourceError
from genept.sources.text_lines import Lines, decoded

MISSING: Final = ("", "NA", "N/A", "NaN", "nan", "na", "null", "NULL", "None")
"""How publishers write that a value is missing."""
_CHUNK: Final = 1 << 23
_NUMBER: Final = r"[+-]?[0-9]+"


@dataclass(frozen=True)
class Layout:
    """How the fields of every row are laid out.

    Parameters
    ----------
    columns
        Names of all fields of a row.
    texts
        Positions of those that are text, the row's name first; the others are numbers.
    """

    columns: tuple[str, ...]
    texts: tuple[int, ...]
    delimiter: bytes
    decimal: str = "."

    @property
    def numbers(self) -> tuple[str, ...]:
        """Names of the fields that are numbers."""
        texts = set(self.texts)
        return tuple(name for at, name in enumerate(self.columns) if at not in texts)


@dataclass(frozen=True)
class Chunk:
    """Some rows: their text fields, and their numbers with NaN for what is missing."""

    texts: list[tuple[str, ...]]
    values: NDArray[np.float64]


def numeric_rows(lines: Iterator[bytes], where: Lines, layout: Layout) -> Iterator[Chunk]:
    """Rows of numbers, some megabytes of text at a time.

    Parameters
    ----------
    lines
        The rows; `where` itself, or what ends before it does.
    where
        Says what is read and which line it was.

    Raises
    ------
    SourceError
        A row is too short or too long, or something is no number or infinite; says where.
    """
    texts: list[tuple[str, ...]] = []
    numbers: list[bytes] = []
    size, n = 0, len(layout.numbers)
    # Where every value is on one line of its own, Arrow parses them in one go.
    for line in lines:
        if not line and n:
            raise SourceError(f"{where.what}: line {where.number} is empty; expected a row")
        text, rest = _parted(line, where, layout)
        found = rest.count(layout.delimiter) + 1 if rest or n == 1 else 0
        if found != n:
            raise SourceError(
                f"{where.what}: line {where.number} ({text[0][:40]!r}) has "
                f"{found + len(text)} fields, expected {len(layout.columns)} as in the header: "
                "a ragged row, a wrong delimiter or a file that was cut short"
            )
        texts.append(text)
        numbers.append(rest)
        size += len(line)
        if size >= _CHUNK:
            yield Chunk(texts, _parsed(texts, numbers, where, layout))
            texts, numbers, size = [], [], 0
    if texts:
        yield Chunk(texts, _parsed(texts, numbers, where, layout))


def _parted(line: bytes, where: Lines, layout: Layout) -> tuple[tuple[str, ...], bytes]:
    """Text fields and, still joined, the numbers of a line."""
    k, delimiter = len(layout.texts), layout.delimiter
    if layout.texts == tuple(range(k)) and len(layout.columns) > k:
        head = re.match(_tokens_of(delimiter, k), line)
        if head is not None and b'"' not in line[head.end() :]:
            fields = line[: head.end() - 1].split(delimiter)
            if b'"' in line[: head.end()]:
                fields = list(head.groups())
            return tuple(_text(field, where) for field in fields), line[head.end() :]
    fields = _tokens(line, delimiter, where)
    if len(fields) != len(layout.columns):
        raise SourceError(
            f"{where.what}: line {where.number} ({_text(fields[0], where)[:40]!r}) has "
            f"{len(fields)} fields, expected {len(layout.columns)} as in the header: a ragged row, "
            "a wrong delimiter or a file that was cut short"
        )
    chosen = set(layout.texts)
    numbers = [field for at, field in enumerate(fields) if at not in chosen]
    for name, number in zip(layout.numbers, numbers, strict=True):
        if number.startswith(b'"'):
            raise SourceError(
                f"{where.what}: line {where.number} ({_text(fields[0], where)[:40]!r}), column "
                f"{name!r}: the number {_text(number, where)!r} is quoted text: export it as a "
                "plain number"
            )
    return tuple(_text(fields[at], where) for at in layout.texts), delimiter.join(numbers)


@cache
def _tokens_of(delimiter: bytes, k: int) -> re.Pattern[bytes]:
    """The first `k` fields of a line, quoted or not, each with its delimiter."""
    one = rb'("(?:[^"]|"")*"|[^D"][^D]*|)D'.replace(b"D", re.escape(delimiter))
    return re.compile(one * k)


def _tokens(line: bytes, delimiter: bytes, where: Lines) -> list[bytes]:
    """All fields of a line, with the quotes around them."""
    if b'"' not in line:
        return line.split(delimiter)
    one = rb'(?:^|D)("(?:[^"]|"")*"|[^D]*)'.replace(b"D", re.escape(delimiter))
    fields = re.findall(one, line)
    if sum(map(len, fields)) + len(fields) - 1 != len(line):
        raise SourceError(f"{where.what}: line {where.number} has a broken quotation")
    return fields


def _text(field: bytes, where: Lines) -> str:
    text = decoded(field, where.what, where.number)
    if len(text) > 1 and text.startswith('"') and text.endswith('"'):
        return text[1:-1].replace('""', '"')
    return text


def _parsed(
    texts: list[tuple[str, ...]], numbers: list[bytes], where: Lines, layout: Layout
) -> NDArray[np.float64]:
    n = len(layout.numbers)
    if not n:
        return np.empty((len(texts), 0))
    joined = b"\n".join(numbers).replace(layout.delimiter, b"\n") + b"\n"
    if layout.decimal != ".":
        joined = joined.replace(layout.decimal.encode(), b".")
    try:
        column = arrow_csv.read_csv(
            pa.py_buffer(joined),
            read_options=arrow_csv.ReadOptions(
                column_names=["value"], block_size=len(joined) + 1, use_threads=False
            ),
            # A separator that cannot occur: every line is one value.
            parse_options=arrow_csv.ParseOptions(
                delimiter="\x1f", quote_char=False, ignore_empty_lines=False
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types={"value": pa.float64()}, null_values=list(MISSING)
            ),
        )["value"]
    except pa.ArrowInvalid as error:
        raise _not_a_number(texts, numbers, where, layout, str(error)) from error
    values = column.to_numpy().reshape(len(texts), n)
    if np.isinf(values).any():
        raise _not_a_number(texts, numbers, where, layout, "an infinite value")
    return np.asarray(values)


def _not_a_number(
    texts: Sequence[tuple[str, ...]],
    numbers: list[bytes],
    where: Lines,
    layout: Layout,
    otherwise: str,
) -> SourceError:
    """Find the first value that is no finite number, and say what it looks like."""
    first = where.number - len(texts) + 1
    for at, (text, row) in enumerate(zip(texts, numbers, strict=True)):
        for name, field in zip(layout.numbers, row.split(layout.delimiter), strict=True):
            value = decoded(field, where.what, first + at).strip()
            remedy = _remedy(value, layout.decimal)
            if remedy is not None:
                return SourceError(
                    f"{where.what}: row {text[0][:40]!r} (near line {first + at}), column "
                    f"{name!r}: {value[:40]!r} {remedy}"
                )
    return SourceError(f"{where.what}: near line {first}: {otherwise}")


def _remedy(value: str, decimal: str) -> str | None:
    if value in MISSING:
        return None
    try:
        number = float(value.replace(decimal, "."))
    except ValueError:
        if re.fullmatch(rf"{_NUMBER}(,[0-9]{{3}})+(\.[0-9]+)?", value):
            return (
                "is a number with thousands separators (or a decimal comma): export plain "
                "numbers, or set options.decimal = ',' if it is a decimal comma"
            )
        if re.fullmatch(rf"{_NUMBER},[0-9]+([eE]{_NUMBER})?", value):
            return "has a decimal comma: set options.decimal = ','"
        return (
            "is not a number: if this column is a label or an id, name it in options.labels, "
            "options.group, options.observations, options.genes or options.ignore"
        )
    return None if np.isfinite(number) else "is infinite: expression must be finite"
