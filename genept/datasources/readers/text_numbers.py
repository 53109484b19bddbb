"""Rows of numbers out of delimited text, in bounded memory, each value with its place.

Strict: a short row, a number in quotes, a decimal comma that was not declared is
refused, never repaired; or, where the collection says so, the value is handed over as no number.
Lines and names are read in `text_lines`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv as arrow_csv

from genept.common import SourceError, option
from genept.datasources.readers.text_lines import Lines, decoded

MISSING: Final = ("", "NA", "N/A", "NaN", "nan", "na", "null", "NULL", "None")
"""How publishers write that a value is missing."""
NUMBER: Final = r"[ \t]*[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[ \t]*"
"""What is read as a number; what Python's `float` accepts beyond it (``1_000``) is none."""
CHUNK: Final = 1 << 23
_SHORT: Final = 20
"""Digits that make no infinite number."""
_WHOLE: Final = r"[+-]?[0-9]+"


@dataclass(frozen=True)
class Layout:
    """How the fields of every row are laid out.

    Parameters
    ----------
    columns
        Names of all fields of a row.
    texts
        Positions of those that are text, the row's name first; the others are numbers.
    delimiter, decimal
        What separates fields; the decimal separator of numbers.
    keeps_odd
        What is no number does not refuse the file: it is handed over in `Chunk.odd`.
    """

    columns: tuple[str, ...]
    texts: tuple[int, ...]
    delimiter: bytes
    decimal: str = "."
    keeps_odd: bool = False

    @property
    def numbers(self) -> tuple[str, ...]:
        """Names of the fields that are numbers."""
        texts = set(self.texts)
        return tuple(name for at, name in enumerate(self.columns) if at not in texts)


@dataclass(frozen=True)
class Odd:
    """A value that is no number: where in its chunk, and what is wrong with it."""

    row: int
    column: int
    detail: str


@dataclass(frozen=True)
class Chunk:
    """Some rows: text fields of each, and rows × number columns with NaN for what is missing.

    `first_line` is the number of the line of the first row; 0 stands in the places of `odd`.
    """

    texts: list[tuple[str, ...]]
    values: NDArray[np.float64]
    first_line: int
    odd: tuple[Odd, ...] = ()


def numeric_rows(lines: Iterator[bytes], where: Lines, layout: Layout) -> Iterator[Chunk]:
    """Rows of numbers, some megabytes of text at a time; `where` says which line it was.

    Refused is a row that is too short or too long, and what is infinite or no number.
    """
    texts: list[tuple[str, ...]] = []
    numbers: list[bytes] = []
    size, n = 0, len(layout.numbers)
    # Where every value is on one line of its own, Arrow parses them in one go.
    for line in lines:
        if not line and n:
            raise SourceError(f"{where.what}: line {where.number} is empty; expected a row")
        text, rest = _parted(line, where, layout)
        n_numbers = rest.count(layout.delimiter) + 1 if rest or n == 1 else 0
        if n_numbers != n:
            raise _ragged(text[0], n_numbers + len(text), where, layout)
        texts.append(text)
        numbers.append(rest)
        size += len(line)
        if size >= CHUNK:
            yield _parsed(texts, numbers, where, layout)
            texts, numbers, size = [], [], 0
    if texts:
        yield _parsed(texts, numbers, where, layout)


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
        raise _ragged(_text(fields[0], where), len(fields), where, layout)
    chosen = set(layout.texts)
    numbers = [field for at, field in enumerate(fields) if at not in chosen]
    if layout.keeps_odd:  # quoted values may contain the delimiter; they are no numbers
        numbers = [it.replace(delimiter, b" ") if it.startswith(b'"') else it for it in numbers]
    for name, number in zip(layout.numbers, numbers, strict=True):
        if number.startswith(b'"') and not layout.keeps_odd:
            raise SourceError(
                f"{where.what}: line {where.number} ({_text(fields[0], where)[:40]!r}), column "
                f"{name!r}: the number {_text(number, where)!r} is quoted text, as it is written "
                "where some value of its row or column is no number: export plain numbers; or "
                f"{option('non_numeric', 'quarantine')} keeps such genes out and counts them"
            )
    return tuple(_text(fields[at], where) for at in layout.texts), delimiter.join(numbers)


def _ragged(name: str, n_fields: int, where: Lines, layout: Layout) -> SourceError:
    return SourceError(
        f"{where.what}: line {where.number} ({name[:40]!r}) has {n_fields} fields, expected "
        f"{len(layout.columns)} as in the header: a ragged row, a wrong delimiter or a file that "
        "was cut short"
    )


