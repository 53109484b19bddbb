"""Whether a release still lies in the store as it was sealed, file by file, through S3."""

from __future__ import annotations

from genept.console import progress_bar
from genept.store.bucket import Bucket
from genept.store.errors import MissingObjectError
from genept.store.manifest import Manifest


def verify(store: Bucket, folder: str, manifest: Manifest) -> list[str]:
    """What is wrong with a release: missing, damaged or unlisted objects; empty if nothing is.

    Every listed byte is read: data and pages by SHA-256, data by size as well.
    """
    listed: dict[str, tuple[int | None, str]] = {
        f"audit/{path}": (None, sha256) for path, sha256 in manifest.audit.items()
    }
    for table in manifest.tables.values():
        listed |= {file.path: (file.bytes, file.sha256) for file in table.files}
    found = []
    with progress_bar("verifying", len(listed)) as advance:
        for path, (size, sha256) in listed.items():
            if fault := _fault(store, f"{folder}/{path}", size, sha256):
                found.append(f"{path} {fault}")
            advance(1)
    stored = {info.key.removeprefix(f"{folder}/") for info in store.list(f"{folder}/")}
    unlisted = sorted(stored - set(listed) - {"manifest.json"})
    return [*found, *(f"{path} is not listed in the manifest" for path in unlisted)]


def _fault(store: Bucket, key: str, size: int | None, sha256: str) -> str | None:
    try:
        stored_size, stored_sha256 = store.digest(key)
    except MissingObjectError:
        return "is missing"
    if size not in {None, stored_size}:
        return f"has {stored_size} bytes, {size} were sealed"
    if stored_sha256 != sha256:
        return f"has the SHA-256 {stored_sha256[:12]}…, {sha256[:12]}… was sealed"
    return None
