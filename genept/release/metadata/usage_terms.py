"""Terms of use and citations of a release: which sources each table and each file is made of.

They are read from the manifest alone: a file names its inputs by hash, and an input is a source, or
another file of the release. How terms are written in a format is in the module of the format.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from genept.release.manifest import Manifest, ReleasedFile
from genept.schema.tables import TABLES

LICENCES: Final = "licences.json"
"""File in the folder of a release: which terms apply to which of its files."""

SPDX_IDS: Final = (
    *("Apache-2.0", "BSD-3-Clause", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-NC-4.0", "CC-BY-NC-ND-4.0"),
    *("CC-BY-SA-4.0", "CC0-1.0", "GPL-3.0-or-later", "MIT"),
)
"""Licences whose SPDX id is recognised in the text of a licence."""

_SPDX: Final = re.compile(
    rf"(?<![\w-])({'|'.join(re.escape(id_) for id_ in SPDX_IDS)})(?![\w-]|\.\w)"
)

STANDS_FOR: Final = {"reference": "genes", "model": "model_folds", "axis": "gene_axis"}
"""Table that states the terms of an input, where the input is not named like its table."""

STATE_TERMS: Final = ("collections", "perturbation_screens")
"""Tables whose files are of one collection each, and name its sources."""


@dataclass(frozen=True)
class UsageTerms:
    """Licence and citation of a source, of a collection, or of vectors that were registered.

    Parameters
    ----------
    id
        Id of the source, collection or space.
    title
        What it is.
    licence
        As its publisher states it.
    redistributable
        Whether it may be passed on.
    citation
        What to cite; empty if nothing is stated.
    version, released, sha256
        Of a source: version, date of the data, SHA-256 of the copy that was read.
    """

    id: str
    title: str
    licence: str
    redistributable: bool
    citation: str
    version: str = ""
    released: str = ""
    sha256: str = ""

    @property
    def spdx_ids(self) -> tuple[str, ...]:
        """SPDX ids in the text of the licence, in its order; empty for other licences."""
        return tuple(dict.fromkeys(_SPDX.findall(self.licence)))

    @property
    def licence_urls(self) -> tuple[str, ...]:
        """Addresses of the licences that are known by an SPDX id."""
        return tuple(f"https://spdx.org/licenses/{id_}.html" for id_ in self.spdx_ids)

    @property
    def doi(self) -> str | None:
        """The DOI in the citation; None if there is none, or several."""
        dois = re.findall(r"\bdoi:([^\s;,]+)", self.citation)
        return dois[0].rstrip(".") if len(dois) == 1 else None


class ReleaseTerms:
    """The terms that apply to the tables and files of a release.

    A file is under the terms of every source that it was made of, directly or through other files,
    and of the collections that its rows are of. An input that is no part of the release, such as a
    step in between, counts as made of all that is known of genes.

    Parameters
    ----------
    manifest
        Manifest of the release.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._tables = manifest.tables
        self._found: dict[str, frozenset[str]] = {}
        self._terms = {
            id_: UsageTerms(id_, *(getattr(source, name) for name in _OF_SOURCE))
            for id_, source in manifest.sources.items()
        }
        self._sources = {terms.sha256: id_ for id_, terms in self._terms.items()}
        self._versions: dict[str, list[_File]] = defaultdict(list)
        self._spaces: dict[str, list[_File]] = defaultdict(list)
        knowledge: set[str] = set()
        for name, table in manifest.tables.items():
            for file in table.files:
                self._versions[file.sha256].append((name, file))
                self._versions[table.data_version].append((name, file))
                if name == "gene_embeddings":
                    self._spaces[file.partition[0]].append((name, file))
                for terms in _stated_by(file.origin):
                    self._terms.setdefault(terms.id, terms)
                if not file.collections:
                    knowledge |= self._terms.keys() & file.origin.get("inputs", {}).keys()
        self._knowledge = frozenset(knowledge)

    @property
    def all(self) -> list[UsageTerms]:
        """The terms of all that went into the release: of sources, then of what has its own."""
        return list(self._terms.values())

    def of_table(self, name: str) -> list[UsageTerms]:
        """The terms of a table: those of all its files."""
        return self._named(*(self._ids((name, file)) for file in self._tables[name].files))

    def of_file(self, name: str, file: ReleasedFile) -> list[UsageTerms]:
        """The terms of one file of the table `name`."""
        return self._named(self._ids((name, file)))

    def _named(self, *ids: frozenset[str]) -> list[UsageTerms]:
        wanted = frozenset().union(*ids)
        return [terms for id_, terms in self._terms.items() if id_ in wanted]

    def _ids(self, of: _File) -> frozenset[str]:
        path = of[1].path
        if path not in self._found:
            self._found[path] = frozenset()  # what is asked again on the way adds nothing
            self._found[path] = frozenset(self._ids_of_origin(of))
        return self._found[path]

    def _ids_of_origin(self, of: _File) -> Iterator[str]:
        origin, collections = of[1].origin, of[1].collections
        yield from (terms.id for terms in _stated_by(origin))
        for name, version in origin.get("inputs", {}).items():
            yield from self._ids_of_input(of, name, str(version))
        yield from (collection for collection in collections if collection in self._terms)
        for table in STATE_TERMS:
            for file in self._tables[table].files if table in self._tables else ():
                if file.partition[0] in collections and file.path != of[1].path:
                    yield from self._ids((table, file))

    def _ids_of_input(self, of: _File, name: str, version: str) -> Iterator[str]:
        version = version.partition(" ")[0]
        if name in self._terms or version in self._sources:
            yield self._sources.get(version, name)
        elif version in self._versions:
            for file in self._versions[version]:
                yield from self._ids(file)
        elif space := self._spaces.get(name.rsplit(" ", maxsplit=1)[-1].partition(":")[0]):
            for file in space:
                yield from self._ids(file)
        elif table := self._table_of(name):
            for file in self._same_subject(table, of):
                yield from self._ids(file)
        else:
            yield from self._knowledge

    def _table_of(self, name: str) -> str | None:
        """The table that an input's name begins with, such as ``gene_embeddings_of_the_axis``."""
        named = [table for table in self._tables if name.startswith(table)]
        return STANDS_FOR.get(name) or max(named, key=len, default=None)

    def _same_subject(self, name: str, of: _File) -> Iterator[_File]:
        """Files of a table for the same values of its partition as a file, as far as it has any."""
        declared, wanted = TABLES[name], dict[str, tuple[str, ...]]()
        if declared.collection is not None and of[1].collections:
            wanted[declared.collection] = of[1].collections
        for column, value in zip(TABLES[of[0]].partition, of[1].partition, strict=True):
            wanted[column] = (value,)
        for file in self._tables[name].files:
            values = zip(declared.partition, file.partition, strict=True)
            if all(value in wanted.get(column, (value,)) for column, value in values):
                yield name, file


_File = tuple[str, ReleasedFile]

_OF_SOURCE: Final = (
    "title", "licence", "redistributable", "citation", "version", "released", "sha256",
)  # fmt: skip


def _stated_by(origin: Mapping[str, Any]) -> Iterator[UsageTerms]:
    """Terms in the settings of a file: of the collection or vectors that it was made of."""
    settings = origin.get("settings", {})
    if "declaration" in settings:
        settings = json.loads(settings["declaration"])
    if "licence" in settings:
        id_ = str(settings.get("id") or settings.get("space"))
        if "collection" in settings:
            id_ += f" of {settings['collection']}"
        yield UsageTerms(
            id_,
            settings.get("title", id_),
            settings["licence"],
            settings.get("redistributable", True),
            settings.get("citation", ""),
        )
