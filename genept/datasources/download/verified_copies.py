"""Verified copies: what a downloaded file must be, and the metadata stored beside each copy.

Judges bytes, before any parser sees them. Where they come from is in `http`.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from genept.common import SourceError
from genept.datasources.download.network import Version
from genept.datasources.source import CADENCES, Media, PublishedChecksum, Source

HEAD: Final = 512
_MAGIC: Final[dict[Media, bytes]] = {
    "gzip": b"\x1f\x8b",
    "tar": b"\x1f\x8b",
    "zip": b"PK\x03\x04",
    "h5": b"\x89HDF\r\n\x1a\n",
    "parquet": b"PAR1",
}
_DIGEST_LENGTH: Final = {"md5": 32, "sha1": 40, "sha256": 64}


class WrongBytesError(SourceError):
    """What came is not what was promised: asked for once more, then refused."""


def _shown(head: bytes) -> str:
    return " ".join(head.decode("utf-8", "replace").split())[:40]


def refuse_head(head: bytes, media: Media) -> None:
    """Refuse a file by its first `HEAD` bytes.

    Raises
    ------
    WrongBytesError
        It is empty, a web page, or of another kind than its catalogue entry says.
    """
    if not head:
        raise WrongBytesError("the file is empty (0 bytes): refused")
    text = head.lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n")
    if text.startswith(b"<"):
        raise WrongBytesError(
            f"a web page came instead of the file (it begins with {_shown(text)!r}): refused. Open "
            "the address in a browser: the publisher may be down, or have moved it"
        )
    if media == "text" and head.startswith(_MAGIC["gzip"]):
        return
    magic = _MAGIC.get(media)
    if media == "tar" and head[257:].startswith(b"ustar"):
        return  # a tar that is not packed
    if magic is not None and not head.startswith(magic):
        raise WrongBytesError(f"expected {media}, but it begins with {head[:16]!r}: refused")
    is_binary = b"\0" in head and not head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if magic is None and (is_binary or head.startswith((*_MAGIC.values(), b"\x80"))):
        raise WrongBytesError(f"expected plain text, but it begins with {head[:16]!r}: refused")


def refuse_file(path: Path, source: Source, checksum: str | None = None) -> str:
    """Refuse a whole file that is not what its entry promises; its SHA-256 if it is.

    Parameters
    ----------
    checksum
        Digest that the publisher states, if the catalogue entry names a checksum file.

    Raises
    ------
    WrongBytesError
        Its size, kind or checksum is another.
    """
    size, name = path.stat().st_size, source.filename
    if source.is_pinned and size != source.bytes:
        raise WrongBytesError(f"{name} has {size:,} bytes, expected {source.bytes:,}")
    if size > source.bytes:
        raise WrongBytesError(f"{name} has {size:,} bytes, at most {source.bytes:,} accepted")
    with path.open("rb") as file:
        head = file.read(HEAD)
        file.seek(0)
        sha256: str = hashlib.file_digest(file, "sha256").hexdigest()
        if sha256 != source.pinned_sha256:
            refuse_head(head, source.kind)
        if source.is_pinned and sha256 != source.sha256:
            raise WrongBytesError(f"{name} has SHA-256 {sha256}, expected {source.sha256}")
        if checksum is not None and isinstance(source.checksum, PublishedChecksum):
            file.seek(0)
            kind = source.checksum.algorithm
            if (digest := hashlib.file_digest(file, kind).hexdigest()) != checksum:
                raise WrongBytesError(f"{name} has {kind} {digest}, published is {checksum}")
    return sha256


def published_digest(text: str, rule: PublishedChecksum, filename: str) -> str:
    """The digest of `filename` out of a publisher's checksum file.

    Raises
    ------
    SourceError
        There is none, or several that differ.
    """
    wanted = rf"(?<![0-9a-f])[0-9a-f]{{{_DIGEST_LENGTH[rule.algorithm]}}}(?![0-9a-f])"
    lines = [line for line in text.splitlines() if line.strip()]
    named = [line for line in lines if filename in re.split(r"[\s*()/]+", line)]
    chosen = named or (lines if len(lines) == 1 else [])
    digests = {digest for line in chosen for digest in re.findall(wanted, line.lower())}
    if len(digests) != 1:
        raise SourceError(
            f"{rule.address} states {len(digests)} {rule.algorithm} sums of {filename}; "
            "expected one"
        )
    return str(digests.pop())


METADATA_FILE: Final = "seen.json"


class CacheMetadata(BaseModel):
    """Metadata of a verified copy of a source, stored beside it.

    `stamp` is size, modification time and inode of the file at `path`: while they hold, so
    does `sha256`. `place` is the address, or mirror, that it came from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    place: str
    sha256: str
    stamp: tuple[int, int, int]
    etag: str | None
    modified: str | None
    fetched_at: str
    checked_at: str

    @classmethod
    def of(
        cls, path: Path, place: str, sha256: str, version: Version | None = None
    ) -> CacheMetadata:
        """Metadata of a file that was verified just now."""
        version, now = version or Version(), _now()
        return cls(
            path=str(path), place=place, sha256=sha256, stamp=file_stamp(path), etag=version.etag,
            modified=version.modified, fetched_at=now, checked_at=now,
        )  # fmt: skip

    @property
    def version(self) -> Version:
        """What its server called this version."""
        return Version(self.etag, self.modified)

    @property
    def released(self) -> datetime | None:
        """When the publisher last changed it, if the server said so."""
        try:
            return parsedate_to_datetime(self.modified) if self.modified else None
        except ValueError:
            return None

    def is_intact(self) -> bool:
        """Whether the file is still the one that was verified."""
        try:
            return file_stamp(Path(self.path)) == self.stamp
        except OSError:
            return False

    def is_due(self, source: Source) -> bool:
        """Whether the publisher is to be queried for a new version now."""
        cadence = CADENCES[source.refresh]
        age = datetime.now(UTC) - datetime.fromisoformat(self.checked_at)
        return cadence is not None and age >= cadence

    def checked(self) -> CacheMetadata:
        """The same metadata with the current time as the time of the last check."""
        return self.model_copy(update={"checked_at": _now()})


def file_stamp(path: Path) -> tuple[int, int, int]:
    """Size, modification time and inode of a file: they change when it is replaced or written."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino


def read_metadata(folder: Path, *, touched: bool = False) -> CacheMetadata | None:
    """The metadata stored in `folder`, if any; of a modified file only with `touched`."""
    try:
        seen = CacheMetadata.model_validate_json((folder / METADATA_FILE).read_bytes())
    except (OSError, ValueError):
        return None  # without metadata the file is fetched, or hashed, again
    return seen if touched or seen.is_intact() else None


def write_metadata(folder: Path, seen: CacheMetadata) -> CacheMetadata:
    """Store metadata in `folder` atomically, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{METADATA_FILE}-{os.getpid()}"
    partial.write_text(seen.model_dump_json(indent=1), "utf-8")
    partial.replace(folder / METADATA_FILE)
    return seen


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
