"""The inbox: a file and its sidecar in the bucket become a collection, or go to quarantine whole.

A drop is complete once `FILE.toml` lies beside `FILE`. The declaration is written last, so a
killed ingest shows nowhere and the drop is still there; what is refused is moved aside with a
report of what was expected, where, and what to do. Who watches is `orchestration`'s business.
"""

from __future__ import annotations

import re
import tempfile
import tomllib
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from genept.collections.added import (
    AddedCollection,
    declare,
    find_added,
    local_archives,
    named_by_owner,
    store_files,
)
from genept.collections.claims import CollectionRefusedError
from genept.collections.detection import Detected
from genept.collections.ingest import ingest
from genept.collections.limited_ingest import parts_in_child
from genept.collections.sidecar import Sidecar, read_sidecar
from genept.collections.trial import try_out
from genept.escaping import markdown_block, markdown_text
from genept.nomenclature.reference import Reference
from genept.nomenclature.screening import GeneNamesRefusedError
from genept.sources.advice import advising
from genept.sources.errors import SourceError
from genept.sources.limited import USUAL, Allowance
from genept.sources.source import ID
from genept.store.errors import ConflictError, MissingObjectError
from genept.store.lake import Lake, Part
from genept.store.objects import ObjectInfo
from genept.store.parquet import TableContractError
from genept.store.provenance import sha256_of
from genept.store.s3 import ObjectStore