@cache
def _tokens_of(delimiter: bytes, k: int) -> re.Pattern[bytes]:
    """The first `k` fields of a line, quoted or not, each with its delimiter."""
    field = rb'("(?:[^"]|"")*"|[^D"][^D]*|)D'.replace(b"D", re.escape(delimiter))
    return re.compile(field * k)


def _tokens(line: bytes, delimiter: bytes, where: Lines) -> list[bytes]:
    """All fields of a line, with the quotes around them."""
    if b'"' not in line:
        return line.split(delimiter)
    field = rb'(?:^|D)("(?:[^"]|"")*"|[^D]*)'.replace(b"D", re.escape(delimiter))
    fields = re.findall(field, line)
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
) -> Chunk:
    n, first = len(layout.numbers), where.number - len(texts) + 1
    if not n:
        return Chunk(texts, np.empty((len(texts), 0)), first)
    odd: tuple[Odd, ...] = ()
    values = _numbers(b"\n".join(numbers).replace(layout.delimiter, b"\n") + b"\n", layout)
    if values is None or len(values) != len(texts) * n or np.isinf(values).any():
        fields = [[it.strip(b" \t") for it in row.split(layout.delimiter)] for row in numbers]
        odd = tuple(_odd_values(texts, fields, where, layout))
        for it in odd:
            fields[it.row][it.column] = b"0"
        values = _numbers(b"\n".join(map(b"\n".join, fields)) + b"\n", layout)
        if values is None or len(values) != len(texts) * n:
            raise SourceError(
                f"{where.what}: lines {first} to {where.number} hold a value that is no number"
            )
    return Chunk(texts, values.reshape(len(texts), n), first, odd)


def _numbers(joined: bytes, layout: Layout) -> NDArray[np.float64] | None:
    """Values of which each is on a line of its own; none: some are no numbers."""
    if layout.decimal != ".":
        if b"." in joined:  # a separator of thousands, or an error
            return None
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
    except pa.ArrowInvalid:
        return None
    # By way of polars: pyarrow's own conversion imports pandas.
    return pl.Series(pl.from_arrow(column)).to_numpy()


def _odd_values(
    texts: Sequence[tuple[str, ...]], fields: list[list[bytes]], where: Lines, layout: Layout
) -> Iterator[Odd]:
    """The values that are no finite numbers; the first is refused unless the layout keeps them."""
    first = where.number - len(texts) + 1
    plain = re.compile(rb"[0-9]+(?:%b[0-9]+)?" % re.escape(layout.decimal.encode()))
    for row, (text, values) in enumerate(zip(texts, fields, strict=True)):
        for column, field in enumerate(values):
            if len(field) < _SHORT and plain.fullmatch(field):
                continue
            value = field.decode("utf-8", "replace")
            remedy = not_a_number(value, layout.decimal)
            if remedy is None:
                continue
            place = f"row {text[0][:40]!r} (line {first + row}), column {layout.numbers[column]!r}"
            if not layout.keeps_odd:
                raise SourceError(f"{where.what}: {place}: {value[:40]!r} {remedy}")
            yield Odd(row, column, f"{place}: {value[:40]!r} is no number")


def not_a_number(value: str, decimal: str = ".") -> str | None:
    """Return what is wrong with a value and what to do; none: it is a number, or missing."""
    if value in MISSING:
        return None
    if re.fullmatch(NUMBER.replace(r"\.", re.escape(decimal)), value):
        finite = np.isfinite(float(value.replace(decimal, ".")))
        return None if finite else "is infinite: expression must be finite"
    if re.fullmatch(r"[+-]?inf(inity)?", value.strip(), re.IGNORECASE):
        return "is infinite: expression must be finite"
    if re.fullmatch(rf"{_WHOLE}(,[0-9]{{3}})+(\.[0-9]+)?", value):
        return (
            "is a number with thousands separators (or a decimal comma): export plain numbers, "
            f"or set {option('decimal', ',')} if it is a decimal comma"
        )
    if re.fullmatch(rf"{_WHOLE},[0-9]+([eE]{_WHOLE})?", value):
        return f"has a decimal comma: set {option('decimal', ',')}"
    return (
        f"is not a number: correct it, or set {option('non_numeric', 'quarantine')} to keep such "
        "genes out and count them; if this column is a label or an id, state it as label or "
        f"group, as {option('observations', 'id')}, or {option('ignore', ['id'])}"
    )
