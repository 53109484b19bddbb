"""Which release an analyst reads, the current or a pinned one, which of its files; code to paste.

What is remembered while the store is out of reach is in `genept.client.remembered_releases`.
Tables are read in `genept.client.api`. Code to paste is in `pages/site/snippets.toml`, tested.
"""

from __future__ import annotations

import difflib
import tomllib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files as resources
from pathlib import Path
from string import Template
from typing import Final

import polars as pl

from genept.client.remembered_releases import RememberedReleases
from genept.common import Settings, StoreError, UnreachableStoreError
from genept.release import Manifest, ReleasedFile, ReleasedFiles, Releases
from genept.schema.tables import TABLES
from genept.storage import Lake, Role, open_store

LATEST: Final = "latest"
ALIASES: Final = (LATEST, "stable")
PREFERRED_SPACE: Final = "minilm-l6-v2/name-go"
PREFERRED_GENE: Final = "FOXP3"
PREFERRED_DRUG: Final = "Encorafenib"


class RetractedWarning(UserWarning):
    """The release that is read was taken back, for a reason."""


class OfflineWarning(UserWarning):
    """The store is out of reach: what was kept on this machine is read instead."""


@dataclass(frozen=True)
class Resolved:
    """A release to read from; `offline` if the store was out of reach when it was resolved."""

    releases: Releases
    manifest: Manifest
    offline: bool = False

    def local_files(self, table: str, partition: dict[str, str]) -> list[Path]:
        """Copies of a table's files on this machine, of one partition; fetched if needed."""
        files = released_files(self.manifest, table, partition)
        return [self.releases.files.local(self.manifest, file) for file in files]


def open_releases(settings: Settings | None = None, *, role: Role = "reader") -> Releases:
    """The releases of an installation.

    Parameters
    ----------
    settings
        Of the installation; by default as the environment and ``genept.toml`` say.
    role
        Role whose keys the embedded server is used with; by default they may only read.

    Returns
    -------
    Releases
        Of the product that the settings name.

    Raises
    ------
    StoreError
        The embedded server does not start, or `role` writes and the store lacks a property that
        writing needs.
    """
    settings = settings or Settings()
    lake = Lake(open_store(settings, role), settings.product, settings.state / "cache" / "parts")
    return Releases(lake, settings.product)


def resolve(release: str = LATEST, settings: Settings | None = None) -> Resolved:
    """The release of an id, or the current one; the remembered one if the store does not answer.

    Parameters
    ----------
    release
        Id of a release, ``latest`` or ``stable``.
    settings
        As for `open_releases`.

    Returns
    -------
    Resolved
        The release. `OfflineWarning` is issued if it is the remembered one, `RetractedWarning` if
        the deny list says that it was taken back: that of the store, asked at every read, or the
        remembered one while the store is out of reach.

    Raises
    ------
    StoreError
        If there is no such release, or the store is out of reach and nothing is remembered.
    """
    settings = settings or Settings()
    memory, known = RememberedReleases(settings), open_releases(settings)
    pinned = memory.recall(release) if release not in ALIASES else None  # it never changes
    offline = False
    try:
        pointer = known.pointer()
        manifest = pinned or known.named(release, pointer)
    except StoreError as error:
        offline, pointer = isinstance(error, UnreachableStoreError), memory.pointer()
        remembered = pinned or (memory.recall(release) if offline else None)
        if remembered is None:
            raise
        manifest = remembered
        if pinned is None:
            warnings.warn(
                f"the store is out of reach: reading release {manifest.release_id}, as far as its "
                "files were kept on this machine",
                OfflineWarning,
                stacklevel=3,
            )
    else:
        memory.keep(manifest, pointer, alias=release if release in ALIASES else None)
    if pointer is not None and (reason := pointer.retracted(manifest.release_id)):
        warnings.warn(
            f"release {manifest.release_id} was taken back: {reason}",
            RetractedWarning,
            stacklevel=3,
        )
    return Resolved(known, manifest, offline)


def released_files(manifest: Manifest, name: str, partition: dict[str, str]) -> list[ReleasedFile]:
    """The files of a table that hold rows of a partition.

    Raises
    ------
    StoreError
        If there is no such table or partition.
    """
    if name in TABLES and name not in manifest.tables:
        raise StoreError(
            f"release {manifest.release_id} was made by version {manifest.platform_version}, "
            f"before there was a table {name!r}: `genept run` makes one that has it"
        )
    if name not in manifest.tables:
        raise StoreError(
            f"release {manifest.release_id} has no table {name!r}"
            f"{suggestion(name, sorted(manifest.tables))}"
        )
    table = manifest.tables[name]
    if unknown := sorted(set(partition) - set(table.partition)):
        raise StoreError(f"table {name!r} is split by {list(table.partition)}, not by {unknown}")
    files = [
        file
        for file in table.files
        if all(
            partition.get(column, value) == value
            for column, value in zip(table.partition, file.partition, strict=True)
        )
    ]
    if partition and not files:
        known = sorted({"/".join(file.partition) for file in table.files})
        wanted = "/".join(partition.get(column, "") for column in table.partition)
        asked = ", ".join(f"{column} {value!r}" for column, value in partition.items())
        raise StoreError(f"table {name!r} has nothing for {asked}{suggestion(wanted, known)}")
    return files


