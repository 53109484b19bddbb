"""The inbox: files and sidecars in the bucket become collections, or move to quarantine.

Listing the inbox is `genept.collections.sidecar`; detection and ingest are those of any collection.
"""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from genept.collections.detection import Detected
from genept.collections.dry_run import try_out
from genept.collections.each_collection import OF_THE_FILE
from genept.collections.ingestion import ingest
from genept.collections.labels import Ontologies
from genept.collections.sandboxed_ingest import parts_in_child
from genept.collections.sidecar import (
    LONGEST_SIDECAR,
    SIDECAR,
    Drop,
    drops,
    is_same,
    read_sidecar,
)
from genept.collections.user_collections import (
    UserCollection,
    added_collections,
    declare_collection,
    local_archives,
    named_by_owner,
    store_files,
)
from genept.common import (
    ConflictError,
    MissingObjectError,
    SourceError,
    advising,
    markdown_block,
    markdown_text,
)
from genept.datasources.readers import USUAL, Allowance
from genept.nomenclature import Reference
from genept.storage import Lake, ObjectStore, Part

_REPORT: Final = """# {name} was not taken in

Dropped: {when}, as collection `{id}`.

## What is wrong

{reason}

## What to do

Correct the file, or its sidecar, and put both into {inbox} again, the sidecar last.
`genept collections validate FILE` tries it out on your own machine. Nothing was published.
"""


@dataclass(frozen=True)
class Accepted:
    """A drop that became a collection, or was one already, and what was detected."""

    collection: UserCollection
    parts: tuple[Part, ...]
    seen: tuple[str, ...]


@dataclass(frozen=True)
class Refused:
    """A drop that was moved to quarantine.

    Parameters
    ----------
    folder
        Key prefix of the files and their `report.md`.
    reason
        Why, in one paragraph.
    report
        Text of `report.md`.
    """

    folder: str
    reason: str
    report: str


@dataclass(frozen=True)
class Replaced:
    """A drop of which another version was uploaded while it was read; that version counts.

    Parameters
    ----------
    drop
        The drop as it was read; what is in the inbox now is read next time.
    """

    drop: Drop


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
    ontologies: Ontologies | None = None,
) -> Accepted | Refused | Replaced:
    """Make a collection of a drop, or move it to quarantine; either way it leaves the inbox.

    Its files are read in a process with limits. If one of them was replaced meanwhile, the drop
    stays, and nothing is made of what was read.

    Parameters
    ----------
    lake
        Where the tables are stored.
    product
        Key prefix of the installation.
    drop
        File and sidecar.
    open_reference
        Reads the gene reference.
    reference_version
        Changes with that reference.
    taken
        Ids of the shipped catalogue.
    processes
        Worker processes of the ingest.
    allowance
        Limits of reading; None: the files are trusted, and read in this process.
    ontologies
        What labels may mean; None: they have no terms.

    Returns
    -------
    Accepted or Refused or Replaced
        What became of the drop.

    Raises
    ------
    StoreError
        The store failed, or the id was declared meanwhile; the drop is left where it is.
    """
    store = lake.store
    in_child = None if allowance is None else partial(parts_in_child, allowance=allowance)
    with tempfile.TemporaryDirectory(prefix="genept-inbox-") as scratch:
        files = _fetched(store, drop, Path(scratch))
        if files is None:
            return Replaced(drop)
        try:
            with advising("sidecar"):
                detected = _detect(store, product, drop, open_reference, taken, files, allowance)
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
                        ontologies=ontologies,
                    )
        except OF_THE_FILE as error:
            return _quarantined(store, product, drop, files, str(error))
        if not _still_there(store, drop):
            return Replaced(drop)
        store_files(store, detected.sources, detected.files)
    declared = declare_collection(store, product, detected.entry, detected.sources)
    _remove(store, product, drop)
    return Accepted(declared, tuple(parts), detected.seen)


