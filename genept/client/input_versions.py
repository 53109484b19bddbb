"""Versions of everything that decides what the next release holds.

What an installation has is `genept.client.installation`; what is made of changed inputs, in
`assets`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from genept.client.generated_texts import generated_version
from genept.common import SourceError
from genept.storage import code_version, sha256_of, sha256_of_file
from genept.text import embedder_files

if TYPE_CHECKING:
    from genept.client.platform import Platform


@dataclass(frozen=True)
class InputVersions:
    """Everything that decides what the next release holds.

    Parameters
    ----------
    inputs
        Version by name, such as ``source go-basic``, ``code``, or ``setting spaces``.
    sources
        Data version by source.
    unavailable
        Why a source could not be checked, by source; the version of its local copy counts.
    requests
        Number of requests that were made.
    """

    inputs: Mapping[str, str]
    sources: Mapping[str, str]
    unavailable: Mapping[str, str]
    requests: int


def read_input_versions(platform: Platform) -> InputVersions:
    """Read the versions of all inputs of a release; fetch a source that has changed.

    Parameters
    ----------
    platform
        The installation, with its sources, settings and what users registered.

    Returns
    -------
    InputVersions
        Of the sources (at most one conditional request each), code, libraries, settings, and of
        registered collections, spaces, vectors and ensembles.

    Raises
    ------
    ValueError
        If the settings name what does not exist.
    SourceError
        If a source that is needed cannot be had, and there is no copy of it either.
    """
    sources, unavailable, requests = _sources(platform)
    inputs = {f"source {name}": version for name, version in sources.items()}
    inputs |= {"code": code_version("genept", "validation", "assets"), "libraries": _libraries()}
    inputs |= {f"setting {name}": version for name, version in _settings(platform)}
    for added in platform.added:
        inputs[f"collection {added.id}"] = sha256_of(added.model_dump(mode="json"))
    for screen in platform.added_screens:
        inputs[f"screen {screen.id}"] = sha256_of(screen.model_dump(mode="json"))
    for table in platform.registered_spaces:
        inputs[f"space {table.id}"] = table.table_sha256
    for vectors in platform.outside:
        inputs[f"vectors of {vectors.collection} in {vectors.space}"] = vectors.table_sha256
    for ensemble in platform.ensembles:
        inputs[f"ensemble {ensemble.id}"] = sha256_of(dict(ensemble.weights))
    return InputVersions(inputs, sources, unavailable, requests)


def _sources(platform: Platform) -> tuple[dict[str, str], dict[str, str], int]:
    """Versions of what is needed or available, what could not be checked, and requests made."""
    archives = platform.collection_archives
    needed = platform.needed_sources
    names = [entry.id for entry in archives.catalogue.sources.values() if entry.pattern is None]
    versions: dict[str, str] = {}
    unavailable: dict[str, str] = {}
    requests = 0
    for name in dict.fromkeys((*names, *needed)):
        source = archives.catalogue.source(name)
        if name not in needed and not archives.is_available(name):
            continue
        if source.is_pinned:
            versions[name] = source.sha256
            continue
        try:
            observed = archives.probe(name)
            if observed.requests and observed.state != "unchanged":
                archives.obtain(name, refresh=True)
            requests += observed.requests
        except SourceError as error:
            unavailable[name] = str(error)
        seen = archives.cache_metadata(name)
        versions[name] = seen.sha256 if seen else archives.data_version(name)
    return versions, unavailable, requests


def _settings(platform: Platform) -> Iterator[tuple[str, str]]:
    settings = platform.settings
    yield "collections", ",".join(sorted(collection.id for collection in platform.collections))
    yield "spaces", ",".join(sorted(space.id for space in platform.spaces))
    yield "writers", ",".join(platform.writers)
    for recipe in platform.followed_recipes:
        yield f"recipe {recipe.id}", sha256_of(recipe.model_dump(mode="json"))
    yield "label texts", ",".join(settings.label_texts)
    yield "generated texts", generated_version(platform)
    declared = [sha256_of_file(path) for path in embedder_files(settings)]
    yield "embedders", sha256_of(declared) if declared else "none"
    for name in ("max_genes", "sentences_per_collection", "full_models", "restricted", "approve"):
        yield name, str(getattr(settings, name))


@cache
def _libraries() -> str:
    """Installed distributions; their folders' names, for reading their metadata takes a second."""
    return sha256_of(sorted(f.name for at in sys.path for f in Path(at).glob("*.dist-info")))
