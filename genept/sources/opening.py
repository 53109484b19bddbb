"""Publishers' files on this machine, opened as streams of text: plain or gzipped.

A reader takes an `Opener`, so that it does not matter whether the bytes lie in a mirror or
come out of an archive. What the lines mean is the business of each reader.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO, Final, cast

from genept.sources.advice import get_again
from genept.sources.errors import SourceError
from genept.sources.members import capped

Opener = Callable[[], AbstractContextManager[BinaryIO]]
"""Opens the unpacked bytes of one file, from their beginning."""

MAX_UNPACKED: Final = 8 << 30
"""Of a file that is streamed line by line and never held in memory."""


def file_opener(path: Path) -> Opener:
    """Opens a local file; one that ends in ``.gz`` is unpacked, under caps."""

    @contextmanager
    def opened() -> Iterator[BinaryIO]:
        try:
            with path.open("rb") as file:
                if path.suffix != ".gz":
                    yield cast(BinaryIO, file)
                    return
                if not path.stat().st_size:  # gunzip would accept it
                    raise SourceError(f"{path.name}: is empty; {get_again()}")
                with gzip.GzipFile(fileobj=file) as stream:
                    packed = path.stat().st_size
                    yield capped(
                        cast(BinaryIO, stream),
                        packed=packed,
                        what=path.name,
                        limit=MAX_UNPACKED,
                    )
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror or error}") from error

    return opened


def text_lines(opener: Opener, what: str) -> Iterator[tuple[int, str]]:
    """The numbered lines of a file, from 1, without their ends.

    Raises
    ------
    SourceError
        It is empty, is a web page under a data file's name, or is not UTF-8.
    """
    with opener() as stream:
        text = TextIOWrapper(stream, encoding="utf-8", newline="\n")
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
