"""Lines of published text files, and rows of tables of which the header is known.

What a row means is up to the modules of the publishers; how files are opened is in
`genept.datasources.download.streams`.
"""

import csv
import io
from collections.abc import Iterator, Sequence

from genept.common import SourceError, get_again, listed
from genept.datasources.download.streams import Opener


def text_lines(opener: Opener, what: str) -> Iterator[tuple[int, str]]:
    """The numbered lines of a text file.

    Parameters
    ----------
    opener
        Opens the unpacked bytes of the file.
    what
        Name of the file for messages.

    Yields
    ------
    number, line
        Number from 1, and the line without its end.

    Raises
    ------
    SourceError
        It is empty, is a web page under a data file's name, or is not UTF-8.
    """
    with opener() as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8", newline="\n")
        number = 0
        try:
            for number, line in enumerate(text, start=1):
                if number == 1 and line.lstrip()[:1] == "<":
                    raise SourceError(f"{what}: is a web page, not data; {get_again()}")
                yield number, line.rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise SourceError(f"{what}: line {number + 1} is not UTF-8: {error}") from error
        finally:
            text.detach()
        if not number:
            raise SourceError(f"{what}: is empty; {get_again()}")


def table_rows(
    opener: Opener, what: str, columns: Sequence[str], separator: str = ","
) -> Iterator[tuple[int, list[str]]]:
    """The rows of a text table, of which the header is known.

    Parameters
    ----------
    opener, what
        As in `text_lines`.
    columns
        The header.
    separator
        Between two values; one within quotes does not separate.

    Yields
    ------
    number, values
        Number of the line, and its values.

    Raises
    ------
    SourceError
        The header is another one, or a row has another number of values; names the line.
    """
    expected = separator.join(columns) if separator == "," else listed(columns)
    for number, line in text_lines(opener, what):
        text = line.removeprefix("\ufeff") if number == 1 else line
        values = next(csv.reader([text], delimiter=separator), [])
        if number == 1 and [value.strip() for value in values] != [*columns]:
            raise SourceError(f"{what}: line 1 is {listed(values)}; expected {expected}")
        if len(values) != len(columns):
            raise SourceError(
                f"{what}: line {number} has {len(values)} values; expected {len(columns)}: "
                f"{expected}"
            )
        if number > 1:
            yield number, values
