"""Versions of everything that a release is built from, read before anything is built.

Checks sources (at most one conditional request each), code, libraries, settings, and what users
added. Whether a release is built from them is decided in `assets/operations.py`.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from genept.client.platform import Platform
from genept.common import SourceError
from genept.datasources.download import Archives
from genept.storage import code_version, sha256_of

CODE = ("genept", "validation", "assets")
SHOWN = 12


@dataclass(frozen=True)
class InputVersions:
    """Everything that decides what the next release holds.

    Parameters
    ----------
    inputs
        Version by name, such as ``source go-basic``, ``code``, or ``setting spaces``.
    unasked
        Why a source could not be checked, by source; the version of its local copy counts.
    requests
        Number of requests that were made.
    """

    inputs: Mapping[str, str]
    unasked: Mapping[str, str] = field(default_factory=dict)
    requests: int = 0

    @property
    def data_version(self) -> str:
        """Changes with any of the inputs."""
        return sha256_of(dict(self.inputs))

    @property
    def sources(self) -> dict[str, str]:
        """Data version by source."""
        return {
            name.removeprefix("source "): version
            for name, version in self.inputs.items()
            if name.startswith("source ")
        }

    def changes_since(self, before: Mapping[str, str]) -> list[str]:
        """Sentences on what differs from the inputs of an earlier check."""
        changes = []
        for name in sorted({*before, *self.inputs}):
            old, new = before.get(name), self.inputs.get(name)
            if old is None:
                changes.append(f"{name} is new")
            elif new is None:
                changes.append(f"{name} is gone")
            elif old != new:
                changes.append(f"{name} changed")
        return changes


def read_input_versions(platform: Platform) -> InputVersions:
    """Read the versions of all inputs of a release; fetch a source that has changed.

    Parameters
    ----------
    platform
        The installation, with its sources, settings and what users registered.

    Returns
    -------
    InputVersions
        Of the sources, code, libraries, settings, collections, spaces, vectors and ensembles.

    Raises
    ------
    ValueError
        If the settings name what does not exist.
    SourceError
        If a source that is needed cannot be had, and there is no copy of it either.
    """
    sources, unasked, requests = _sources(platform)
    return InputVersions(
        {
            **{f"source {name}": version for name, version in sources.items()},
            "code": code_version(*CODE),
            "libraries": _libraries(),
            **{f"setting {name}": version for name, version in _settings(platform)},
            **{
                f"collection {added.id}": sha256_of(added.model_dump(mode="json"))
                for added in platform.added
            },
            **{f"space {space.id}": space.table_sha256 for space in platform.registered_spaces},
            **{
                f"vectors of {vectors.collection} in {vectors.space}": vectors.table_sha256
                for vectors in platform.outside
            },
            **{
                f"ensemble {ensemble.id}": sha256_of(dict(ensemble.weights))
                for ensemble in platform.ensembles
            },
        },
        unasked,
        requests,
    )


def _sources(platform: Platform) -> tuple[dict[str, str], dict[str, str], int]:
    """Versions of what is needed or available, what could not be checked, and requests made."""
    archives = platform.collection_archives
    needed = platform.needed_sources
    names = [entry.id for entry in archives.catalogue.sources.values() if entry.pattern is None]
    versions: dict[str, str] = {}
    unasked: dict[str, str] = {}
    requests = 0
    for name in dict.fromkeys((*names, *needed)):
        source = archives.catalogue.source(name)
        if name not in needed and not archives.is_available(name):
            continue
        if source.is_pinned:
            versions[name] = source.sha256
            continue
        try:
            requests += _refreshed(archives, name)
        except SourceError as error:
            unasked[name] = str(error)
        seen = archives.cache_metadata(name)
        versions[name] = seen.sha256 if seen else archives.data_version(name)
    return versions, unasked, requests


def _refreshed(archives: Archives, name: str) -> int:
    """Check one source, fetch it if it changed, and return how many requests the check took."""
    observed = archives.probe(name)
    if observed.requests and observed.state != "unchanged":
        archives.fetch(name, refresh=True)
    return observed.requests


def _settings(platform: Platform) -> Iterator[tuple[str, str]]:
    settings = platform.settings
    yield "collections", ",".join(sorted(collection.id for collection in platform.collections))
    yield "spaces", ",".join(sorted(space.id for space in platform.spaces))
    for recipe in platform.followed_recipes:
        yield f"recipe {recipe.id}", sha256_of(recipe.model_dump(mode="json"))
    yield "embedders", _file(settings.embedders)
    for name in ("max_genes", "sentences_per_collection", "full_models", "restricted", "approve"):
        yield name, str(getattr(settings, name))


def _file(path: Path | None) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path else "none"


@cache
def _libraries() -> str:
    """Every installed distribution: an upgrade of any may change a number.

    Read from the names of their folders, which hold name and version: reading their metadata
    takes a second.
    """
    return sha256_of(
        sorted(folder.name for entry in sys.path for folder in Path(entry).glob("*.dist-info"))
    )
