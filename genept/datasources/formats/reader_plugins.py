"""Formats of collections that other distributions add: entry points of ``genept.readers``.

The name of an entry point is the format; its value is a `Reader`. The formats of this package are
in `genept.datasources.formats` and `genept.datasources.parsers`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from genept.common import plugins_of
from genept.datasources.formats.format_options import FormatOptions

GROUP: Final = "genept.readers"


@dataclass(frozen=True)
class Reader:
    """How a format is read.

    Parameters
    ----------
    options
        Model of what the format needs to know of a collection.
    parse
        Reads a collection: from the archives and its entry to a `ParsedCollection`, as the
        functions in `genept.datasources.readers` do.
    """

    options: type[FormatOptions]
    parse: Callable[..., Any]


def plugin_reader(format_: str) -> Reader | None:
    """The reader that another distribution adds for a format; None if none does.

    Parameters
    ----------
    format_
        Name of the format.

    Returns
    -------
    Reader or None

    Raises
    ------
    SourceError
        It cannot be loaded, or is no `Reader`; names its distribution.
    """
    plugin = plugins_of(GROUP).get(format_)
    if plugin is None:
        return None
    reader = plugin.load()
    if not isinstance(reader, Reader) or not issubclass(reader.options, FormatOptions):
        raise plugin.faulty(f"is no genept.datasources.Reader but {type(reader).__name__}")
    return reader


def reader_distribution(format_: str) -> str | None:
    """Name and version of the distribution that adds a format.

    Parameters
    ----------
    format_
        Name of the format.

    Returns
    -------
    str or None
        None: it is one of this package.
    """
    plugin = plugins_of(GROUP).get(format_)
    return plugin.distribution if plugin else None