def usual_space(manifest: Manifest) -> str | None:
    """The space of a release to read where none is named.

    Parameters
    ----------
    manifest
        Of the release.

    Returns
    -------
    str or None
        `PREFERRED_SPACE`, or the first that is no control, or any; None without spaces.
    """
    spaces = sorted({file.partition[0] for file in manifest.tables["gene_embeddings"].files})
    real = [space for space in spaces if "random" not in space and "@" not in space]
    return PREFERRED_SPACE if PREFERRED_SPACE in real else next(iter((*real, *spaces)), None)


def suggestion(wanted: str, known: Sequence[str]) -> str:
    """The rest of a message about an unknown name: the one that may be meant, or all."""
    near = difflib.get_close_matches(wanted, known, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; there are {', '.join(known)}" if known else "; there are none"


@dataclass(frozen=True)
class Snippets:
    """Code that reads one release: one snippet per library, and whole analyses.

    Parameters
    ----------
    files
        Files of the releases, with their bucket.
    manifest
        Manifest of the release that the snippets read.
    """

    files: ReleasedFiles
    manifest: Manifest

    def readers(self) -> dict[str, str]:
        """How each library reads table `genes`, by library."""
        genes = self._address("data/genes")
        code = self.filled(
            "readers", genes=f"{genes}/*.parquet", folder=genes.removeprefix("s3://")
        )
        return code | (self.filled("catalog") if self.manifest.catalog else {})

    def r(self) -> str:
        """The same in R; its package `arrow` finds the keys in the environment."""
        address = self._address(self.manifest.tables["genes"].files[0].path)
        bucket, _, key = address.removeprefix("s3://").partition("/")
        url = self.files.store.access.endpoint_url
        endpoint = f', endpoint_override = "{url}"' if url else ""
        anonymous = ", anonymous = TRUE" if self.files.store.access.unsigned else ""
        keys = "" if anonymous else "  # keys: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"
        return self.filled("r", bucket=bucket, key=key, keys=keys, how=endpoint + anonymous)["R"]

    def questions(self) -> dict[str, str]:
        """Whole analyses, by the question that they answer; those that the release has data for."""
        snippets: dict[str, str] = {}
        if space := self.space():
            recipe = space.rpartition("/")[2].partition("@")[0]
            gene = self.gene(space)
            snippets |= self.filled("space", space=space, recipe=recipe, gene=gene)
        if self.manifest.tables["drug_responses"].files:
            snippets |= self.filled("screen", screen=self._values("drug_responses")[0])
        if drug := self._unscreened_drug():
            snippets |= self.filled("unscreened", screen=drug[0], drug=drug[1])
        return snippets

    def _unscreened_drug(self) -> tuple[str, str] | None:
        """A screen, and a drug that it did not screen and that is predicted; the usual one."""
        if not self.manifest.tables["unscreened_drug_responses"].files:
            return None
        screen = self._values("unscreened_drug_responses")[0]
        (file, *_) = released_files(self.manifest, "unscreened_drugs", {"collection_id": screen})
        rows = pl.read_parquet(self.files.local(self.manifest, file))
        drugs = rows.filter(~pl.col("abstained"))["drug_id"].to_list()
        return screen, PREFERRED_DRUG if PREFERRED_DRUG in drugs else drugs[0]

    def space(self) -> str | None:
        """A space to show: the usual one, or the first that is no control."""
        return usual_space(self.manifest)

    def gene(self, space: str) -> str:
        """Symbol of a gene to ask about, which a release limited to some genes has, too."""
        if "max_genes" not in self.manifest.limits:
            return PREFERRED_GENE
        (file, *_) = released_files(self.manifest, "gene_embeddings", {"space": space})
        symbols = pl.read_parquet(self.files.local(self.manifest, file), columns=["symbol"])
        known = symbols["symbol"].to_list()
        return PREFERRED_GENE if PREFERRED_GENE in known else str(known[0])

    def filled(self, kind: str, **values: str) -> dict[str, str]:
        """Code of one kind with these values put in, by what it does."""
        text = resources("genept.client.pages").joinpath("site", "snippets.toml").read_text("utf-8")
        values["release"] = self.manifest.release_id
        codes = tomllib.loads(text)[kind]
        return {
            Template(name).substitute(values): Template(code).substitute(values)
            for name, code in codes.items()
        }

    def _values(self, table: str) -> list[str]:
        """Values of the first column that a table is split by."""
        return sorted({file.partition[0] for file in self.manifest.tables[table].files})

    def _address(self, path: str) -> str:
        return self.files.store.uri(f"{self.files.folder}/{self.manifest.release_id}/{path}")
