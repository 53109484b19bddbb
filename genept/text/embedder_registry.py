"""The text embedders of an installation: those of this machine, and the hosted.

Both are declared in `embedders.toml` and in files of the user.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

from genept.common import Settings
from genept.datasources.download import Archives
from genept.text.embedder_entries import embedder_files
from genept.text.embedders import TextEmbedder
from genept.text.hosted import HostedEmbedders
from genept.text.limits import ESTIMATED, WORDPIECE, WORDS
from genept.text.local import (
    MODEL_ID,
    BertEmbedder,
    LocalModel,
    files_of,
    load_local_models,
    missing_files,
    open_local_model,
)


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


class Embedders:
    """The text embedders of an installation by id; each local one is opened once.

    Parameters
    ----------
    settings
        Say which embedders there are, where their files are, and what may be spent.
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

    @cached_property
    def local(self) -> Mapping[str, LocalModel]:
        """The declared embedders of this machine."""
        return load_local_models(*embedder_files(self._settings))

    @property
    def minilm(self) -> BertEmbedder:
        """The local embedder that counts WordPiece tokens, and that cell sentences are for."""
        return cast(BertEmbedder, self.open(MODEL_ID))

    def unavailable(self, id_: str) -> str | None:
        """Why an embedder cannot be used here; None if it can."""
        if id_ in self.local:
            return missing_files(self.local[id_], self._settings.mirrors)
        if id_ not in self.hosted.declared:
            return f"there is no text embedder {id_!r}: see `genept embedders list`"
        return self.hosted.unavailable(id_)

    def open(self, id_: str) -> TextEmbedder:
        """Open an embedder.

        Raises
        ------
        ValueError
            There is none of that id, its files are not here, or it is a hosted one and there is no
            key for it.
        """
        if id_ in self.hosted.declared:
            return self.hosted.open(id_)
        if why := self.unavailable(id_):
            raise ValueError(why)
        if id_ not in self._opened:
            model, resources = self.local[id_], self._resources
            files = files_of(model, resources.archives, self._settings.mirrors)
            self._opened[id_] = open_local_model(
                model, files, resources.folder, threads=resources.threads
            )
        return self._opened[id_]

    def counted_in(self, id_: str) -> str:
        """Unit of the token budget of an embedder, local, hosted or fitted."""
        if id_ in self.hosted.declared:
            return self.hosted.declared[id_].encoding or ESTIMATED
        if id_ in self.local:
            return self.local[id_].counted_in
        return WORDS if id_.startswith("lsa-") else WORDPIECE
