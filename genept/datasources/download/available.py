"""Files of publishers that can be read without a request: cached, or in a mirror's folder."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from genept.common import SourceError
from genept.datasources.download import members
from genept.datasources.download.archives import Archives
from genept.datasources.download.streams import Opener


@dataclass(frozen=True)
class AvailableFile:
    """One available file of a publisher, and how to open it.

    Parameters
    ----------
    id
        Id of its source in the catalogue.
    path
        Local file, as published.
    sha256
        Hash of that file.
    release
        Id and date of publication; where no date is known, id and 12 digits of the hash.
    opener
        Opens the unpacked bytes, or those of the table in an archive.
    """

    id: str
    path: Path
    sha256: str
    release: str
    opener: Opener


def available_files(archives: Archives, ids: Iterable[str]) -> dict[str, AvailableFile]:
    """Files that can be read without a request: cached, or in a mirror's folder.

    Parameters
    ----------
    archives
        Finds and opens the sources.
    ids
        Ids of sources in the catalogue.

    Returns
    -------
    dict of str to AvailableFile
        By id, in the order of `ids`; sources that are not available are left out.
    """
    files = {}
    for id_ in filter(archives.is_available, ids):
        source, seen = archives.catalogue.source(id_), archives.cache_metadata(id_)
        path, sha256 = archives.fetch(id_), archives.data_version(id_)
        dated = source.published or (seen.released.date() if seen and seen.released else None)
        release = f"{id_}-{dated or f'sha256-{sha256[:12]}'}"
        files[id_] = AvailableFile(id_, path, sha256, release, partial(_opened, archives, id_))
    return files


def _opened(archives: Archives, id_: str) -> AbstractContextManager[BinaryIO]:
    """Its unpacked bytes; of an archive, those of its human table."""
    if archives.catalogue.source(id_).kind != "zip":
        return archives.open(id_)
    names = members.zip_names(archives.fetch(id_), id_)
    human = [name for name in names if "Homo_sapiens" in name]
    if len(human) != 1:
        raise SourceError(f"source {id_}: expected one member with 'Homo_sapiens', found {human}")
    return archives.open_member(id_, human[0])
