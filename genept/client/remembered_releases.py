"""Manifests and the deny list that this machine remembers while the store is out of reach.

Which release is read is decided in `genept.client.release_lookup`.
"""

from __future__ import annotations

import hashlib
from typing import Final

from genept.common import Settings, StoreError, write_privately
from genept.release import Manifest, Pointer

POINTER: Final = "current.json"
"""Name of the remembered pointer."""


class RememberedReleases:
    """Manifests and the pointer on this machine, of one product of one store.

    Parameters
    ----------
    settings
        Of the installation.
    """

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

    def pointer(self) -> Pointer | None:
        """The remembered pointer, with its deny list; None as for `recall`."""
        try:
            return Pointer.parse((self._folder / POINTER).read_bytes(), POINTER)
        except (OSError, StoreError):
            return None

    def keep(self, manifest: Manifest, pointer: Pointer | None, *, alias: str | None) -> None:
        """Remember a manifest, also under an alias, and the pointer."""
        bodies = {f"{alias}.json": manifest.body} if alias else {}
        if not (self._folder / f"{manifest.release_id}.json").exists():
            bodies[f"{manifest.release_id}.json"] = manifest.body
        if pointer is not None and pointer != self.pointer():
            bodies[POINTER] = pointer.body
        for name, body in bodies.items():
            self._folder.mkdir(parents=True, exist_ok=True)
            write_privately(self._folder / name, body())
