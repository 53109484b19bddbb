"""The files of releases on this machine: fetched whole once, verified, found again by content.

They share the lake's folder of copies: a part and the file it was released as are
the same bytes. Which files belong to a release is said by its manifest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
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
        if self.held(file) is None:
            self.store.download(
                f"{self.folder}/{manifest.release_id}/{file.path}", path, file.sha256
            )
        return path

    def held(self, file: ReleasedFile) -> Path | None:
        """The verified copy, if there is one; asks nobody."""
        path = self._path(file)
        return path if path.exists() and _sha256(path) == file.sha256 else None

    def _path(self, file: ReleasedFile) -> Path:
        return self.cache / f"{file.sha256}.parquet"


def _sha256(path: Path) -> str:
    """Hash of a file; looked through once, unless it was touched since."""
    state = path.stat()
    return _sha256_of(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4096)
def _sha256_of(path: Path, _touched: int, _size: int) -> str:
    return sha256_of_file(path)
