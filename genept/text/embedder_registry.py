"""The text embedders of an installation: those of this machine, and the hosted.

They are declared in `embedders.toml` and in files of the user; other distributions add further
ones by entry points.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, cast

from genept.common import Plugin, Settings, SourceError, plugins_of
from genept.datasources.download import Archives
from genept.storage import sha256_of
from genept.text.embedder_entries import embedder_files
from genept.text.embedders import Space, TextEmbedder, UnusableModelError
from genept.text.hosted import HostedEmbedders
from genept.text.limits import ESTIMATED, WORDPIECE, WORDS
from genept.text.local import (
    LANGUAGE_MODEL,
    MODEL_ID,
    BertEmbedder,
    LocalModel,
    Resources,
    files_of,
    load_local_models,
    local_model,
    missing_extra,
    missing_files,
    open_local_model,
    open_plugin,
)


class Embedders:
    """The text embedders of an installation by id; each local one is opened once.

    Parameters
    ----------
    settings
        Say which embedders there are, where their files are, and what may be spent.
    archives
        Opens the archives of the catalogue.
    """

    def __init__(self, settings: Settings, archives: Archives | None) -> None:
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

    @cached_property
    def added(self) -> Mapping[str, Plugin]:
        """Embedders that other distributions add, where no declaration has their id."""
        declared = {*self.local, *self.hosted.declared}
        plugins = plugins_of("genept.embedders")
        return {id_: plugin for id_, plugin in plugins.items() if id_ not in declared}

    @property
    def minilm(self) -> BertEmbedder:
        """The local embedder that counts WordPiece tokens, and that cell sentences are for."""
        return cast(BertEmbedder, self.open(MODEL_ID))

    def unavailable(self, id_: str) -> str | None:
        """Why an embedder cannot be used here; None if it can."""
        if id_ in self.local:
            model = self.local[id_]
            if model.kind == LANGUAGE_MODEL and (why := missing_extra()):
                return f"{id_} {why}"
            return missing_files(model, self._settings.mirrors)
        if id_ not in self.hosted.declared and id_ in self.added:
            return self._fault(self.added[id_])
        if id_ not in self.hosted.declared:
            return f"there is no text embedder {id_!r}: see `genept embedders list`"
        return self.hosted.unavailable(id_)

    def open(self, id_: str) -> TextEmbedder:
        """Open an embedder.

        Raises
        ------
        RefusedEmbeddingError
            There is none of that id, its files are not here, or it is a hosted one and there is no
            key for it.
        """
        if id_ in self.hosted.declared:
            return self.hosted.open(id_)
        if why := self.unavailable(id_):
            raise UnusableModelError(why)
        if id_ not in self._opened:
            self._opened[id_] = (
                self._open_local(self.local[id_])
                if id_ in self.local
                else open_plugin(self.added[id_], self._resources)
            )
        return self._opened[id_]

    def release(self) -> None:
        """Let go of the opened embedders of this machine, which are opened again when needed."""
        self._opened.clear()

    @staticmethod
    def _fault(plugin: Plugin) -> str | None:
        """Why an embedder of another distribution cannot be loaded; None if it can."""
        try:
            plugin.load()
        except SourceError as error:
            return str(error)
        return None

    def tried(self, entry: Mapping[str, Any]) -> TextEmbedder:
        """Open a local model that is not declared yet; see `genept.text.local.open_local_model`."""
        return self._open_local(local_model(entry))

    def _open_local(self, model: LocalModel) -> TextEmbedder:
        resources = self._resources
        files = files_of(model, resources.archives, self._settings.mirrors)
        return open_local_model(
            model, files, resources.folder,
            threads=resources.threads, minutes=self._settings.embedding_minutes,
        )  # fmt: skip

    def counted_in(self, id_: str) -> str:
        """Unit of the token budget of an embedder, local, hosted or fitted."""
        if id_ in self.hosted.declared:
            return self.hosted.declared[id_].encoding or ESTIMATED
        if id_ in self.local:
            return self.local[id_].counted_in
        return WORDS if id_.startswith("lsa-") else WORDPIECE

    def version(self, id_: str) -> str:
        """Changes with what a declaration says about vectors and their genes, and with its files.

        Unlike `TextEmbedder.identity` it is known without opening the model.
        """
        if id_ in self.local:
            model = self.local[id_]
            hashes: dict[str, str] = {}
            if not model.sha256 and self.unavailable(id_) is None:
                files = files_of(model, self._resources.archives, self._settings.mirrors)
                names = (model.weights, model.tokenizer, "vocab.txt", "config.json")
                hashes = {name: files.digest(name) for name in names if files.has(name)}
            tokens = model.tokens_in(self._settings.embedding_minutes)
            of_genes = {"tokens": tokens} if model.kind == LANGUAGE_MODEL else {}
            return sha256_of({"declared": model.of_vectors, "files": hashes, **of_genes})
        if id_ in self.hosted.declared:
            declared = self.hosted.declared[id_]
            return sha256_of(
                {
                    "model": declared.model, "dimensions": declared.dimensions,
                    "prefix": declared.passage_prefix,
                    "service": declared.base_url or self.hosted.base_url,
                }
            )  # fmt: skip
        return self.added[id_].distribution if id_ in self.added else ""

    def spaces(self, recipes: Iterable[str]) -> list[Space]:
        """Every recipe embedded by every embedder; built only if named in the settings."""
        ids = (*self.local, *self.added)
        return [Space(id_, recipe) for id_ in ids for recipe in recipes]

    def sources(self, id_: str) -> list[str]:
        """Archives of the catalogue that an embedder is opened from."""
        model = self.local.get(id_)
        return [model.source] if model and model.source else []
