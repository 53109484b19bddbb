"""Which of the publishers' files are at hand: fetched before, or in a mirror's folder.

What draws on them uses what is there and lists the rest as unavailable; nobody is asked
for them unless somebody runs `genept sources fetch`.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from genept.sources.archives import Archives
from genept.sources.errors import SourceError
from genept.sources.members import zip_names
from genept.sources.opening import Opener

_HUMAN = "Homo_sapiens"


@dataclass(frozen=True)
class FileAtHand:
    """One publisher's file: its name, its content's hash and release, and how to open it."""

    id: str
    path: Path
    sha256: str
    release: str
    opener: Opener


def files_at_hand(archives: Archives, ids: Iterable[str]) -> dict[str, FileAtHand]:
    """Those of the sources `ids` that can be read without asking their publishers, by id."""
    return {id_: _at_hand(archives, id_) for id_ in ids if archives.at_hand(id_)}


def _at_hand(archives: Archives, id_: str) -> FileAtHand:
    source = archives.catalogue.source(id_)
    path, sha256 = archives.fetch(id_), archives.data_version(id_)
    seen = archives.seen(id_)
    dated = source.published or (seen.released.date() if seen and seen.released else None)
    return FileAtHand(
        id=id_,
        path=path,
        sha256=sha256,
        release=f"{id_}-{dated or f'sha256-{sha256[:12]}'}",
        opener=partial(_opened, archives, id_),
    )


def _opened(archives: Archives, id_: str) -> AbstractContextManager[BinaryIO]:
    """Its unpacked bytes; of an archive, those of its human table."""
    if archives.catalogue.source(id_).kind != "zip":
        return archives.open(id_)
    names = zip_names(archives.fetch(id_), id_)
    human = [name for name in names if _HUMAN in name]
    if len(human) != 1:
        raise SourceError(f"source {id_}: expected one member with {_HUMAN!r}, found {human}")
    return archives.open_member(id_, human[0])
