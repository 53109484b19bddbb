"""Local copies of the files of releases.

Which files a release has is in its manifest: `genept.release.manifest`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from genept.release.manifest import Manifest, ReleasedFile
from genept.storage import Bucket, sha256_of_file


@dataclass(frozen=True)
class ReleasedFiles:
    """Files of the releases below `folder` of a bucket, with verified copies in `cache`.

    Parameters
    ----------
    store
        The bucket.
    folder
        Key prefix of the releases.
    cache
        Local folder of the copies, which are named by SHA-256.
    """

    store: Bucket
    folder: str
    cache: Path

    def local(self, manifest: Manifest, file: ReleasedFile) -> Path:
        """Return the path of a verified copy of a file of a release, downloaded if needed.

        Raises `StoreError` if there is no valid copy, and the file cannot be downloaded.
        """
        path = self._path(file)
        if self.held(file) is None:
            self.store.download(
                f"{self.folder}/{manifest.release_id}/{file.path}", path, file.sha256
            )
        return path

    def held(self, file: ReleasedFile) -> Path | None:
        """Return the verified local copy if there is one; sends no request."""
        path = self._path(file)
        if not path.exists():
            return None
        state = path.stat()
        return path if _sha256(path, state.st_mtime_ns, state.st_size) == file.sha256 else None

    def _path(self, file: ReleasedFile) -> Path:
        return self.cache / f"{file.sha256}.parquet"


@lru_cache(maxsize=4096)
def _sha256(path: Path, _touched: int, _size: int) -> str:
    """SHA-256 of a file; computed again only if its time or size changed."""
    return sha256_of_file(path)
