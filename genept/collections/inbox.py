"""The inbox: a file and its sidecar in the bucket become a collection, or go to quarantine whole.

A drop is complete once `FILE.toml` lies beside `FILE`. The declaration is written last, so a
killed ingest shows nowhere and the drop is still there; what is refused is moved aside with a
report of what was expected, where, and what to do. Who watches is `orchestration`'s business.
"""

from __future__ import annotations

import re
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from genept.collections.added import (
    AddedCollection,
    declare,
    find_added,
    local_archives,
    store_files,
)
from genept.collections.claims import CollectionRefusedError
from genept.collections.detection import Detected, detect
from genept.collections.ingest import ingest
from genept.collections.sidecar import Sidecar, read_sidecar
from genept.escaping import markdown_block, markdown_text
from genept.nomenclature.mapping import Nomenclature
from genept.nomenclature.reference import Reference
from genept.nomenclature.screening import GeneNamesRefusedError
from genept.sources.errors import SourceError
from genept.sources.source import ID
from genept.store.lake import Lake, Part
from genept.store.objects import ObjectInfo
from genept.store.parquet import TableContractError
from genept.store.provenance import sha256_of
from genept.store.s3 import ObjectStore

SIDECAR: Final = ".toml"
_OF_THE_FILE: Final = (
    SourceError,
    CollectionRefusedError,
    GeneNamesRefusedError,
    TableContractError,
)
"""What is wrong with a drop; whatever else fails is not the drop's fault, and leaves it there."""

_REPORT: Final = """# {name} was not taken in

Dropped: {when}, as collection `{id}`.

## What is wrong

{reason}

## What to do

Mend the file, or what its sidecar says of it, and put both into {inbox} again, the sidecar last.
`genept collections validate FILE` tries it out on your own machine. Nothing of it was published.
"""


@dataclass(frozen=True)
class Drop:
    """A file in the inbox with its sidecar.

    Parameters
    ----------
    id
        Of the collection that it is to become; made of the file's name if the sidecar says none.
    version
        Changes whenever one of the two objects is written.
    """

    id: str
    file: ObjectInfo
    sidecar: ObjectInfo

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.file.key.rpartition("/")[2]

    @property
    def version(self) -> str:
        """Hash of what the store says of both objects."""
        both = [
            (one.key, one.etag, one.last_modified.isoformat()) for one in (self.file, self.sidecar)
        ]
        return sha256_of(both)


@dataclass(frozen=True)
class Accepted:
    """A drop that became a collection, or was one already."""

    collection: AddedCollection
    parts: tuple[Part, ...]
    seen: tuple[str, ...]


@dataclass(frozen=True)
class Refused:
    """A drop that went to quarantine.

    Parameters
    ----------
    folder
        Key prefix of the files and their `report.md`.
    """

    folder: str
    reason: str
    report: str


def drops(store: ObjectStore, product: str) -> tuple[list[Drop], list[str]]:
    """The complete drops of the inbox, and the names of files that wait for their other half."""
    objects = {one.key: one for one in store.list(f"{product}/inbox/")}
    found, used = [], set()
    for key, file in objects.items():
        if (sidecar := objects.get(key + SIDECAR)) is not None:
            body = store.get(sidecar.key)
            found.append(Drop(_id_of(body, file), file, sidecar))
            used |= {key, sidecar.key} | {f"{product}/inbox/{one}" for one in _also(body)}
    return found, sorted(key.rpartition("/")[2] for key in set(objects) - used)


def take_in(
    lake: Lake,
    product: str,
    drop: Drop,
    open_reference: Callable[[], Reference],
    reference_version: str,
    *,
    taken: Sequence[str] = (),
    processes: int = 1,
) -> Accepted | Refused:
    """Make a collection of a drop, or move it to quarantine; either way the inbox is rid of it.

    Parameters
    ----------
    taken
        Ids of the shipped catalogue.

    Raises
    ------
    StoreError
        The store failed, or somebody declared the id meanwhile; the drop is left where it is.
    """
    store = lake.store
    with tempfile.TemporaryDirectory(prefix="genept-inbox-") as scratch:
        try:
            detected = _looked_at(
                store, product, drop, open_reference, taken=taken, folder=Path(scratch)
            )
            archives = local_archives(detected.files, detected.sources, Path(scratch))
            parts = ingest(
                lake, archives, detected.entry, open_reference, reference_version, processes
            )
        except _OF_THE_FILE as error:
            return _quarantined(store, product, drop, str(error))
        store_files(store, detected.sources, detected.files)
    declared = declare(store, product, detected.entry, detected.sources)
    store.delete(_keys(store, product, drop))
    return Accepted(declared, tuple(parts), detected.seen)


