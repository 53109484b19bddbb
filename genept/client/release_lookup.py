"""Which release an analyst reads: the current one, or one that was pinned; available offline.

Manifests are kept on this machine, so that a notebook can read files that were kept here while
the store is out of reach. Tables are read in `genept.client.api`.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

from genept.common import Settings, StoreError, UnreachableStoreError
from genept.release import Manifest, Releases
from genept.storage import Lake, Role, open_store

LATEST = "latest"


class OfflineWarning(UserWarning):
    """The store is out of reach: what was kept on this machine is read instead."""


@dataclass(frozen=True)
class Resolved:
    """A release to read from; `offline` if the store was out of reach when it was resolved."""

    releases: Releases
    manifest: Manifest
    offline: bool = False


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
        Id of a release, or ``latest``.
    settings
        As for `open_releases`.

    Returns
    -------
    Resolved
        The release; `OfflineWarning` is issued if it is the remembered one.

    Raises
    ------
    StoreError
        If there is no such release, or the store is out of reach and nothing is remembered.
    """
    settings = settings or Settings()
    memory = _Memory(settings)
    known = open_releases(settings)
    if release != LATEST and (pinned := memory.recall(release)):
        return Resolved(known, pinned)  # sealed releases never change: no request is needed
    try:
        manifest = known.current() if release == LATEST else known.manifest(release)
    except UnreachableStoreError:
        remembered = memory.recall(release)
        if remembered is None:
            raise
        warnings.warn(
            f"the store is out of reach: reading release {remembered.release_id}, as far as its "
            "files were kept on this machine",
            OfflineWarning,
            stacklevel=3,
        )
        return Resolved(known, remembered, offline=True)
    memory.keep(manifest, is_latest=release == LATEST)
    return Resolved(known, manifest)


class _Memory:
    """Manifests on this machine, of one product of one store."""

    def __init__(self, settings: Settings) -> None:
        where = f"{settings.s3_endpoint} {settings.bucket} {settings.product}"
        name = f"{settings.product}-{hashlib.sha256(where.encode()).hexdigest()[:12]}"
        self._folder = settings.state / "cache" / "manifests" / name

    def recall(self, release: str) -> Manifest | None:
        """A remembered manifest; None if there is none or it cannot be read."""
        try:
            return Manifest.parse((self._folder / f"{release}.json").read_bytes(), release)
        except (OSError, StoreError):
            return None

    def keep(self, manifest: Manifest, *, is_latest: bool) -> None:
        for name in (manifest.release_id, *([LATEST] if is_latest else [])):
            path = self._folder / f"{name}.json"
            if name == LATEST or not path.exists():
                _write(path, manifest.body())


def _write(path: Path, body: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
        try:
            file.write(body)
            file.close()
            os.replace(file.name, path)  # noqa: PTH105 (the name is a string)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
