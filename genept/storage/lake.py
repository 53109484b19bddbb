"""The lake: every table part that was ever made, by content, with its origin.

The same origin is never made twice, whoever asks. What of it is published is decided in
`genept.release.publish`.
"""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from genept.common.errors import ConflictError, MissingObjectError, StoreError
from genept.schema.tables import STORED
from genept.storage.garbage_list import MarkList
from genept.storage.object_store import ObjectStore
from genept.storage.parquet import WrittenFile, write_parquet
from genept.storage.provenance import (
    NewPart,
    Origin,
    Part,
    StoredTable,
    _body,
    _parts,
    sha256_of,
    sha256_of_file,
)

_LOG = logging.getLogger(__name__)


class Lake:
    """Writes parts once, remembers what made them, reads them back verified.

    Parameters
    ----------
    store
        The object store.
    product
        First segment of every key.
    cache
        Local folder for copies of parts that are being read.
    """

    def __init__(self, store: ObjectStore, product: str, cache: Path) -> None:
        self.store = store
        self.prefix = f"{product}/lake"
        self.cache = cache
        self.marks = MarkList(store, product)
        self.dangling: set[str] = set()
        """Records that listed parts which are gone; their steps were done again."""
        self._verified: set[str] = set()

    def build(
        self, step: str, origin: Origin, compute: Callable[[], Iterable[NewPart | Part]]
    ) -> list[Part]:
        """The parts that `step` makes from `origin`: remembered, or computed and kept.

        Nothing becomes visible before all parts of the step are stored. A step may hand
        on parts that smaller steps of its own have stored.
        """
        identity = origin.as_dict()
        record_key = self._record_key(step, identity)
        remembered, dangling = self._recall(record_key)
        if remembered is not None:
            return remembered
        parts = [
            made if isinstance(made, Part) else self._store(made, identity) for made in compute()
        ]
        try:
            self._remember(record_key, _body(parts), instead_of=dangling)
        except ConflictError:  # somebody else finished the same step first: theirs stands
            return self._recall(record_key)[0] or parts
        return parts

    def recall(self, step: str, origin: Origin) -> list[Part]:
        """The parts of a step that was remembered a moment ago.

        Raises
        ------
        StoreError
            It is not remembered any more.
        """
        parts = self.known(step, origin)
        if parts is None:
            raise StoreError(f"the record of {step} vanished while it was needed: run again")
        return parts

    def known(self, step: str, origin: Origin) -> list[Part] | None:
        """The parts of a step for which `build` would compute nothing; else None."""
        return self._recall(self._record_key(step, origin.as_dict()))[0]

    def remembers(self, step: str, origin: Origin) -> bool:
        """Whether `build` would compute nothing."""
        return self.known(step, origin) is not None

    def remembered(
        self, folder: str, steps: Mapping[int, tuple[str, Origin]]
    ) -> dict[int, list[Part]]:
        """The parts of those of many steps below one folder that `build` would not compute."""
        known = {info.key for info in self.store.list(f"{self.prefix}/records/{folder}/")}
        found = {}
        for number, (step, origin) in steps.items():
            if (key := self._record_key(step, origin.as_dict())) in known:
                parts, _ = self._recall(key)
                if parts is not None:
                    found[number] = parts
        return found

    def assemble(self, table: str, parts: Iterable[Part]) -> StoredTable:
        """Make one table of those `parts` that are of it, and remember it by its data version.

        Raises
        ------
        StoreError
            If two parts claim the same place in a partition.
        """
        chosen = sorted(
            (part for part in parts if part.table == table), key=lambda p: (p.partition, p.number)
        )
        places = [
            f"{STORED[table].partition_path(part.partition)} #{part.number}" for part in chosen
        ]
        if doubled := sorted(place for place, n in Counter(places).items() if n > 1):
            raise StoreError(f"{table}: several parts claim the same place: {doubled}")
        stored = StoredTable(table, tuple(chosen))
        key = self._table_key(table, stored.data_version)
        for _ in range(2):
            with suppress(ConflictError):  # the same content, remembered with another origin
                self.store.put_if_absent(key, _body(chosen))
            if not self.marks.keep([key, *(part.key for part in chosen)]):
                break
        return stored

    def table(self, name: str, data_version: str) -> StoredTable:
        """A table that was assembled before."""
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

    def read(
        self, source: StoredTable | Part | Sequence[Part], columns: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """Rows of a table or part in memory; for large ones see :meth:`row_groups`."""
        parts = source.parts if isinstance(source, StoredTable) else source
        parts = [parts] if isinstance(parts, Part) else parts
        if not parts:
            raise StoreError("nothing to read: the table has no parts")
        frames = [
            pl.read_parquet(self.local(part), columns=list(columns) if columns else None)
            for part in parts
        ]
        return pl.concat(frames)

    def read_arrow(self, part: Part, columns: Sequence[str] | None = None) -> pa.Table:
        """One part as an Arrow table."""
        with pq.ParquetFile(self.local(part)) as file:
            return file.read(columns=list(columns) if columns else None)

    def row_groups(self, part: Part, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """One row group after the other: memory is set by the row group, not the part."""
        with pq.ParquetFile(self.local(part)) as file:
            for index in range(file.num_row_groups):
                yield file.read_row_group(index, columns=list(columns) if columns else None)

    def local(self, part: Part) -> Path:
        """A local copy of the part, verified by its hash when this lake first reads it.

        A damaged copy is replaced.
        """
        path = self.cache / f"{part.sha256}.parquet"
        if not path.exists() or (
            part.sha256 not in self._verified and sha256_of_file(path) != part.sha256
        ):
            try:
                self.store.download(part.key, path, part.sha256)
            except MissingObjectError:
                raise MissingObjectError(
                    f"{self.store.uri(part.key)} is gone, a part of table {part.table}: run again, "
                    "and it is made again"
                ) from None
        self._verified.add(part.sha256)
        return path

    def _store(self, new: NewPart, identity: dict[str, Any]) -> Part:
        table = STORED[new.table]
        folder = "/".join(
            filter(None, [self.prefix, new.table, table.partition_path(new.partition)])
        )
        self.cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.cache) as scratch:
            written = (
                new.rows
                if isinstance(new.rows, WrittenFile)
                else write_parquet(
                    Path(scratch) / "part", table, new.rows, new.dimension, new.partition
                )
            )
            key = f"{folder}/{written.sha256}.parquet"
            while not self.store.put_if_absent(key, written.path, sha256=written.sha256):
                if not self.marks.keep([key]):  # it was there, and stays
                    break
            written.path.replace(self.cache / f"{written.sha256}.parquet")
            self._verified.add(written.sha256)
        return Part(
            new.table, new.partition, key, written.bytes, written.sha256, written.rows,
            new.dimension, identity, new.number,
        )  # fmt: skip

    def _recall(self, record_key: str) -> tuple[list[Part] | None, str | None]:
        """The parts that a record lists, if they are there; else the ETag of a dangling record.

        Parts may be gone because they were deleted in the moment in which somebody made use of
        them: then the step is done again.
        """
        while True:
            try:
                body, etag = self.store.get_with_etag(record_key)
            except MissingObjectError:
                return None, None
            parts = _parts(body)
            lost = [part.key for part in parts if not self.store.exists(part.key)]
            if lost:
                _LOG.warning(
                    "%d objects that %s lists are gone, such as %s: they are made again",
                    len(lost), self.store.uri(record_key), self.store.uri(lost[0]),
                )  # fmt: skip
                self.dangling.add(record_key)
                return None, etag
            if not self.marks.keep([record_key, *(part.key for part in parts)]):
                return parts, None

    def _remember(self, record_key: str, body: bytes, *, instead_of: str | None) -> None:
        """Write a record, over a dangling one if its ETag is given."""
        if instead_of is not None:
            with suppress(ConflictError):  # it was deleted, or written anew, meanwhile
                self.store.put_if_match(record_key, body, instead_of)
        while not self.store.put_if_absent(record_key, body) and self.marks.keep([record_key]):
            pass

    def _record_key(self, step: str, identity: dict[str, Any]) -> str:
        return f"{self.prefix}/records/{step}/{sha256_of(step, identity)}.json"

    def _table_key(self, table: str, data_version: str) -> str:
        return f"{self.prefix}/tables/{table}/{data_version}.json"
