"""How a message tells its reader what to do: which setting to write, which option to type.

One refusal may reach someone at the command line, someone who wrote a sidecar for the inbox, or
the operator of a public source. What is wrong with a file is said where it is found.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, TypeAlias

Audience: TypeAlias = Literal["catalogue", "sidecar", "command_line"]

_AUDIENCE: ContextVar[Audience] = ContextVar("audience", default="catalogue")


@contextmanager
def advising(audience: Audience) -> Iterator[None]:
    """Write the messages of this context for one audience.

    Parameters
    ----------
    audience
        ``command_line``: the owner of a file, who types options; ``sidecar``: the owner of a file
        in the inbox; ``catalogue``: whoever maintains the declaration of a public source.
    """
    token = _AUDIENCE.set(audience)
    try:
        yield
    finally:
        _AUDIENCE.reset(token)


def audience() -> Audience:
    """For whom messages are written now."""
    return _AUDIENCE.get()


def option(name: str, value: object) -> str:
    """How to set an option of the format.

    Parameters
    ----------
    value
        A text, a number or a list of them.
    """
    if audience() == "command_line":
        return f"--option {shlex.quote(f'{name}={json.dumps(value, ensure_ascii=False)}')}"
    return f"options.{name} = {value!r}"


def setting(name: str, value: str) -> str:
    """How to state what is no option of the format, such as the unit or the metadata."""
    if audience() == "command_line":
        return f"--{name} {shlex.quote(value)}"
    return f'{name} = "{value}"'


def get_again(download: str = "fetch it again") -> str:
    """How to get a file that is incomplete or damaged.

    Parameters
    ----------
    download
        What to do if the platform itself downloaded it.
    """
    if audience() == "catalogue":
        return download
    return "copy the whole file again from where it came"
