"""User collections: files and a declaration in the bucket, beside the shipped catalogue.

Files are stored under their hash and never rewritten; the declaration names them and is written
last. Removing a collection removes the declaration, not what was released. What a file holds is
detected in `genept.collections.detection`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from genept.common import SourceError, StoreError
from genept.datasources import Catalogue, Collection, Media, Source
from genept.datasources.download import Archives, Ranged, SourceLocations, is_tar, mirror_path
from genept.storage import ObjectStore, Registrations, sha256_of_file

_MAGIC: Final[tuple[tuple[bytes, Media], ...]] = (
    (b"\x89HDF\r\n\x1a\n", "h5"),
    (b"PK\x03\x04", "zip"),
    (b"\x1f\x8b", "gzip"),
    (b"PAR1", "parquet"),
)


class UserCollection(BaseModel):
    """The declaration of a collection that a user added.

    Parameters
    ----------
    collection
        Its catalogue entry.
    sources
        Its files.
    added
        When it was added.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    collection: Collection
    sources: tuple[Source, ...]
    added: datetime

    @property
    def id(self) -> str:
        """Id of the collection."""
        return self.collection.id


def user_sources(
    paths: Sequence[Path], id_: str, *, bucket: str, product: str, terms: Mapping[str, object]
) -> tuple[Source, ...]:
    """Declare the pinned sources that local files will be, once they are stored.

    Parameters
    ----------
    paths, id_
        The files, and what the ids of their sources begin with.
    bucket, product
        Where they will be stored.
    terms
        licence, redistributable and citation.

    Returns
    -------
    tuple of Source
        In the order of the files.

    Raises
    ------
    SourceError
        A file is empty.
    """
    sources = []
    for position, path in enumerate(paths, start=1):
        if not (size := path.stat().st_size):
            raise SourceError(f"{path.name}: is empty (zero bytes): was it cut short?")
        # Without what an address or a folder could misread.
        name = re.sub(r"[^A-Za-z0-9._+-]", "_", path.name).lstrip("._+-") or "file"
        sha256 = sha256_of_file(path)
        source = {
            "id": f"{id_}-file-{position}",
            "title": path.name,
            "publisher": "added by its owner",
            "bytes": size,
            "sha256": sha256,
            "filename": name,
            "address": f"s3://{bucket}/{product}/added/files/{sha256}/{name}",
            "signed": True,
            "media": media_of(path),
        }
        sources.append(Source.model_validate(source | dict(terms)))
    return tuple(sources)


def media_of(path: Path) -> Media:
    """How a local file is packed, by its first bytes."""
    with path.open("rb") as file:
        head = file.read(8)
    matching = [media for magic, media in _MAGIC if head.startswith(magic)]
    if matching in ([], ["gzip"]) and is_tar(path):
        return "tar"
    return matching[0] if matching else "plain"


def local_archives(
    files: Mapping[str, Path],
    sources: Sequence[Source],
    folder: Path,
    *,
    ranged: Mapping[str, Ranged] | None = None,
) -> Archives:
    """Return archives that find sources on this machine, to try files out before they are stored.

    Parameters
    ----------
    files
        Local path by source id.
    sources
        The sources.
    folder
        For links and for what parsers leave; removed by the caller.
    ranged
        By source id, what is read by ranges; it has no local path.

    Returns
    -------
    Archives
        With these sources alone.
    """
    mirror = folder / "files"
    for source in (source for source in sources if source.id in files):
        place = mirror / mirror_path(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.symlink_to(files[source.id].resolve())
    catalogue = Catalogue(sources={source.id: source for source in sources}, collections={})
    locations = SourceLocations((str(mirror),))
    return Archives(catalogue, folder / "cache", locations=locations, ranged=ranged)


@contextmanager
def named_by_owner(sources: Sequence[Source]) -> Iterator[None]:
    """Name files in errors as their owner does, not as they are stored.

    Parameters
    ----------
    sources
        The files. An error that names none of them is taken to be about the first.

    Returns
    -------
    context manager

    Raises
    ------
    SourceError, StoreError
        As raised inside, with the owner's names.
    """
    try:
        yield
    except (SourceError, StoreError) as error:
        text = str(error)
        for source in sources:
            if source.title not in text:
                stored = rf"\b({re.escape(source.filename)}|{re.escape(source.id)})(?![\w-])"
                text = source.title.join(re.split(stored, text)[::2])
        if not any(source.title in text for source in sources):
            text = f"{sources[0].title}: {text}"
        if text == str(error):
            raise
        raise type(error)(text) from error


def store_files(store: ObjectStore, sources: Sequence[Source], files: Mapping[str, Path]) -> None:
    """Store the files of a user collection where its sources say; existing objects stay.

    Parameters
    ----------
    store
        The bucket.
    sources
        The files as sources.
    files
        Local path by source id.
    """
    for source in sources:
        _, _, key = (source.address or "").removeprefix("s3://").partition("/")
        store.put_if_absent(key, files[source.id], sha256=source.sha256)


def added_collections(store: ObjectStore, product: str) -> Registrations[UserCollection]:
    """Open the collections that users added.

    Parameters
    ----------
    store
        The bucket.
    product
        Key prefix of the installation.

    Returns
    -------
    Registrations of UserCollection
        By id of the collection.
    """
    return Registrations(store, f"{product}/added/collections/", UserCollection, "collection")


def declare_collection(
    store: ObjectStore, product: str, collection: Collection, sources: Sequence[Source]
) -> UserCollection:
    """Declare a collection whose files are stored: releases hold it from now on.

    The same declaration again changes nothing.

    Parameters
    ----------
    store
        The bucket.
    product
        Key prefix of the installation.
    collection
        Its catalogue entry.
    sources
        Its files.

    Returns
    -------
    UserCollection
        The declaration that is stored.

    Raises
    ------
    StoreError
        Another collection has the id.
    """
    new = UserCollection(collection=collection, sources=tuple(sources), added=datetime.now(UTC))
    return added_collections(store, product).add(collection.id, new)
