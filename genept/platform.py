"""One installation put together from its settings: store, lake, archives, text models.

What an asset or a notebook needs to call the library. Everything is opened on
first use, so that looking at the graph starts nothing.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genept.nomenclature.reference import SOURCES as REFERENCE_SOURCES
from genept.nomenclature.reference import Reference, starter_reference
from genept.settings import Settings
from genept.sources.archives import Archives
from genept.sources.catalogue import Catalogue, Collection, load_catalogue
from genept.sources.places import Places
from genept.store.connect import open_store
from genept.store.lake import Lake
from genept.store.manifest import ReleasedSource
from genept.store.provenance import sha256_of
from genept.store.release import Releases
from genept.store.s3 import ObjectStore
from genept.text.embedding import Runner, plain_loop
from genept.text.minilm import MiniLM, load_minilm
from genept.text.spaces import Space, chosen_spaces


class Platform:
    """An installation of the platform.

    Parameters
    ----------
    runner
        Who runs the batches of texts that are to be embedded.
    """

    def __init__(self, settings: Settings, *, runner: Runner = plain_loop) -> None:
        self.settings = settings
        self.runner = runner

    @cached_property
    def catalogue(self) -> Catalogue:
        """The public sources and collections."""
        return load_catalogue()

    @cached_property
    def archives(self) -> Archives:
        """Verified copies of the sources, from mirrors first where the settings name any."""
        places = Places(
            self.settings.mirrors,
            self.settings.addresses,
            lambda bucket, key: self.store.presigned(key, bucket=bucket),
        )
        return Archives(self.catalogue, self.settings.state / "cache" / "archives", places=places)

    @cached_property
    def store(self) -> ObjectStore:
        """The object store; starts the embedded one if that is what the settings say."""
        return open_store(self.settings)

    @cached_property
    def lake(self) -> Lake:
        """Everything that was ever built."""
        return Lake(self.store, self.settings.product, self.settings.state / "cache" / "parts")

    @cached_property
    def releases(self) -> Releases:
        """Everything that was ever published."""
        return Releases(self.lake, self.settings.product)

    @cached_property
    def reference(self) -> Reference:
        """The starter reference, genes without Ensembl id included."""
        return starter_reference(self.archives)

    @property
    def reference_version(self) -> str:
        """Changes with the archives that the reference is read from."""
        return sha256_of([self.catalogue.sources[name].sha256 for name in REFERENCE_SOURCES])

    @cached_property
    def minilm(self) -> MiniLM:
        """The pretrained local text embedder."""

        def open_member(name: str) -> Any:
            return self.archives.open_member("minilm", name)

        folder = self.settings.state / "cache" / "models"
        return load_minilm(open_member, folder, threads=self.settings.threads)

    @property
    def collections(self) -> list[Collection]:
        """The collections to ingest: all of the catalogue, or those that the settings name.

        Raises
        ------
        ValueError
            If the settings name one that the catalogue does not have.
        """
        known, wanted = self.catalogue.collections, self.settings.collections
        if unknown := sorted(set(wanted) - set(known)):
            raise ValueError(f"unknown collections {unknown}; the catalogue has {sorted(known)}")
        return [known[name] for name in known if not wanted or name in wanted]

    @property
    def spaces(self) -> tuple[Space, ...]:
        """The spaces to embed: all, or those that the settings name."""
        return chosen_spaces(self.settings.spaces)

    @property
    def limits(self) -> dict[str, Any]:
        """How settings limit what is built; empty for a complete release."""
        limits: dict[str, Any] = {}
        if len(self.collections) < len(self.catalogue.collections):
            limits["collections"] = sorted(one.id for one in self.collections)
        if len(self.spaces) < len(chosen_spaces(())):
            limits["spaces"] = sorted(one.id for one in self.spaces)
        if self.settings.max_genes is not None:
            limits["max_genes"] = self.settings.max_genes
        return limits

    @property
    def needed_sources(self) -> list[str]:
        """The sources that the chosen collections and spaces draw on, in catalogue order."""
        needed: set[str] = {*REFERENCE_SOURCES, "pyiomica", "minilm"}
        needed.update(*(collection.sources for collection in self.collections))
        return [name for name in self.catalogue.sources if name in needed]

    def released_sources(self) -> dict[str, ReleasedSource]:
        """What a release says about the sources that went into it."""
        return {name: _released(self.catalogue, name) for name in self.needed_sources}

    @property
    def version(self) -> str:
        """Version of the platform."""
        return version("genept-platform")

    def requirements_sha256(self) -> str | None:
        """Hash of the requirements lock of a checkout; None for an installed wheel."""
        lock = Path(__file__).parents[1] / "requirements.lock"
        return hashlib.sha256(lock.read_bytes()).hexdigest() if lock.exists() else None


def _released(catalogue: Catalogue, name: str) -> ReleasedSource:
    source = catalogue.sources[name]
    return ReleasedSource(
        title=source.title,
        version=f"{source.package} {source.version}",
        released=str(source.released),
        sha256=source.sha256,
        licence=source.licence,
        redistributable=source.redistributable,
        citation=source.citation,
    )
