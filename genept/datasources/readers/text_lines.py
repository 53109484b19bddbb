"""Lines of delimited text, one at a time: their number, encoding, delimiter and names.

Numbers of matrices are read in `genept.datasources.readers.text_numbers`; what the columns mean is
the parser's business.
"""

import codecs
import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from genept.common import SourceError, option
from genept.datasources.download import open_text

MAX_LINE: Final = 1 << 28
_PIECE: Final = 1 << 20
_BOM: Final = b"\xef\xbb\xbf"
_DELIMITERS: Final = (b"\t", b",", b";", b"|")
_SPACE: Final = b" "
_COMMENT: Final = b"# "
"""What a line above a table begins with, such as featureCounts' ``# Program:…``."""
_QUOTED: Final = re.compile(rb'"(?:[^"]|"")*"')


class Lines:
    """The lines of a stream, as UTF-8 without their ends; knows the number of the last one.

    Parameters
    ----------
    stream, encoding
        Unpacked bytes, and their encoding.
    what
        Name of the file for messages.
    """

    def __init__(self, stream: Any, what: str, encoding: str = "utf-8") -> None:
        self.stream, self.what = stream, what
        self.number, self.had_bom = 0, False
        is_plain = encoding == "utf-8"
        self._lines = _raw(stream, what) if is_plain else _recoded(stream, encoding, what)
        self._next: bytes | None = None
        if (first := self.peek()) is not None and first.startswith(_BOM):
            self._next, self.had_bom = first.removeprefix(_BOM), True

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if (line := self.peek()) is None:
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


@contextmanager
def open_lines(path: Path, member: str | None, encoding: str = "utf-8") -> Iterator[Lines]:
    """The lines of a local file, or of a file in it, unpacked, as long as the context lasts."""
    what = f"{path.name}, {member}" if member else path.name
    with open_text(path, member, what, encoding=encoding) as stream:
        yield Lines(stream, what, encoding)


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
    """Text of a field or line; other than UTF-8 is refused, with the option that declares it."""
    try:
        return field.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{what}: line {line} is not UTF-8 ({field[max(error.start - 10, 0) :][:24]!r}): "
            f"convert it, or declare its encoding, such as {option('encoding', 'latin-1')}"
        ) from error


def fields_of(line: bytes, delimiter: bytes, what: str, number: int) -> list[str]:
    """Split a line of names, some of which may be quoted.

    Parameters
    ----------
    line, delimiter
        UTF-8, and what separates its fields.
    what, number
        Name of the file and number of the line, for messages.

    Returns
    -------
    list of str
        Names without quotation marks.
    """
    text = decoded(line, what, number)
    if '"' not in text:
        return text.split(delimiter.decode())
    try:
        return next(csv.reader([text], delimiter=delimiter.decode(), strict=True), [])
    except csv.Error as error:
        raise SourceError(f"{what}: line {number} has a broken quotation: {error}") from error


@dataclass(frozen=True)
class TableHeader:
    """The first line of a delimited table, below comments; the number of the line.

    `columns` names all fields of a row; the first is empty where the header left it out
    (`is_shifted`), as R's `write.table` does.
    """

    columns: list[str]
    delimiter: bytes
    is_shifted: bool
    line: int


def read_header(lines: Lines, declared: str | None) -> TableHeader:
    """Take the header of a table: its names, its delimiter, and whether R left a name out.

    Parameters
    ----------
    lines
        At the header or the comments above it; afterwards at the first row.
    declared
        The delimiter, where the options say it; none: the one that header and next line agree on.

    Returns
    -------
    TableHeader
        One name for every field of a row.

    Raises
    ------
    SourceError
        There is no header, or no delimiter in it.
    """
    while (comment := lines.peek()) is not None and comment.startswith(_COMMENT):
        next(lines)
    line = lines.header("its header")
    following = lines.peek()
    if b"\r" in line and following is None:
        raise SourceError(
            f"{lines.what}: its lines end in carriage returns alone, as on old Macintoshes: save "
            "it with the line ends of Windows or Unix"
        )
    delimiter = delimiter_of(lines, declared, line)
    columns = fields_of(line, delimiter, lines.what, lines.number)
    n_below = 0
    # A quoted label may go over several lines: the first of them tells nothing.
    if following is not None and following.count(b'"') % 2 == 0:
        n_below = _count(following, delimiter) + 1
    is_shifted = n_below == len(columns) + 1
    names = ["", *columns] if is_shifted else columns
    return TableHeader(names, delimiter, is_shifted, lines.number)


def delimiter_of(lines: Lines, declared: str | None, header: bytes) -> bytes:
    """Return what separates fields: as declared, or what header and next line agree on.

    Delimiters inside quotes do not count. Single spaces, R's default, are considered last: the
    names of other tables may contain them.

    Raises
    ------
    SourceError
        There is no such thing in the header, or nothing that both agree on.
    """
    following = lines.peek() or b""
    counts = {it: (_count(header, it), _count(following, it)) for it in (*_DELIMITERS, _SPACE)}
    usual = {it: above for it, (above, _) in counts.items() if above and it != _SPACE}
    if declared is not None:
        delimiter = declared.encode()
        if not any(counts.get(delimiter, (header.count(delimiter), 0))):
            others = ", ".join(repr(it.decode()) for it in usual) or "none of the usual ones"
            raise SourceError(
                f"{lines.what}: the header has no {declared!r}, which the option delimiter "
                f"declares; it has {others}: correct the option"
            )
        return delimiter
    # Of a header without a name for the row names (R), the lines below are one field longer.
    agreed = {
        it: below
        for it, (above, below) in counts.items()
        if (above or below) and below in (above, above + 1)
    }
    for candidates in ({it: n for it, n in agreed.items() if it in usual}, usual, agreed):
        if candidates:
            return max(candidates, key=lambda it: candidates[it])
    if counts[_SPACE][0] and following:
        raise SourceError(
            f"{lines.what}: its fields are separated by spaces, {counts[_SPACE][0] + 1} in the "
            f"header and {counts[_SPACE][1] + 1} below it: names that contain spaces must be "
            'quoted, or write it with another delimiter (R: write.table(x, sep = "\\t"))'
        )
    raise SourceError(
        f"{lines.what}: the header {header[:60]!r} has no tab, comma, semicolon, bar or space "
        "between its fields: is this a table? If another character separates them, replace it"
    )


def _count(line: bytes, delimiter: bytes) -> int:
    """How often a delimiter occurs outside quotes."""
    if b'"' in line:
        line = _QUOTED.sub(b"", line)
    return line.count(delimiter)
