"""The one exception of this room: a public source is not what was promised, or out of reach."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final

from genept.sources.advice import get_again

SHOWN: Final = 12
"""Names that a message shows, at most."""

_PACKAGE: Final = str(Path(__file__).parents[1])

LONGEST: Final = 60
"""Letters of each: what is no table has lines of any length."""


class SourceError(RuntimeError):
    """A source cannot be fetched, is damaged, or does not hold what its catalogue entry says.

    The message is for the person who must act: which archive and member, what
    was expected, what was found, what to do.
    """


@contextmanager
def breakage_refused(what: str) -> Iterator[None]:
    """Turn what libraries raise over a damaged file into a `SourceError` that names it.

    For the boundary of the readers, around code that reads and does nothing else. Errors of this
    package, which say what to do, pass through.

    Parameters
    ----------
    what
        Name of the file, as its owner knows it.

    Raises
    ------
    SourceError
        Says what the library said, and where in this package it was called.
    """
    try:
        yield
    except BaseException as error:
        if not _is_breakage(error):
            raise
        raise SourceError(_described(error, what)) from error


def _is_breakage(error: BaseException) -> bool:
    if type(error).__module__.partition(".")[0] == "genept":
        return False
    # Polars' panics are no Exception.
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def _described(error: BaseException, what: str) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, MemoryError) or number == errno.ENOMEM:
        return (
            f"{what}: reading it takes more memory than there is, or than GENEPT_FILE_MEMORY "
            "allows: it is damaged or made to fill memory, or it must be written in smaller chunks"
        )
    if number in (errno.ENOSPC, errno.EFBIG):
        return f"{what}: there is no room for the scratch files that reading it takes: {error}"
    trace, where = error.__traceback__, ""
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename.startswith(_PACKAGE) and code.co_filename != __file__:
            where = f", at {Path(code.co_filename).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    first = (str(error).strip().splitlines() or ["no more is known"])[0]
    return (
        f"{what}: cannot be read ({type(error).__name__}: {first[:300]}{where}): it is damaged, or "
        "in a layout that is not read here. Write it anew, or "
        f"{get_again()}"
    )


def listed(names: Iterable[str]) -> str:
    """What a file has, as a message shows it: the first names, none longer than anybody reads."""
    shown = [
        name if len(name) <= LONGEST else f"{name[:LONGEST]}…" for name in islice(names, SHOWN)
    ]
    return str(shown)