def _detect(
    store: ObjectStore,
    product: str,
    drop: Drop,
    open_reference: Callable[[], Reference],
    taken: Sequence[str],
    files: Sequence[Path],
    allowance: Allowance | None,
) -> Detected:
    """Detect the entry of a drop; refuse open questions and an id that is taken."""
    if drop.sidecar.bytes > LONGEST_SIDECAR:
        raise SourceError(
            f"{drop.name}{SIDECAR} has {drop.sidecar.bytes:,} bytes, expected a sidecar of at most "
            f"{LONGEST_SIDECAR:,}"
        )
    sidecar = read_sidecar(drop.body, drop.name + SIDECAR, id_=drop.id)
    if sidecar.id in taken:
        raise SourceError(f"the catalogue has a collection {sidecar.id!r} already: give another id")
    if sidecar.metadata is not None and drop.metadata is None:
        raise SourceError(
            f"{drop.name}{SIDECAR} names the metadata {sidecar.metadata!r}, which does not lie "
            "beside it, or has a sidecar of its own: drop the table of the observations under a "
            "name of its own, without a sidecar"
        )
    detected = try_out(
        files[0],
        files[1] if len(files) > 1 else None,
        sidecar,
        open_reference(),
        bucket=store.bucket,
        product=product,
        limits=None if allowance is None else allowance.limits(*files),
        only_look=True,
    ).detected
    if detected.open_questions:
        raise SourceError(f"{drop.name}: {'; '.join(detected.open_questions)}")
    known = added_collections(store, product).find(sidecar.id)
    entry = detected.entry, detected.sources
    if known is not None and (known.collection, known.sources) != entry:
        raise SourceError(
            f"a collection {sidecar.id!r} was added already, and it is another one: give another "
            f"id, or take it back first: genept collections remove {sidecar.id}"
        )
    return detected


def _fetched(store: ObjectStore, drop: Drop, folder: Path) -> list[Path] | None:
    """Download the file and the table of its observations; None if one was replaced."""
    paths = []
    for at, object_ in enumerate(filter(None, (drop.file, drop.metadata))):
        paths.append(folder / f"{at}" / object_.key.rpartition("/")[2])
        paths[-1].parent.mkdir()
        try:
            store.fetch(object_.key, paths[-1])
        except MissingObjectError:
            return None
        if not is_same(store.head(object_.key), object_):
            return None
    return paths


def _quarantined(
    store: ObjectStore, product: str, drop: Drop, files: Sequence[Path], reason: str
) -> Refused | Replaced:
    """Move a drop to quarantine with a report; it leaves the inbox when all of it is copied."""
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
    for path in files:
        store.put_if_absent(f"{folder}/{path.name}", path)
    if len(drop.body) == drop.sidecar.bytes:
        store.put_if_absent(f"{folder}/{drop.name}{SIDECAR}", drop.body)
    with suppress(ConflictError):  # an earlier attempt wrote one in other words
        store.put_if_absent(f"{folder}/report.md", report.encode())
    _remove(store, product, drop)
    return Refused(folder, reason, report)


def _still_there(store: ObjectStore, drop: Drop) -> bool:
    """Whether file, sidecar and table are unchanged since they were read."""
    objects = filter(None, (drop.file, drop.sidecar, drop.metadata))
    return all(is_same(store.head(object_.key), object_) for object_ in objects)


def _remove(store: ObjectStore, product: str, drop: Drop) -> None:
    """Take out of the inbox what was read, and nothing else.

    The inbox is listed again just before: what was replaced since stays and is read again,
    and so does a table that another drop has named meanwhile. S3 has no conditional deletion
    that every server honours, so an upload in the milliseconds between may still be lost.
    """
    now = {waiting.file.key: waiting for waiting in drops(store, product)[0]}.get(drop.file.key)
    if now is None or now.version != drop.version:
        return
    read = {(object_.key, object_.etag) for object_ in drop.own_objects}
    store.delete(
        [object_.key for object_ in now.own_objects if (object_.key, object_.etag) in read]
    )
