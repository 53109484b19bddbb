"""The lake: all table parts, stored by content, with the origin that each was computed from.

A step with the same origin is computed once. Which parts are published is decided in
`genept.release.publish`.
"""

import logging
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from genept.common import ConflictError, MissingObjectError, StoreError
from genept.schema.tables import STORED
from genept.storage.garbage_list import MarkList
from genept.storage.hashes import sha256_of, sha256_of_file
from genept.storage.object_store import ObjectStore
from genept.storage.parquet import WrittenFile, write_parquet
from genept.storage.part_reader import PartReader
from genept.storage.provenance import (
    NewPart,
    Origin,
    Part,
    StoredTable,
    _body,
    _parts,
)

_LOG = logging.getLogger(__name__)


class Lake(PartReader):
    """Stores table parts and the steps that computed them; reads parts back verified.

    Parameters
    ----------
    store
        The object store.
    product
        First segment of every key.
    cache
        Local folder for copies of the parts that are read.
    """

    def __init__(self, store: ObjectStore, product: str, cache: Path) -> None:
        self.store, self.product = store, product
        self.prefix = f"{product}/lake"
        self.cache = cache
        self.marks = MarkList(store, product)
        self.dangling: set[str] = set()
        """Keys of records whose parts were deleted; their steps were computed again."""
        self._verified: set[str] = set()

    def build(
        self, step: str, origin: Origin, compute: Callable[[], Iterable[NewPart | Part]]
    ) -> list[Part]:
        """Return the parts of a step, computed unless a record of the same origin exists.

        The record is written after all parts are stored, so a killed step leaves none.

        Parameters
        ----------
        step
            Name of the step, such as ``ingest/prostate``.
        origin
            Code, inputs and settings that decide the result.
        compute
            Computes the step. It may return parts that its own sub-steps have stored.

        Returns
        -------
        list of Part
            The parts of the step, in the order of `compute`.

        Raises
        ------
        StoreError
            The store cannot be reached, or the rows violate the declaration of their table.
        """
        identity = origin.as_dict()
        record_key = self._record_key(step, identity)
        remembered, dangling = self._recall(record_key)
        if remembered is not None:
            return remembered
        parts = [
            part if isinstance(part, Part) else self._store(part, identity) for part in compute()
        ]
        try:
            self._remember(record_key, _body(parts), instead_of=dangling)
        except ConflictError:  # another process finished the same step first: its record counts
            return self._recall(record_key)[0] or parts
        return parts

    def recall(self, step: str, origin: Origin) -> list[Part]:
        """Return the parts of a step that has just been recorded; raise if the record is gone."""
        parts = self.known(step, origin)
        if parts is None:
            raise StoreError(f"the record of {step} was deleted while it was needed: run again")
        return parts

    def known(self, step: str, origin: Origin) -> list[Part] | None:
        """Return the recorded parts of a step; None if `build` would compute it."""
        return self._recall(self._record_key(step, origin.as_dict()))[0]

    def remembered(
        self, folder: str, steps: Mapping[int, tuple[str, Origin]]
    ) -> dict[int, list[Part]]:
        """Return the parts of those of many steps that are recorded, with one listing.

        `folder` is the common prefix of their names. Steps that `build` would compute are left out.
        """
        listed = {info.key for info in self.store.list(f"{self.prefix}/records/{folder}/")}
        keys = {n: self._record_key(step, origin.as_dict()) for n, (step, origin) in steps.items()}
        recorded = {n: self._recall(key)[0] for n, key in keys.items() if key in listed}
        return {n: parts for n, parts in recorded.items() if parts is not None}

    def assemble(self, table: str, parts: Iterable[Part]) -> StoredTable:
        """Make one table of its parts, and record it under its data version.

        Parts of other tables are ignored; the others are put in order of partition and number.
        Raises `StoreError` if two parts have the same partition and number.
        """
        stored = StoredTable.of(table, parts)
        places = [
            f"{STORED[table].partition_path(part.partition)} #{part.number}"
            for part in stored.parts
        ]
        if doubled := sorted(place for place, n in Counter(places).items() if n > 1):
            raise StoreError(
                f"{table}: several parts have the same partition and number: {doubled}"
            )
        key = self._table_key(table, stored.data_version)
        for _ in range(2):
            with suppress(ConflictError):  # the same content, recorded with another origin
                self.store.put_if_absent(key, _body(stored.parts))
            if not self.marks.keep([key, *(part.key for part in stored.parts)]):
                break
        return stored

    def table(self, name: str, data_version: str) -> StoredTable:
        """Return a table that was assembled before, by its data version.

        Raises `StoreError` if the lake does not have it.
        """
        key = self._table_key(name, data_version)
        try:
            parts = _parts(self.store.get(key))
            if self.marks.keep([key, *(part.key for part in parts)]):
                self.store.get(key)
        except MissingObjectError:
            raise StoreError(
                f"table {name!r} of data version {data_version[:12]} is not in this lake: "
                "materialise its asset again"
            ) from None
        return StoredTable(name, tuple(parts))

    def local(self, part: Part) -> Path:
        """Return the path of a local copy of the part, downloaded if needed.

        The copy is verified by its SHA-256 when it is first used; a damaged copy is replaced.
        """
        path = self.cache / f"{part.sha256}.parquet"
        if not path.exists() or (
            part.sha256 not in self._verified and sha256_of_file(path) != part.sha256
        ):
            try:
                self.store.download(part.key, path, part.sha256)
            except MissingObjectError:
                raise MissingObjectError(
                    f"{self.store.uri(part.key)} was deleted, a part of table {part.table}: run "
                    "again to compute it again"
                ) from None
        self._verified.add(part.sha256)
        return path

    def _store(self, new: NewPart, identity: dict[str, Any]) -> Part:
        table = STORED[new.table]
        folder = filter(None, [self.prefix, new.table, table.partition_path(new.partition)])
        self.cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.cache) as scratch:
            written = new.rows
            if not isinstance(written, WrittenFile):
                path = Path(scratch) / "part"
                written = write_parquet(path, table, written, new.dimension, new.partition)
            key = "/".join([*folder, f"{written.sha256}.parquet"])
            while not self.store.put_if_absent(key, written.path, sha256=written.sha256):
                if not self.marks.keep([key]):  # it was there, and is kept
                    break
            written.path.replace(self.cache / f"{written.sha256}.parquet")
            self._verified.add(written.sha256)
        return Part(
            new.table, new.partition, key, written.bytes, written.sha256, written.rows,
            new.dimension, identity, new.number,
        )  # fmt: skip

    def _recall(self, record_key: str) -> tuple[list[Part] | None, str | None]:
        """The parts that a record lists, or the ETag of a record whose parts were deleted.

        A collector may delete a part just before another process starts to use it. The step is
        computed again then.
        """
        while True:
            try:
                body, etag = self.store.get_with_etag(record_key)
            except MissingObjectError:
                return None, None
            parts = _parts(body)
            if lost := [part.key for part in parts if not self.store.exists(part.key)]:
                _LOG.warning(
                    "%d objects that %s lists were deleted, such as %s: they are computed again",
                    len(lost), self.store.uri(record_key), self.store.uri(lost[0]),
                )  # fmt: skip
                self.dangling.add(record_key)
                return None, etag
            if not self.marks.keep([record_key, *(part.key for part in parts)]):
                return parts, None

    def _remember(self, record_key: str, body: bytes, *, instead_of: str | None) -> None:
        """Write a record, in place of one with missing parts if its ETag is given."""
        if instead_of is not None:
            with suppress(ConflictError):  # another process deleted or replaced it
                self.store.put_if_match(record_key, body, instead_of)
        while not self.store.put_if_absent(record_key, body) and self.marks.keep([record_key]):
            pass

    def _record_key(self, step: str, identity: dict[str, Any]) -> str:
        return f"{self.prefix}/records/{step}/{sha256_of(step, identity)}.json"

    def _table_key(self, table: str, data_version: str) -> str:
        return f"{self.prefix}/tables/{table}/{data_version}.json"
