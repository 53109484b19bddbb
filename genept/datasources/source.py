"""A source: one published file, with its address, licence, size and checksum.

The model of the `[sources.…]` entries of the catalogue and their validation. Which sources there
are is in `catalogue.toml`; downloading is in `genept.datasources.download`.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, Final, Literal
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from genept.common import SourceError

ID: Final = r"^[a-z0-9][a-z0-9-]*$"
Media = Literal["plain", "text", "gzip", "zip", "tar", "h5", "parquet"]
"""How a file is packed; ``text`` is plain or gzipped, as a publisher and a mirror may differ."""
Cadence = Literal["never", "daily", "weekly", "monthly", "yearly"]
CADENCES: Final[dict[Cadence, timedelta | None]] = {
    "never": None,
    "daily": timedelta(days=1),
    "weekly": timedelta(days=7),
    "monthly": timedelta(days=30),
    "yearly": timedelta(days=365),
}


class Entry(BaseModel):
    """An entry of the catalogue: immutable, without unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PublishedChecksum(Entry):
    """A file of checksums that the publisher keeps beside the data.

    Attributes
    ----------
    algorithm
        Hash function of the digests.
    address
        Address of the file: the digest alone, or lines of digest and file name as `md5sum` writes
        them.
    """

    algorithm: Literal["md5", "sha1", "sha256"]
    address: str


