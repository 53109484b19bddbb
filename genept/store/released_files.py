"""The files of releases on this machine: fetched whole once, verified, found again by content.

They share the lake's folder of copies: a part and the file it was released as are
the same bytes. Which files belong to a release is said by its manifest.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from genept.store.bucket import Bucket
from genept.store.manifest import Manifest, ReleasedFile
from genept.store.provenance import sha256_of_file


@dataclass(frozen=True)
class ReleasedFiles:
    """Files of the releases below `folder` of a bucket, and their copies in `cache`."""

    store: Bucket
    folder: str
    cache: Path

    def local(self, manifest: Manifest, file: ReleasedFile) -> Path:
        """A copy on this machine, verified by its hash; fetched if there is none, or a damaged one.

        Raises `StoreError` when it is not at hand and the store cannot be reached.
        """
        path = self._path(file)
        if not path.exists() or sha256_of_file(path) != file.sha256:
            self.store.download(
                f"{self.folder}/{manifest.release_id}/{file.path}", path, file.sha256
            )
        return path

    def held(self, file: ReleasedFile) -> Path | None:
        """The verified copy, if there is one; asks nobody."""
        path = self._path(file)
        return path if path.exists() and sha256_of_file(path) == file.sha256 else None

    def _path(self, file: ReleasedFile) -> Path:
        return self.cache / f"{file.sha256}.parquet"