def _looked_at(
    store: ObjectStore,
    product: str,
    drop: Drop,
    open_reference: Callable[[], Reference],
    *,
    taken: Sequence[str],
    folder: Path,
) -> Detected:
    """The entry that a drop asks for, if nothing is left open and its id is its own."""
    told = read_sidecar(store.get(drop.sidecar.key), drop.name + SIDECAR, id_=drop.id)
    if told.id in taken:
        raise SourceError(f"the catalogue has a collection {told.id!r} already: give another id")
    paths = _fetched(store, product, drop, told, folder)
    detected = detect(
        paths[0],
        paths[1] if len(paths) > 1 else None,
        told,
        Nomenclature(open_reference().index),
        bucket=store.bucket,
        product=product,
    )
    if detected.open_questions:
        raise SourceError(f"{drop.name}: {'; '.join(detected.open_questions)}")
    known = find_added(store, product, told.id)
    if known is not None and (known.collection, known.sources) != (
        detected.entry,
        detected.sources,
    ):
        raise SourceError(
            f"a collection {told.id!r} was added already, and it is another one: give another id, "
            f"or take it back first: genept collections remove {told.id}"
        )
    return detected


def _fetched(
    store: ObjectStore, product: str, drop: Drop, told: Sidecar, folder: Path
) -> list[Path]:
    """The file, and the table of its observations, on this machine."""
    names = [drop.name, *([told.metadata] if told.metadata else [])]
    paths: list[Path] = []
    for name in names:
        key = f"{product}/inbox/{name}"
        if "/" in name or not store.exists(key):
            raise SourceError(
                f"{drop.name}{SIDECAR} names the metadata {name!r}, which does not lie beside it"
            )
        paths.append(folder / f"{len(paths)}" / name)
        paths[-1].parent.mkdir()
        store.fetch(key, paths[-1])
    return paths


def _quarantined(store: ObjectStore, product: str, drop: Drop, reason: str) -> Refused:
    """Move a drop aside, with a report; it leaves the inbox only when all of it is there."""
    folder = f"{product}/quarantine/{drop.name}/{drop.version[:12]}"
    report = _REPORT.format(
        name=markdown_text(drop.name),
        when=drop.sidecar.last_modified.isoformat(timespec="seconds"),
        reason=markdown_block(reason),
        id=drop.id,
        inbox=store.uri(f"{product}/inbox/"),
    )
    with tempfile.TemporaryDirectory(prefix="genept-inbox-") as scratch:
        for key in _keys(store, product, drop):
            copy = Path(scratch) / "copy"
            store.fetch(key, copy)
            store.put_if_absent(f"{folder}/{key.rpartition('/')[2]}", copy)
    store.put_if_absent(f"{folder}/report.md", report.encode())
    store.delete(_keys(store, product, drop))
    return Refused(folder, reason, report)


def _keys(store: ObjectStore, product: str, drop: Drop) -> list[str]:
    """Objects of a drop that are there."""
    also = [f"{product}/inbox/{one}" for one in _also(store.get(drop.sidecar.key))]
    return [drop.file.key, *(key for key in also if store.exists(key)), drop.sidecar.key]


def _also(body: bytes) -> list[str]:
    """The metadata file that a sidecar names, if it can be read."""
    named = _values(body).get("metadata")
    return [named] if isinstance(named, str) and named and "/" not in named else []


def _id_of(body: bytes, file: ObjectInfo) -> str:
    """The id that a sidecar says, or one made of the file's name."""
    told = _values(body).get("id")
    if isinstance(told, str) and re.fullmatch(ID, told):
        return told
    stem = file.key.rpartition("/")[2].partition(".")[0].lower()
    return re.sub(r"[^a-z0-9]+", "-", stem).strip("-") or "unnamed"


def _values(body: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(body.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}  # said when the drop is taken in