class Source(Entry):
    """One file: a pinned archive of the package index, a public address, or a mirror's file.

    With a SHA-256 it is pinned to the byte and never checked for a new version. Without
    one, `checksum` says how a download is verified, and `refresh` how often the publisher is
    checked for a new version. An entry with a `pattern` stands for many files: `geo:GSE2034` is the
    entry `geo`, its address filled by the named groups of the pattern.
    """

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*(:[A-Za-z0-9._-]+)?$")
    title: str
    publisher: str
    licence: str
    redistributable: bool
    citation: str
    bytes: int = Field(gt=0)
    """Exact size if pinned, otherwise the most accepted."""
    unpacked_bytes: int | None = Field(None, gt=0)
    """The most it may unpack to, where that is beyond the usual cap."""
    pinned_sha256: str | None = Field(None, alias="sha256", pattern=r"^[0-9a-f]{64}$")
    published: date | None = Field(None, alias="released")
    """Date of the data, not of a package."""
    version: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9.+! _-]*$")
    filename: str = ""
    """Name on disk; by default the last part of the address."""
    mirror: str | None = None
    """Path below a mirror."""
    package: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")

    address: str | None = None
    """https:// or s3://, without a query."""
    pattern: str | None = None
    """What may follow the colon of an id."""
    hosts: tuple[str, ...] = ()
    """Where its redirects may lead."""
    region: str = "us-east-1"
    """AWS region of an s3:// address."""
    signed: bool = False
    """An s3:// address that needs this installation's credentials."""
    media: Media = "plain"
    ranges: bool = False
    """Only the bytes that are needed are fetched, unless it is here as a whole."""
    checksum: Literal["etag"] | PublishedChecksum | None = None
    refresh: Cadence = "never"

    @property
    def sha256(self) -> str:
        """The SHA-256 that pins it.

        Raises
        ------
        SourceError
            It is not pinned: the hash is known only of its local copy.
        """
        if self.pinned_sha256 is None:
            raise SourceError(
                f"source {self.id!r} is not pinned: call `Archives.data_version({self.id!r})`"
            )
        return self.pinned_sha256

    @property
    def released(self) -> date:
        """Date of the data.

        Raises
        ------
        SourceError
            The catalogue states no date.
        """
        if self.published is None:
            raise SourceError(
                f"source {self.id!r} states no date: call "
                f"`Archives.cache_metadata({self.id!r})`, or add `released` to its catalogue entry"
            )
        return self.published

    @property
    def is_pinned(self) -> bool:
        """Whether a SHA-256 says which bytes it is."""
        return self.pinned_sha256 is not None

    @property
    def is_package(self) -> bool:
        """Whether it is an archive of the package index."""
        return self.package is not None

    @property
    def is_wheel(self) -> bool:
        """Whether the archive is a wheel (zip) and not a source distribution (tar.gz)."""
        return self.filename.endswith(".whl")

    @property
    def kind(self) -> Media:
        """How the bytes are packed."""
        if self.is_package:
            return "zip" if self.is_wheel else "tar"
        return self.media

    @property
    def label(self) -> str:
        """Name for messages and progress bars."""
        return f"{self.package} {self.version}" if self.is_package else self.id

    @property
    def released_as(self) -> str:
        """Name and version, for tables made from the source."""
        return f"{self.package or self.id} {self.version or ''}".rstrip()

    @property
    def terms(self) -> dict[str, Any]:
        """Terms of use, version and size, by name."""
        return {
            **self.model_dump(include={"publisher", "licence", "redistributable", "citation"}),
            "refreshed": self.refresh,
            "version": self.version or "current",
            "released": str(self.published or "see its observations"),
            "bytes" if self.is_pinned else "bytes_at_most": self.bytes,
        }

    @property
    def doi(self) -> str | None:
        """Identifier of the publication that is cited, if the citation gives it."""
        match = re.search(r"\bdoi:(\S+)", self.citation)
        return match[1] if match else None

    @property
    def url(self) -> str | None:
        """The address as HTTPS: an anonymous bucket is a web server like any other."""
        if self.address is None or not self.address.startswith("s3://"):
            return self.address
        bucket, _, key = self.address.removeprefix("s3://").partition("/")
        if "." in bucket:  # the certificate of *.s3.… does not cover a dotted name
            return f"https://s3.{self.region}.amazonaws.com/{bucket}/{key}"
        return f"https://{bucket}.s3.{self.region}.amazonaws.com/{key}"

    @cached_property
    def allowed_hosts(self) -> frozenset[str]:
        """Hosts that may be contacted for it."""
        own = urlsplit(self.url).hostname if self.url else None
        checksum = self.checksum.address if isinstance(self.checksum, PublishedChecksum) else ""
        named = {own, urlsplit(checksum).hostname, *self.hosts}
        return frozenset(host.lower() for host in named if host)

    def filled(self, value: str) -> Source:
        """The one file of a pattern that `value` names.

        Raises
        ------
        SourceError
            The entry has no pattern, or `value` does not fit it.
        """
        match = re.fullmatch(self.pattern, value) if self.pattern else None
        if match is None:
            wanted = f"{self.pattern!r} after the colon" if self.pattern else "no colon"
            raise SourceError(f"source '{self.id}:{value}': expected {wanted}")
        groups = {name: text or "" for name, text in match.groupdict().items()}
        return Source.model_validate(
            self.model_dump(by_alias=True, exclude_unset=True, exclude={"filename", "pattern"})
            | {
                "id": f"{self.id}:{value}",
                "address": (self.address or "").format_map(groups),
                "filename": self.filename.format_map(groups),
                "mirror": self.mirror.format_map(groups) if self.mirror else None,
            }
        )

    @field_validator("address")
    @classmethod
    def _address_is_plain(cls, address: str | None) -> str | None:
        if address is not None:
            parts = urlsplit(address)
            if parts.scheme not in ("https", "s3") or not parts.hostname:
                raise ValueError(f"{address!r} is not an https:// or s3:// address")
            if parts.username or parts.password or parts.port or parts.query or parts.fragment:
                raise ValueError(f"{address!r}: no credentials, port, query or fragment, please")
        return address

    @field_validator("mirror")
    @classmethod
    def _mirror_stays_below(cls, mirror: str | None) -> str | None:
        if mirror is not None:
            path = PurePosixPath(mirror)
            if path.is_absolute() or ".." in path.parts or "\\" in mirror or not path.name:
                raise ValueError(f"mirror = {mirror!r} must be a path below the mirror")
        return mirror

    @model_validator(mode="before")
    @classmethod
    def _filename_from_the_address(cls, data: object) -> object:
        if isinstance(data, dict) and not data.get("filename"):
            place = data.get("address") or data.get("mirror")
            if isinstance(place, str):
                return data | {"filename": unquote(place.rsplit("/", 1)[-1])}
        return data

    @model_validator(mode="after")
    def _is_one_kind(self) -> Source:
        if self.is_package:
            self._check_package()
        elif self.address is None and self.mirror is None:
            raise ValueError("say where it is: `package`, `address`, or at least `mirror`")
        elif self.address is None and not self.is_pinned:
            raise ValueError("what only a mirror has must be pinned: give `sha256` and `bytes`")
        if not re.fullmatch(r"[A-Za-z0-9{][A-Za-z0-9._+!{}-]*", self.filename):
            raise ValueError(f"filename = {self.filename!r} is no plain file name")
        return self

    @model_validator(mode="after")
    def _is_verifiable(self) -> Source:
        if self.is_pinned and (self.checksum or self.refresh != "never"):
            raise ValueError("pinned, so neither `checksum` nor `refresh`: it never changes")
        if not self.is_pinned and self.checksum is None:
            raise ValueError(
                'say how a download is verified: `sha256`, `checksum = "etag"`, or '
                "`checksum = { algorithm = …, address = … }`"
            )
        if self.ranges and self.checksum != "etag":
            raise ValueError('`ranges` needs `checksum = "etag"`')
        if isinstance(self.checksum, PublishedChecksum):
            self._address_is_plain(self.checksum.address)
        if self.pattern is not None:
            self._check_pattern(self.pattern)
        elif self.address and re.search(r"[{}]", self.address):
            raise ValueError(f"{self.address!r} has a gap to fill: give a `pattern`")
        return self

    def _check_package(self) -> None:
        if self.address or self.pattern or self.hosts or self.checksum or self.media != "plain":
            raise ValueError("a `package` has no address, pattern, hosts, checksum or media")
        if self.version is None or not self.is_pinned or self.published is None:
            raise ValueError("a `package` is pinned by version, sha256, bytes and released")
        if not re.fullmatch(r"[A-Za-z0-9.+!-]+", self.version):
            raise ValueError(f"version = {self.version!r} is no version of a package")
        if not self.filename.endswith((".whl", ".tar.gz")):
            raise ValueError(f"filename = {self.filename!r} is neither a .whl nor a .tar.gz")

    def _check_pattern(self, pattern: str) -> None:
        try:
            groups = set(re.compile(pattern).groupindex)
        except re.error as error:
            raise ValueError(f"pattern = {pattern!r} is no regular expression: {error}") from None
        if self.address is None or self.is_pinned:
            raise ValueError("a pattern needs an address, and no sha256: it stands for many files")
        gaps = set(re.findall(r"\{(\w*)\}", f"{self.address} {self.filename} {self.mirror or ''}"))
        if gaps != groups & gaps or not gaps:
            raise ValueError(f"the address fills {sorted(gaps)}, the pattern has {sorted(groups)}")
