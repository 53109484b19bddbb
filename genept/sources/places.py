"""Where a source may be had: the mirrors in their order, then an override or the publisher.

A mirror is a folder, an `s3://bucket/prefix` or an `https://` address that holds files
under the paths of the catalogue. It has no say in what is right: checksum, size and parser
are the same from everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote, urlsplit

from genept.sources.errors import SourceError
from genept.sources.network import Place
from genept.sources.source import PublishedChecksum, Source

Presign = Callable[[str, str], str]
"""From a bucket and key to an address that this installation may read for a while."""


class Places:
    """What the operator set, put together with what the catalogue says.

    Parameters
    ----------
    mirrors
        Folders, `s3://bucket/prefix` of this installation's store, `https://` addresses.
    addresses
        Address to use instead of the catalogue's, by source id. May be private.
    presign
        Signs reads of buckets that are not public.
    """

    def __init__(
        self,
        mirrors: Sequence[str] = (),
        addresses: Mapping[str, str] | None = None,
        presign: Presign | None = None,
    ) -> None:
        self.mirrors = tuple(mirrors)
        self.addresses = dict(addresses or {})
        self._presign = presign

    def of(self, source: Source) -> Iterator[Path | Place]:
        """Every place of a source, in the order in which to try them."""
        for mirror in self.mirrors:
            yield self._below(mirror, mirror_path(source))
        address = self._override(source) or source.url
        if address is None:
            return
        if source.id.partition(":")[0] in self.addresses:
            yield self._trusted(address)
        elif source.signed and source.address:
            bucket, _, key = source.address.removeprefix("s3://").partition("/")
            yield self._own(bucket, key)
        else:
            yield Place(source.address or address, lambda: address, source.allowed_hosts)

    def checksum(self, source: Source, place: Place) -> Place | None:
        """Where the publisher's checksum of a file from `place` is, if he publishes one.

        A mirror, or an override, keeps it beside the file under the publisher's name.
        """
        if not isinstance(source.checksum, PublishedChecksum):
            return None
        if not place.trusted:
            address = source.checksum.address
            return Place(address, lambda: address, source.allowed_hosts)
        name = source.checksum.address.rsplit("/", 1)[-1]
        address = f"{place.name.rsplit('/', 1)[0]}/{name}"
        if address.startswith("s3://"):
            return self._own(*address.removeprefix("s3://").split("/", 1))
        return self._trusted(address)

    def _below(self, mirror: str, path: str) -> Path | Place:
        scheme = urlsplit(mirror).scheme
        if scheme == "s3":
            bucket, _, prefix = mirror.removeprefix("s3://").partition("/")
            return self._own(bucket, "/".join(filter(None, (prefix.strip("/"), path))))
        if scheme in ("http", "https"):
            return self._trusted(f"{mirror.rstrip('/')}/{quote(path)}")
        return Path(mirror).expanduser() / path

    def _override(self, source: Source) -> str | None:
        entry, _, value = source.id.partition(":")
        address = self.addresses.get(entry)
        return address.format(value) if address and value else address

    def _own(self, bucket: str, key: str) -> Place:
        def signed() -> str:
            if self._presign is None:
                raise SourceError(f"s3://{bucket}/{key}: no object store is configured to read it")
            return self._presign(bucket, key)

        return Place(f"s3://{bucket}/{key}", signed, trusted=True)

    @staticmethod
    def _trusted(address: str) -> Place:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SourceError(f"{address!r} in GENEPT_MIRRORS or GENEPT_ADDRESSES is no address")
        name = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
        return Place(name, lambda: address, frozenset({parts.hostname}), trusted=True)


def mirror_path(source: Source) -> str:
    """Path of a source below a mirror."""
    folder = "packages" if source.is_package else source.id.replace(":", "/")
    return source.mirror or f"{folder}/{source.filename}"
