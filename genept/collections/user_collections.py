"""User collections: files and a declaration in the bucket, beside the shipped catalogue.

Files are stored under their hash and never rewritten; the declaration names them and is written
last. Removing a collection removes the declaration, not what was released. What a file holds is
detected in `genept.collections.detection`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from genept.common import ConflictError, MissingObjectError, SourceError, StoreError
from genept.datasources.catalog import Catalogue, Collection, Media, Source
from genept.datasources.download import Archives, SourceLocations, is_tar, mirror_path
from genept.storage import ObjectStore, read_declaration, read_declarations, sha256_of_file
from genept.storage import declare as store_declaration

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

    def says_the_same(self, other: UserCollection) -> bool:
        """Whether both declare the same collection, whenever they were added."""
        return (self.collection, self.sources) == (other.collection, other.sources)


def user_source(
    path: Path,
    collection_id: str,
    position: int,
    *,
    bucket: str,
    product: str,
    terms: Mapping[str, object],
) -> Source:
    """The pinned source that a local file will be, once it is stored.

    Parameters
    ----------
    terms
        licence, redistributable and citation.

    Raises
    ------
    SourceError
        The file is empty.
    """
    if not path.stat().st_size:
        raise SourceError(f"{path.name}: is empty (zero bytes): was it cut short?")
    name = _plain(path.name)
    sha256 = sha256_of_file(path)
    return Source.model_validate(
        {
            "id": f"{collection_id}-file-{position + 1}",
            "title": path.name,
            "publisher": "added by its owner",
            "bytes": path.stat().st_size,
            "sha256": sha256,
            "filename": name,
            "address": f"s3://{bucket}/{product}/added/files/{sha256}/{name}",
            "signed": True,
            "media": media_of(path),
        }
        | dict(terms)
    )


def user_sources(
    paths: Sequence[Path],
    collection_id: str,
    *,
    bucket: str,
    product: str,
    terms: Mapping[str, object],
) -> tuple[Source, ...]:
    """The sources that the files of a collection will be, in their order; see `user_source`."""
    return tuple(
        user_source(path, collection_id, position, bucket=bucket, product=product, terms=terms)
        for position, path in enumerate(paths)
    )


def media_of(path: Path) -> Media:
    """How a local file is packed, by its first bytes."""
    with path.open("rb") as file:
        head = file.read(8)
    matching = [media for magic, media in _MAGIC if head.startswith(magic)]
    if matching in ([], ["gzip"]) and is_tar(path):
        return "tar"
    return matching[0] if matching else "plain"


def local_archives(files: Mapping[str, Path], sources: Sequence[Source], folder: Path) -> Archives:
    """Return archives that find sources on this machine, to try files out before they are stored.

    Parameters
    ----------
    files
        Local path by source id.
    sources
        The sources.
    folder
        For links and for what parsers leave; removed by the caller.

    Returns
    -------
    Archives
        With these sources alone.
    """
    mirror = folder / "files"
    for source in sources:
        place = mirror / mirror_path(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.symlink_to(files[source.id].resolve())
    catalogue = Catalogue(sources={source.id: source for source in sources}, collections={})
    return Archives(catalogue, folder / "cache", locations=SourceLocations((str(mirror),)))


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
                text = re.sub(_stored_name(source), lambda _: source.title, text)  # noqa: B023
        if not any(source.title in text for source in sources):
            text = f"{sources[0].title}: {text}"
        if text == str(error):
            raise
        raise type(error)(text) from error


def _stored_name(source: Source) -> str:
    """A pattern for what a stored file is called in the store, and its source in the catalogue."""
    return rf"\b({re.escape(source.filename)}|{re.escape(source.id)})(?![\w-])"


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


def list_user_collections(store: ObjectStore, product: str) -> list[UserCollection]:
    """List the collections that users added.

    Parameters
    ----------
    store
        The bucket.
    product
        Key prefix of the installation.

    Returns
    -------
    list of UserCollection
        Sorted by id.
    """
    prefix = f"{product}/added/collections/"
    return read_declarations(store, prefix, UserCollection, "collection")


def find_user_collection(store: ObjectStore, product: str, id_: str) -> UserCollection | None:
    """The declaration of one added collection; None if there is none."""
    try:
        key = _key(product, id_)
        return read_declaration(store, key, UserCollection, "collection")
    except MissingObjectError:
        return None


def declare(
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
    try:
        store_declaration(store, _key(product, collection.id), new)
    except ConflictError:
        known = find_user_collection(store, product, collection.id)
        if known is not None and known.says_the_same(new):
            return known
        raise StoreError(
            f"a collection {collection.id!r} was added already, and it is another one: choose "
            f"another id, or take it back first: genept collections remove {collection.id}"
        ) from None
    return new


def remove(store: ObjectStore, product: str, id_: str) -> None:
    """Remove a declaration: the next release does not hold the collection.

    Parameters
    ----------
    store
        The bucket.
    product
        Key prefix of the installation.
    id_
        Id of the collection.

    Raises
    ------
    StoreError
        No such collection was added.
    """
    if find_user_collection(store, product, id_) is None:
        known = [declared.id for declared in list_user_collections(store, product)]
        raise StoreError(f"no collection {id_!r} was added; there are {known or 'none'}")
    store.delete([_key(product, id_)])


def _plain(name: str) -> str:
    """A file's name without what an address or a folder could misread."""
    return re.sub(r"[^A-Za-z0-9._+-]", "_", name).lstrip("._+-") or "file"


def _key(product: str, id_: str) -> str:
    return f"{product}/added/collections/{id_}.json"
