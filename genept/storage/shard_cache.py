"""A cache in the bucket as shards: values by the SHA-256 of what they were made of.

A shard is a parquet file whose metadata may hold notes, such as what was paid for its values: one
object, so that neither is ever without the other. What the values are is decided by subclasses.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from genept.common import MissingObjectError, StoreError
from genept.storage.object_store import ObjectStore
from genept.storage.registrations import get_table, put_table

NOTES: Final = b"receipts"
"""Under which a shard's parquet metadata hold its notes."""

COMPACT_AT: Final = 32
"""Shards from which on they are merged: each costs a request whenever a cache is opened."""

RELISTED: Final = 8
"""How often shards are listed anew because some were merged while they were read."""

Note = Mapping[str, Any]
"""A JSON object; `receipt_id` tells notes apart, so that each is kept once."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class _Shard(Generic[Value]):
    addresses: Sequence[str]
    values: Sequence[Value]
    notes: list[Note]


class ShardCache(ABC, Generic[Value]):
    """Values by address, which several processes may add to.

    Shards are read once, at first use or on `refresh`; those that this object writes are known to
    it. Writers never lose what another wrote.

    Parameters
    ----------
    store
        The bucket.
    prefix
        Of the keys of its shards, ending in a slash.
    """

    def __init__(self, store: ObjectStore, prefix: str) -> None:
        self.store, self.prefix = store, prefix
        self._read: set[str] | None = None
        self._values: dict[str, Value] = {}

    @abstractmethod
    def rows_of(self, addresses: Sequence[str], values: Sequence[Value]) -> pa.Table:
        """Addresses and values as the rows of a shard."""

    @abstractmethod
    def values_in(self, rows: pa.Table) -> tuple[Sequence[str], Sequence[Value]]:
        """Addresses and values of the rows of a shard."""

    def has(self, address: str) -> bool:
        """Whether there is a value under this address."""
        return address in self.known()

    def known(self) -> Mapping[str, Value]:
        """Every value by its address."""
        if self._read is None:
            self.refresh()
        return self._values

    def keep(
        self, addresses: Sequence[str], values: Sequence[Value], notes: Iterable[Note] = ()
    ) -> None:
        """Store values by address as a shard, with notes on them."""
        self.known()
        key = self._write(addresses, values, notes)
        self._remember(key, addresses, values)

    def refresh(self) -> None:
        """Read what other writers have added since."""
        for _ in range(RELISTED):
            known = self._read or set()
            new = [i.key for i in self.store.list(self.prefix) if i.key not in known]
            with ThreadPoolExecutor(4) as pool:
                shards = list(pool.map(self._shard, new))
            self._read = known
            for key, shard in zip(new, shards, strict=True):
                if shard is not None:
                    self._remember(key, shard.addresses, shard.values)
            if None not in shards:
                return
        raise StoreError(
            f"{self.store.uri(self.prefix)}: shards keep disappearing while they are read; "
            "is something deleting them? stop it and run again"
        )

    def compact(self, at_least: int = COMPACT_AT) -> bool:
        """Merge the shards into one if there are `at_least` so many; return whether it did.

        The merged shard is complete before those that went into it are deleted: every value is
        always in a shard that a reader can list, and a reader whose shard disappears lists again.
        Several processes may compact at once.
        """
        keys = [info.key for info in self.store.list(self.prefix)]
        if len(keys) < max(at_least, 2):
            return False
        values: dict[str, Value] = {}
        notes: dict[str, Note] = {}
        merged: list[str] = []
        for key in keys:
            shard = self._shard(key)
            if shard is None:
                continue  # another one merged it: it is in a shard that we do not touch
            merged.append(key)
            values = dict(zip(shard.addresses, shard.values, strict=True)) | values
            notes |= {note["receipt_id"]: note for note in shard.notes}
        if len(merged) < 2:
            return False
        addresses = sorted(values)
        result = self._write(addresses, [values[address] for address in addresses], notes.values())
        self.store.delete(key for key in merged if key != result)
        return True

    def _remember(self, key: str, addresses: Sequence[str], values: Sequence[Value]) -> None:
        self._values.update(zip(addresses, values, strict=True))
        if self._read is not None:
            self._read.add(key)

    def _write(
        self, addresses: Sequence[str], values: Sequence[Value], notes: Iterable[Note]
    ) -> str:
        rows = self.rows_of(addresses, values)
        if notes := list(notes):
            encoded = json.dumps(list(map(dict, notes)), sort_keys=True).encode()
            rows = rows.replace_schema_metadata({NOTES: encoded})
        # Random mantissas and hashes compress to 92 %, at many times the cost of writing them.
        return put_table(self.store, self.prefix, rows, compression="none", use_dictionary=False)

    def _shard(self, key: str) -> _Shard[Value] | None:
        """A shard; none if it was merged meanwhile."""
        remedy = "delete the object, and what it held is made again"
        try:
            rows = get_table(self.store, key, remedy)
        except MissingObjectError:
            return None
        return _Shard(*self.values_in(rows), _notes_in(rows.schema.metadata))


def notes_below(store: ObjectStore, prefix: str) -> list[Note]:
    """Notes of all shards below a prefix, each once; only footers of shards are read.

    Parameters
    ----------
    store
        The bucket.
    prefix
        Of keys; shards of several caches may be below it.

    Returns
    -------
    list of Note
        Raises `StoreError` if shards keep disappearing while they are read.
    """
    for _ in range(RELISTED):
        keys = [info.key for info in store.list(prefix)]
        with ThreadPoolExecutor(8) as pool:
            per_shard = list(pool.map(partial(_notes_of, store), keys))
        if None not in per_shard:  # else a merge was under way: its result is in the next list
            notes = (note for of_shard in per_shard for note in of_shard or ())
            return list({note["receipt_id"]: note for note in notes}.values())
    raise StoreError(f"{store.uri(prefix)}: shards keep disappearing while payments are read")


def _notes_of(store: ObjectStore, key: str) -> list[Note] | None:
    try:
        schema = pq.read_schema(f"{store.bucket}/{key}", filesystem=store.access.filesystem())
    except FileNotFoundError:
        return None
    return _notes_in(schema.metadata)


def _notes_in(metadata: Mapping[bytes, bytes] | None) -> list[Note]:
    entries: list[Note] = json.loads((metadata or {}).get(NOTES, b"[]"))
    return entries
