"""Errors with messages that say which file, row or object is wrong, and what to do.

`SourceError` is for public and user files, `StoreError` and its subclasses for the object store.
Failed requests are explained and repeated where they are made: `genept.storage.requests`.
"""

from __future__ import annotations

import errno
import json
import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

PENDING_EXIT: Final = 75
"""Exit code of a command that left batches under way: EX_TEMPFAIL of sysexits.h, try later."""

Audience: TypeAlias = Literal["catalogue", "sidecar", "command_line"]
_AUDIENCE: ContextVar[Audience] = ContextVar("audience", default="catalogue")


@contextmanager
def advising(audience: Audience) -> Iterator[None]:
    """Write the messages of this context for one audience.

    Parameters
    ----------
    audience
        ``command_line``, ``sidecar``: the owner of a file, who types options or put it into the
        inbox; ``catalogue``: the maintainer of a public source's declaration.

    Returns
    -------
    context manager
    """
    token = _AUDIENCE.set(audience)
    try:
        yield
    finally:
        _AUDIENCE.reset(token)


def audience() -> Audience:
    """The audience of messages in this context.

    Returns
    -------
    Audience
    """
    return _AUDIENCE.get()


def option(name: str, value: object) -> str:
    """Text that says how to set an option of the format.

    Parameters
    ----------
    name, value
        Name of the option, and a text, a number or a list of them.

    Returns
    -------
    str
    """
    if audience() == "command_line":
        return f"--option {shlex.quote(f'{name}={json.dumps(value, ensure_ascii=False)}')}"
    return f"options.{name} = {value!r}"


def setting(name: str, value: str) -> str:
    """Text that says how to set what is not an option of the format, such as the unit.

    Parameters
    ----------
    name, value
        Such as ``unit`` and ``counts``.

    Returns
    -------
    str
    """
    if audience() == "command_line":
        return f"--{name} {shlex.quote(value)}"
    return f'{name} = "{value}"'


def get_again(download: str = "fetch it again") -> str:
    """Text that says how to replace an incomplete or damaged file.

    Parameters
    ----------
    download
        What to do if the platform itself downloaded it.

    Returns
    -------
    str
    """
    if audience() == "catalogue":
        return download
    return "copy the whole file again from where it came"


SHOWN: Final = 12  # names in a message
_PACKAGE: Final = str(Path(__file__).parents[1])
LONGEST: Final = 60
"""Maximum length of each name shown: a file that is not a table may have very long lines."""


class SourceError(RuntimeError):
    """A source cannot be fetched, is damaged, or does not hold what its catalogue entry says.

    The message names the archive and member, what was expected, what was found, and what to do.
    """


@contextmanager
def breakage_refused(what: str) -> Iterator[None]:
    """Turn what libraries raise over a damaged file into a `SourceError` that names it.

    Parameters
    ----------
    what
        Name of the file, as its owner knows it.

    Returns
    -------
    context manager
        Raises `SourceError` with the library's message; errors of this package pass through.
    """
    try:
        yield
    except BaseException as error:
        is_own = type(error).__module__.partition(".")[0] == "genept"
        is_panic = type(error).__name__ == "PanicException"  # of Polars
        if is_own or not (isinstance(error, Exception) or is_panic):
            raise
        raise SourceError(_described(error, what)) from error


def _described(error: BaseException, what: str) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, MemoryError) or number == errno.ENOMEM:
        return (
            f"{what}: reading it takes more memory than there is, or than GENEPT_FILE_MEMORY "
            "allows: it is damaged or made to fill memory, or it must be written in smaller chunks"
        )
    if number in (errno.ENOSPC, errno.EFBIG):
        return f"{what}: the disk is too full for the scratch files that reading it needs: {error}"
    trace, where = error.__traceback__, ""
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename.startswith(_PACKAGE) and code.co_filename != __file__:
            where = f", at {Path(code.co_filename).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    first = (str(error).strip().splitlines() or ["no details"])[0]
    return (
        f"{what}: cannot be read ({type(error).__name__}: {first[:300]}{where}): it is damaged, or "
        "in a layout that is not read here. Write it anew, or "
        f"{get_again()}"
    )


def listed(names: Iterable[str]) -> str:
    """Names for a message.

    Parameters
    ----------
    names
        At most `SHOWN` of them are shown, each cut to `LONGEST` characters.

    Returns
    -------
    str
    """
    shown = [
        name if len(name) <= LONGEST else f"{name[:LONGEST]}…" for name in islice(names, SHOWN)
    ]
    return str(shown)


def problems_of(error: ValidationError) -> str:
    """List the mistakes in a declaration.

    Parameters
    ----------
    error
        As pydantic raised it.

    Returns
    -------
    str
        One line: each field and what is wrong with it.
    """
    return "; ".join(
        ": ".join([*filter(None, [".".join(map(str, problem["loc"]))]), _complaint(problem)])
        for problem in error.errors()
    )


def _complaint(problem: ErrorDetails) -> str:
    if problem["type"] == "extra_forbidden":
        return "there is no such field"
    return problem["msg"].removeprefix("Value error, ")


class StoreError(RuntimeError):
    """A request to the object store failed."""


class MissingObjectError(StoreError):
    """The requested object does not exist."""


class ConflictError(StoreError):
    """A conditional write failed because the object exists or has changed."""


class UnreachableStoreError(StoreError):
    """The object store does not respond."""


class InvalidKeyError(StoreError, ValueError):
    """An object key that is not valid; refused before the request is sent."""
