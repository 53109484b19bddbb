"""Embedders that other distributions add: entry points of group ``genept.embedders``.

The name of an entry point is the embedder's id; its value is a function that opens it, which is
called with `Resources`. What it returns has the members of `TextEmbedder`; its vectors are
checked like those of any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from genept.common import Plugin
from genept.datasources.download import Archives
from genept.text.embedders import EmbeddingError, UnusableModelError, validate_vectors

GROUP: Final = "genept.embedders"
MEMBERS: Final = ("id", "dimensions", "max_tokens", "identity", "unit_norm", "embed")


@dataclass(frozen=True)
class Resources:
    """What an embedder may use to open its model.

    Parameters
    ----------
    archives
        Opens the archives of the catalogue; None: there are none.
    folder
        Where it may keep files of its own.
    threads
        Threads of one inference.
    """

    archives: Archives | None
    folder: Path
    threads: int


class PluginEmbedder:
    """An embedder of another distribution, whose faults are named; make it with `open_plugin`.

    Parameters
    ----------
    plugin
        Its entry point.
    embedder
        What the entry point's function returned.
    """

    dollars_per_million_tokens = 0.0

    def __init__(self, plugin: Plugin, embedder: Any) -> None:
        self.plugin, self.embedder = plugin, embedder
        self.id = plugin.name
        self.dimensions = int(embedder.dimensions)
        self.max_tokens: int | None = embedder.max_tokens
        self.unit_norm = bool(embedder.unit_norm)
        self.identity = f"{plugin.name}:{embedder.identity}"

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed `texts`: shape (len(texts), dimensions), in input order.

        Raises
        ------
        EmbeddingError
            The embedder fails, or its vectors break the contract; names its distribution.
        """
        try:
            vectors = np.asarray(self.embedder.embed(texts))
            validate_vectors(vectors, len(texts), self.dimensions, unit_norm=self.unit_norm)
        except Exception as error:  # of whatever kind: it is not our code
            why = f"cannot embed ({type(error).__name__}: {error})"
            raise EmbeddingError(str(self.plugin.faulty(why))) from error
        return vectors

    def for_queries(self) -> Any:
        """The same embedder for queries, if it reads them otherwise."""
        if not hasattr(self.embedder, "for_queries"):
            return self
        return PluginEmbedder(self.plugin, self.embedder.for_queries())


def open_plugin(plugin: Plugin, resources: Resources) -> PluginEmbedder:
    """Open an embedder of another distribution.

    Parameters
    ----------
    plugin
        Its entry point.
    resources
        What it may use.

    Returns
    -------
    PluginEmbedder
        Ready to embed.

    Raises
    ------
    UnusableModelError
        It cannot be loaded or opened, or lacks a member; names its distribution.
    """
    opener = plugin.load()
    try:
        embedder = opener(resources)
        if lacking := [name for name in MEMBERS if not hasattr(embedder, name)]:
            raise AttributeError(f"it has no {', '.join(lacking)}")
        if embedder.id != plugin.name:
            raise ValueError(f"it calls itself {embedder.id!r}")
        return PluginEmbedder(plugin, embedder)
    except Exception as error:  # of whatever kind: it is not our code
        why = f"cannot be opened ({type(error).__name__}: {error})"
        raise UnusableModelError(str(plugin.faulty(why))) from error
