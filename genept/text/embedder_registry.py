"""The text embedders of an installation: the local ones, which `LOCAL` registers, and the hosted.

A local embedder is entered in `LOCAL` with what opens it; hosted ones are declared in
`embedders.toml`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Final, cast

from genept.common import Settings
from genept.datasources.download import Archives
from genept.text.embedders import TextEmbedder
from genept.text.hosted import HostedEmbedders
from genept.text.limits import ESTIMATED, WORDPIECE, WORDS
from genept.text.minilm import MODEL_ID, MiniLM, load_minilm


@dataclass(frozen=True)
class Resources:
    """What a local embedder may use to open its model.

    Parameters
    ----------
    archives
        Opens the archives of the catalogue.
    folder
        Where it may keep files of its own.
    threads
        Threads of one inference.
    """

    archives: Archives
    folder: Path
    threads: int


@dataclass(frozen=True)
class LocalEmbedder:
    """A text embedder that runs on this machine.

    Parameters
    ----------
    open
        Opens it.
    counted_in
        Unit in which texts are cut to its `max_tokens`: see `genept.text.limits`.
    """

    open: Callable[[Resources], TextEmbedder]
    counted_in: str = WORDPIECE


def _open_minilm(resources: Resources) -> MiniLM:
    open_member = partial(resources.archives.open_member, "minilm")
    return load_minilm(open_member, resources.folder, threads=resources.threads)


LOCAL: Final[Mapping[str, LocalEmbedder]] = {MODEL_ID: LocalEmbedder(_open_minilm)}
"""Local embedders by id, which is the first half of the ids of their spaces."""


class Embedders:
    """The text embedders of an installation by id; each local one is opened once.

    Parameters
    ----------
    settings
        Say which hosted embedders there are, and what may be spent.
    archives
        Opens the archives of the catalogue.
    """

    def __init__(self, settings: Settings, archives: Archives) -> None:
        self._settings, self._opened = settings, dict[str, TextEmbedder]()
        folder = settings.state / "cache" / "models"
        self._resources = Resources(archives, folder, settings.threads)

    @cached_property
    def hosted(self) -> HostedEmbedders:
        """The declared hosted embedders."""
        return HostedEmbedders.of(self._settings)

    @property
    def minilm(self) -> MiniLM:
        """The local embedder that counts WordPiece tokens, and that cell sentences are for."""
        return cast(MiniLM, self.open(MODEL_ID))

    def unavailable(self, id_: str) -> str | None:
        """Why an embedder cannot be used here; None if it can."""
        if id_ not in LOCAL and id_ not in self.hosted.declared:
            return f"there is no text embedder {id_!r}: see `genept spaces list`"
        return self.hosted.unavailable(id_)

    def open(self, id_: str) -> TextEmbedder:
        """Open an embedder.

        Raises
        ------
        ValueError
            There is none of that id, or it is a hosted one and there is no key for it.
        """
        if id_ in self.hosted.declared:
            return self.hosted.open(id_)
        if why := self.unavailable(id_):
            raise ValueError(why)
        if id_ not in self._opened:
            self._opened[id_] = LOCAL[id_].open(self._resources)
        return self._opened[id_]

    def counted_in(self, id_: str) -> str:
        """Unit of the token budget of an embedder, local, hosted or fitted."""
        if id_ in self.hosted.declared:
            return self.hosted.declared[id_].encoding or ESTIMATED
        if id_ in LOCAL:
            return LOCAL[id_].counted_in
        return WORDS if id_.startswith("lsa-") else WORDPIECE
