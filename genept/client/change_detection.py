"""What a release would be built from, before anything is built: is there any news?

Looks at sources (one conditional request each at the most), code, libraries, settings, and
what users added. What is built from them, and whether anybody should, is not decided here.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from genept.client.platform import Platform
from genept.common.errors import SourceError
from genept.datasources.download.archives import Archives
from genept.storage.provenance import code_version, sha256_of

CODE = ("genept", "validation", "assets")
SHOWN = 12


@dataclass(frozen=True)
class Outlook:
    """Everything that decides what the next release holds.

    Parameters
    ----------
    inputs
        Version by name, such as ``source go-basic``, ``code``, or ``setting spaces``.
    unasked
        Why a source could not be asked for news, by source; its copy counts.
    requests
        Requests that the look cost.
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

    def news_since(self, before: Mapping[str, str]) -> list[str]:
        """What differs from the inputs of an earlier look, in words."""
        found = []
        for name in sorted({*before, *self.inputs}):
            old, new = before.get(name), self.inputs.get(name)
            if old is None:
                found.append(f"{name} is new")
            elif new is None:
                found.append(f"{name} is gone")
            elif old != new:
                found.append(f"{name} changed")
        return found


def look(platform: Platform) -> Outlook:
    """Look at everything that a release is built from; fetches a source that has news.

    Raises
    ------
    ValueError
        If the settings name what does not exist.
    SourceError
        If a source that is needed cannot be had, and there is no copy of it either.
    """
    sources, unasked, requests = _sources(platform)
    return Outlook(
        {
            **{f"source {name}": version for name, version in sources.items()},
            "code": code_version(*CODE),
            "libraries": _libraries(),
            **{f"setting {name}": version for name, version in _settings(platform)},
            **{
                f"collection {one.id}": sha256_of(one.model_dump(mode="json"))
                for one in platform.added
            },
            **{f"space {one.id}": one.table_sha256 for one in platform.registered_spaces},
            **{
                f"vectors of {one.collection} in {one.space}": one.table_sha256
                for one in platform.outside
            },
            **{f"ensemble {one.id}": sha256_of(dict(one.weights)) for one in platform.ensembles},
        },
        unasked,
        requests,
    )


def _sources(platform: Platform) -> tuple[dict[str, str], dict[str, str], int]:
    """Versions of what is needed or at hand, what could not be asked, and requests made."""
    archives = platform.collection_archives
    needed = platform.needed_sources
    names = [one.id for one in archives.catalogue.sources.values() if one.pattern is None]
    found: dict[str, str] = {}
    unasked: dict[str, str] = {}
    requests = 0
    for name in dict.fromkeys((*names, *needed)):
        source = archives.catalogue.source(name)
        if name not in needed and not archives.is_available(name):
            continue
        if source.is_pinned:
            found[name] = source.sha256
            continue
        try:
            requests += _asked(archives, name)
        except SourceError as error:
            unasked[name] = str(error)
        seen = archives.cache_metadata(name)
        found[name] = seen.sha256 if seen else archives.data_version(name)
    return found, unasked, requests


def _asked(archives: Archives, name: str) -> int:
    """Look for news of one source and fetch what is new; how many requests the look took."""
    observed = archives.probe(name)
    if observed.requests and observed.state != "unchanged":
        archives.fetch(name, refresh=True)
    return observed.requests


def _settings(platform: Platform) -> Iterator[tuple[str, str]]:
    settings = platform.settings
    yield "collections", ",".join(sorted(one.id for one in platform.collections))
    yield "spaces", ",".join(sorted(one.id for one in platform.spaces))
    for recipe in platform.followed_recipes:
        yield f"recipe {recipe.id}", sha256_of(recipe.model_dump(mode="json"))
    yield "embedders", _file(settings.embedders)
    for name in ("max_genes", "sentences_per_collection", "full_models", "restricted", "approve"):
        yield name, str(getattr(settings, name))


def _file(path: Path | None) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path else "none"


@cache
def _libraries() -> str:
    """Every installed distribution: whichever was renewed may change a number.

    By the names of their folders, which hold name and version: reading what they say of
    themselves takes a second.
    """
    return sha256_of(
        sorted(found.name for place in sys.path for found in Path(place).glob("*.dist-info"))
    )
