"""Origins of stored tables (code, inputs, settings), and the parts that tables consist of.

The lake computes each origin once. The version of code is in `genept.storage.code_versions`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

from genept.common import StoreError
from genept.storage.code_versions import code_version
from genept.storage.hashes import sha256_of
from genept.storage.parquet import Rows, WrittenFile


def input_changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Say which of several inputs differ.

    Parameters
    ----------
    before, after
        Version of each input, by name.

    Returns
    -------
    list of str
        One sentence for each input that is new, gone or changed, in order of the names.
    """
    changes = []
    for name in sorted({*before, *after}):
        if name not in before:
            changes.append(f"{name} is new")
        elif name not in after:
            changes.append(f"{name} is gone")
        elif before[name] != after[name]:
            changes.append(f"{name} changed")
    return changes


@dataclass(frozen=True)
class Origin:
    """What a step computes its parts from.

    Parameters
    ----------
    code
        Dotted names of the modules that decide the result.
    inputs
        Data version or checksum of each input, by name.
    settings
        Everything else that decides the result, as JSON values.
    libraries
        Names of the distributions whose version may change the numbers.
    """

    code: tuple[str, ...]
    inputs: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    libraries: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the origin as it is stored with the parts."""
        return {
            "code_version": code_version(*self.code),
            "inputs": dict(self.inputs),
            "settings": dict(self.settings),
            "libraries": {name: version(name) for name in self.libraries},
        }


@dataclass(frozen=True)
class NewPart:
    """Rows to store in the lake: one partition of a table, or a numbered piece of it.

    Parameters
    ----------
    table
        Name of the table.
    rows
        The rows, or a file that `write_parquet` wrote, which is moved.
    partition
        Values of the partition columns.
    dimension
        Length of the vectors, if the table has a vector column.
    number
        Number of the piece within the partition.
    """

    table: str
    rows: Rows | WrittenFile
    partition: tuple[str, ...] = ()
    dimension: int | None = None
    number: int = 0


@dataclass(frozen=True)
class Part:
    """One partition of a table, or a numbered piece of it, as it is stored in the lake.

    Parameters
    ----------
    table, partition, number
        As in `NewPart`.
    key
        Key of the parquet file in the bucket.
    bytes, sha256, rows
        Size, SHA-256 (hex digits) and number of rows of the file.
    dimension
        Length of the vectors; None if the table has no vector column.
    origin
        What the part was computed from: `Origin.as_dict`.
    """

    table: str
    partition: tuple[str, ...]
    key: str
    bytes: int
    sha256: str
    rows: int
    dimension: int | None
    origin: dict[str, Any]
    number: int = 0


@dataclass(frozen=True)
class StoredTable:
    """A table in the lake.

    Parameters
    ----------
    table
        Name of the table.
    parts
        Its parts, in order of their partitions.
    """

    table: str
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, table: str, parts: Iterable[Part]) -> StoredTable:
        """Return a table of those parts that are its own, in order of partition and number."""
        own = (part for part in parts if part.table == table)
        return cls(table, tuple(sorted(own, key=lambda part: (part.partition, part.number))))

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(part.rows for part in self.parts)

    @property
    def bytes(self) -> int:
        """Stored size in bytes."""
        return sum(part.bytes for part in self.parts)

    @property
    def data_version(self) -> str:
        """Hash of the content."""
        return sha256_of(self.table, [(part.partition, part.sha256) for part in self.parts])

    def part(self, *partition: str) -> Part:
        """Return the part of a partition. Raises `StoreError` unless there is exactly one."""
        matches = [part for part in self.parts if part.partition == partition]
        if len(matches) > 1:
            raise StoreError(f"{self.table}: {'/'.join(partition)!r} is in {len(matches)} pieces")
        if not matches:
            known = ", ".join("/".join(part.partition) for part in self.parts) or "none"
            raise StoreError(f"{self.table} has no part {'/'.join(partition)!r}; it has: {known}")
        return matches[0]

    def matching(self, *prefix: str) -> list[Part]:
        """Return the parts whose partition starts with `prefix`."""
        return [part for part in self.parts if part.partition[: len(prefix)] == prefix]


def _body(parts: Sequence[Part]) -> bytes:
    return json.dumps([asdict(part) for part in parts], sort_keys=True).encode()


def _parts(body: bytes) -> list[Part]:
    return [Part(**{**entry, "partition": tuple(entry["partition"])}) for entry in json.loads(body)]