SIDECAR: Final = ".toml"
LONGEST_SIDECAR: Final = 64 << 10
"""Bytes of a sidecar, at most."""
LONGEST_NAME: Final = 200
"""Bytes of a file's name, at most; what is called longer waits."""
OF_THE_FILE: Final = (
    SourceError,
    CollectionRefusedError,
    GeneNamesRefusedError,
    TableContractError,
)
"""What is wrong with a file; whatever else fails is not its fault, and a drop stays there."""

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
    body
        What the sidecar says; empty if it is longer than `LONGEST_SIDECAR`.
    metadata
        The table of observations that the sidecar names, if it lies beside it.
    shared
        Whether another drop names the same table: it stays until the last of them is gone.
    version
        Changes whenever one of the objects is written.
    """

    id: str
    file: ObjectInfo
    sidecar: ObjectInfo
    body: bytes
    metadata: ObjectInfo | None = None
    shared: bool = False

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.file.key.rpartition("/")[2]

    @property
    def version(self) -> str:
        """Hash of what the store says of the file and its sidecar."""
        both = [
            (one.key, one.etag, one.last_modified.isoformat()) for one in (self.file, self.sidecar)
        ]
        return sha256_of(both)

    @property
    def own_objects(self) -> tuple[ObjectInfo, ...]:
        """The objects that are this drop's and nobody else's; the sidecar first."""
        metadata = () if self.metadata is None or self.shared else (self.metadata,)
        return (self.sidecar, self.file, *metadata)


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


@dataclass(frozen=True)
class Replaced:
    """A drop of which another version was uploaded while it was read: that one counts."""

    drop: Drop


def drops(store: ObjectStore, product: str) -> tuple[list[Drop], list[str]]:
    """The complete drops of the inbox, and the names of files that wait for their other half.

    Nothing that a file is called or that a sidecar says keeps another drop from being seen.
    """
    folder = f"{product}/inbox/"
    objects = {one.key.removeprefix(folder): one for one in store.list(folder)}
    # A sidecar is nobody's file, so that nobody can give a sidecar to another's.
    files = {
        name: one
        for name, one in objects.items()
        if _is_name(name) and not name.endswith(SIDECAR) and name + SIDECAR in objects
    }
    bodies = {name: _read(store, objects[name + SIDECAR]) for name in files}
    named = {name: _metadata_of(body) for name, body in bodies.items()}
    shares = Counter(named.values())
    found, used = [], set[str]()
    for name, file in files.items():
        table = named[name]
        # Another drop's file is never this one's table, whatever its sidecar says.
        is_free = table in objects and table not in files and not str(table).endswith(SIDECAR)
        found.append(
            Drop(
                id=_id_of(bodies[name], file),
                file=file,
                sidecar=objects[name + SIDECAR],
                body=bodies[name],
                metadata=objects[table] if table is not None and is_free else None,
                shared=shares[table] > 1,
            )
        )
        used |= {name, name + SIDECAR} | ({table} if table is not None and is_free else set())
    return found, sorted(objects.keys() - used)


def take_in(
    lake: Lake,
    product: str,
    drop: Drop,
    open_reference: Callable[[], Reference],
    reference_version: str,
    *,
    taken: Sequence[str] = (),
    processes: int = 1,
    allowance: Allowance | None = USUAL,
) -> Accepted | Refused | Replaced:
    """Make a collection of a drop, or move it to quarantine; either way the inbox is rid of it.

    Its files are read in a process with limits. If one of them was replaced meanwhile, the drop
    stays, and nothing is made of what was read.

    Parameters
    ----------
    taken
        Ids of the shipped catalogue.
    allowance
        What reading the files may take; none: they are trusted, and read in this process.

    Raises
    ------
    StoreError
        The store failed, or somebody declared the id meanwhile; the drop is left where it is.
    """
    store = lake.store
    in_child = None if allowance is None else partial(parts_in_child, allowance=allowance)
    with tempfile.TemporaryDirectory(prefix="genept-inbox-") as scratch:
        files = _fetched(store, drop, Path(scratch))
        if files is None:
            return Replaced(drop)
        try:
            with advising("sidecar"):
                detected = _looked_at(store, product, drop, open_reference, taken, files, allowance)
                archives = local_archives(detected.files, detected.sources, Path(scratch))
                with named_by_owner(detected.sources):
                    parts = ingest(
                        lake,
                        archives,
                        detected.entry,
                        open_reference,
                        reference_version,
                        processes,
                        make=in_child,
                    )
        except OF_THE_FILE as error:
            return _quarantined(store, product, drop, files, str(error))
        if not _still_there(store, drop):
            return Replaced(drop)
        store_files(store, detected.sources, detected.files)
    declared = declare(store, product, detected.entry, detected.sources)
    _remove(store, product, drop)
    return Accepted(declared, tuple(parts), detected.seen)


def _looked_at(
    store: ObjectStore,
    product: str,
    drop: Drop,
    open_reference: Callable[[], Reference],
    taken: Sequence[str],
    files: Sequence[Path],
    allowance: Allowance | None,
) -> Detected:
    """The entry that a drop asks for, if nothing is left open and its id is its own."""
    told = _told(drop)
    if told.id in taken:
        raise SourceError(f"the catalogue has a collection {told.id!r} already: give another id")
    if told.metadata is not None and drop.metadata is None:
        raise SourceError(
            f"{drop.name}{SIDECAR} names the metadata {told.metadata!r}, which does not lie beside "
            "it, or has a sidecar of its own: drop the table of the observations under a name of "
            "its own, without a sidecar"
        )
    detected = try_out(
        files[0],
        files[1] if len(files) > 1 else None,
        told,
        open_reference(),
        bucket=store.bucket,
        product=product,
        limits=None if allowance is None else allowance.limits(*files),
        only_look=True,
    ).detected
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


def _told(drop: Drop) -> Sidecar:
    if drop.sidecar.bytes > LONGEST_SIDECAR:
        raise SourceError(
            f"{drop.name}{SIDECAR} has {drop.sidecar.bytes:,} bytes, expected a sidecar of at most "
            f"{LONGEST_SIDECAR:,}"
        )
    return read_sidecar(drop.body, drop.name + SIDECAR, id_=drop.id)


def _fetched(store: ObjectStore, drop: Drop, folder: Path) -> list[Path] | None:
    """The file, and the table of its observations, on this machine; None if one was replaced."""
    paths = []
    for at, one in enumerate(filter(None, (drop.file, drop.metadata))):
        paths.append(folder / f"{at}" / one.key.rpartition("/")[2])
        paths[-1].parent.mkdir()
        try:
            store.fetch(one.key, paths[-1])
        except MissingObjectError:
            return None
        if not _is_same(store.head(one.key), one):
            return None
    return paths


def _quarantined(
    store: ObjectStore, product: str, drop: Drop, files: Sequence[Path], reason: str
) -> Refused | Replaced:
    """Move a drop aside, with a report; it leaves the inbox only when all of it is there."""
    if not _still_there(store, drop):
        return Replaced(drop)
    folder = f"{product}/quarantine/{drop.name}/{drop.version[:12]}"
    report = _REPORT.format(
        name=markdown_text(drop.name),
        when=drop.sidecar.last_modified.isoformat(timespec="seconds"),
        reason=markdown_block(reason),
        id=drop.id,
        inbox=store.uri(f"{product}/inbox/"),
    )
    copies: list[tuple[str, bytes | Path]] = [(path.name, path) for path in files]
    if len(drop.body) == drop.sidecar.bytes:
        copies.append((drop.name + SIDECAR, drop.body))
    for name, copy in copies:
        store.put_if_absent(f"{folder}/{name}", copy)
    with suppress(ConflictError):  # an earlier attempt said it in other words
        store.put_if_absent(f"{folder}/report.md", report.encode())
    _remove(store, product, drop)
    return Refused(folder, reason, report)


def _still_there(store: ObjectStore, drop: Drop) -> bool:
    """Whether file, sidecar and table are what was read."""
    objects = (drop.file, drop.sidecar, drop.metadata)
    return all(_is_same(store.head(one.key), one) for one in objects if one is not None)


def _remove(store: ObjectStore, product: str, drop: Drop) -> None:
    """Take out of the inbox what was read, and nothing else.

    The inbox is listed anew just before: what was replaced since stays and is asked for again,
    and so does a table that another drop has named meanwhile. S3 has no conditional deletion
    that every server honours, so an upload in the milliseconds between may still be lost.
    """
    now = {one.file.key: one for one in drops(store, product)[0]}.get(drop.file.key)
    if now is None or now.version != drop.version:
        return
    read = {(one.key, one.etag) for one in drop.own_objects}
    store.delete([one.key for one in now.own_objects if (one.key, one.etag) in read])


def _is_same(now: ObjectInfo | None, then: ObjectInfo) -> bool:
    return now is not None and (now.etag, now.bytes) == (then.etag, then.bytes)


def _is_name(name: str) -> bool:
    """Whether a file may be called so, here and in the bucket."""
    return (
        "/" not in name
        and name not in ("", ".", "..")
        and name.isprintable()
        and "\\" not in name
        and len(name.encode()) <= LONGEST_NAME
    )


def _read(store: ObjectStore, sidecar: ObjectInfo) -> bytes:
    if sidecar.bytes > LONGEST_SIDECAR:
        return b""
    try:
        return store.get(sidecar.key)
    except MissingObjectError:  # taken out since the listing
        return b""


def _metadata_of(body: bytes) -> str | None:
    """The metadata file that a sidecar names, if it may be called so."""
    name = _values(body).get("metadata")
    return name if isinstance(name, str) and _is_name(name) else None


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
    except (ValueError, RecursionError):
        return {}  # said when the drop is taken in
