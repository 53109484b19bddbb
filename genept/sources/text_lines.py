"""Lines of delimited text, one at a time: their number, encoding, delimiter and names.

The numbers on them are read in `text_numbers`; what the columns mean is the
parser's business.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from typing import BinaryIO, Final

from genept.sources.errors import SourceError

MAX_LINE: Final = 1 << 28
_PIECE: Final = 1 << 20
_BOM: Final = b"\xef\xbb\xbf"
_DELIMITERS: Final = (b"\t", b",", b";", b"|")


class Lines:
    """The lines of a stream, as UTF-8 without their ends; knows the number of the last one."""

    def __init__(self, stream: BinaryIO, what: str, encoding: str = "utf-8") -> None:
        self.what, self.number, self.had_bom = what, 0, False
        self._lines = (
            _raw(stream, what) if encoding == "utf-8" else _recoded(stream, encoding, what)
        )
        self._next: bytes | None = None
        if (first := self.peek()) is not None and first.startswith(_BOM):
            self._next, self.had_bom = first.removeprefix(_BOM), True

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        line = self.peek()
        if line is None:
            raise StopIteration
        self._next = None
        self.number += 1
        return line

    def peek(self) -> bytes | None:
        """Return the next line without taking it; none at the end."""
        if self._next is None:
            try:
                self._next = next(self._lines, None)
            except UnicodeError as error:
                raise SourceError(
                    f"{self.what}: line {self.number + 1} is not in the declared encoding: {error}"
                ) from error
        return self._next

    def header(self, purpose: str) -> bytes:
        """Take the next line, which must be there; a file that ends here was cut short."""
        if self.peek() is None:
            raise SourceError(f"{self.what}: ends before {purpose}: was it cut short?")
        return next(self)


def _raw(stream: BinaryIO, what: str) -> Iterator[bytes]:
    while line := stream.readline(MAX_LINE):
        if len(line) == MAX_LINE:
            raise SourceError(f"{what}: has a line of more than {MAX_LINE:,} bytes: not a table")
        yield line.rstrip(b"\r\n")


def _recoded(stream: BinaryIO, encoding: str, what: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    rest = ""
    while data := stream.read(_PIECE):
        *whole, rest = (rest + decoder.decode(data)).split("\n")
        if len(rest) > MAX_LINE:
            raise SourceError(f"{what}: has a line of more than {MAX_LINE:,} bytes: not a table")
        for line in whole:
            yield line.rstrip("\r").encode()
    rest += decoder.decode(b"", final=True)
    if rest:
        yield rest.encode()


def decoded(field: bytes, what: str, line: int) -> str:
    """Return text of UTF-8.

    Raises
    ------
    SourceError
        It is not UTF-8; says which option declares another encoding.
    """
    try:
        return field.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{what}: line {line} is not UTF-8 ({field[max(error.start - 10, 0) :][:24]!r}): "
            "convert it, or declare its encoding, such as options.encoding = 'latin-1'"
        ) from error


def fields_of(line: bytes, delimiter: bytes, what: str, number: int) -> list[str]:
    """Split a line of names, some of which may be quoted."""
    text = decoded(line, what, number)
    if '"' not in text:
        return text.split(delimiter.decode())
    try:
        return next(csv.reader([text], delimiter=delimiter.decode(), strict=True), [])
    except csv.Error as error:
        raise SourceError(f"{what}: line {number} has a broken quotation: {error}") from error


def delimiter_of(lines: Lines, declared: str | None, header: bytes) -> bytes:
    """Return what separates fields: as declared, or what header and next line agree on.

    Raises
    ------
    SourceError
        There is no such thing in the header, or nothing that both agree on.
    """
    following = lines.peek() or b""
    found = {it: header.count(it) for it in _DELIMITERS if header.count(it)}
    if declared is not None:
        delimiter = declared.encode()
        if delimiter not in header:
            others = ", ".join(repr(it.decode()) for it in found) or "none of the usual ones"
            raise SourceError(
                f"{lines.what}: the header has no {declared!r}, which options.delimiter declares; "
                f"it has {others}: correct the option"
            )
        return delimiter
    # Of a header with row names (R), the lines below are one field longer.
    agreed = {
        it: count
        for it, count in found.items()
        if not following or following.count(it) in (count, count + 1)
    }
    if not found:
        raise SourceError(
            f"{lines.what}: the header {header[:60]!r} has no tab, comma, semicolon or bar between "
            "its fields: is this a table? If another character separates them, replace it"
        )
    best = agreed or found
    return max(best, key=lambda it: best[it])
