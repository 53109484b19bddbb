"""Staging: copying the files of a release to its folder, and reading them back through S3.

Also which parts may be redistributed: the terms of a collection apply to all results of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from genept.common import StoreError, progress_bar
from genept.release.layout import VECTOR_LEAF, as_released, file_path, released_schema
from genept.release.manifest import ReleasedColumn, ReleasedFile, ReleasedTable
from genept.schema.tables import TABLES
from genept.storage import Lake, ObjectStore, Part, StoredTable


class LicenceError(StoreError):
    """A release contains data whose licence does not allow redistribution."""


@dataclass(frozen=True)
class Restricted:
    """What may not be redistributed.

    Parameters
    ----------
    collections
        Ids of collections, and of screens of perturbations.
    spaces
        Names of registered spaces.
    vectors
        Space and collection of registered observation vectors, and of ensembles of them, in
        other collections.
    sources
        Ids of sources of which parts without collection and space were made, such as a list of
        drugs and their targets.
    """

    collections: frozenset[str]
    spaces: frozenset[str]
    vectors: frozenset[tuple[str, str]]
    sources: frozenset[str] = frozenset()

    @classmethod
    def of(cls, lake: Lake, tables: Mapping[str, StoredTable]) -> Restricted:
        """Return what the tables of a release declare as restricted."""
        collections = _not_passed_on(lake, tables["collections"], ["collection_id"])
        if "perturbation_screens" in tables:
            collections |= _not_passed_on(lake, tables["perturbation_screens"], ["screen"])
        vectors = _not_passed_on(lake, tables["embedding_origins"], ["space", "collection_id"])
        spaces = {
            space_of(part)
            for table in tables.values()
            for part in table.parts
            if is_restricted(part)
        }
        sources = {
            part.origin["settings"].get("source")
            for table in tables.values()
            for part in table.parts
            if is_restricted(part)
        }
        return cls(
            frozenset(collection for (collection,) in collections),
            frozenset(space for space in spaces if space),
            frozenset((space, of) for space, of in vectors if (of,) not in collections),
            frozenset(source for source in sources if source),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of collections and spaces, and vectors as ``space of collection``."""
        vectors = (f"{space} of {of}" for space, of in self.vectors)
        named = self.collections | self.spaces | self.sources
        return (*sorted(named), *sorted(vectors))

    def marks(self, lake: Lake, part: Part) -> bool:
        """Return whether a part contains restricted data, or results computed from them."""
        return (
            space_of(part) in self.spaces
            or is_restricted(part)
            or bool(self.collections & collections_in(lake, part))
            or self._is_made_of(lake, part)
        )

    def _is_made_of(self, lake: Lake, part: Part) -> bool:
        table = TABLES[part.table]
        if not self.vectors or table.collection is None or table.name == "embedding_origins":
            return False
        if "space" in table.partition:
            place = dict(zip(table.partition, part.partition, strict=True))
            return (place["space"], place[table.collection]) in self.vectors
        if "representation" not in {column.name for column in table.columns}:
            return False
        seen = lake.read(part, [table.collection, "representation"]).unique().iter_rows()
        return any(
            collection == of and name.startswith(f"{space}:")
            for collection, name in seen
            for space, of in self.vectors
        )


def is_restricted(part: Part) -> bool:
    """Whether what a part was computed from says that it may not be passed on.

    Parameters
    ----------
    part
        A part of any table.

    Returns
    -------
    bool
    """
    return part.origin.get("settings", {}).get("redistributable") is False


def space_of(part: Part) -> str | None:
    """Return the space of the vectors of a part; None for a part without vectors."""
    table = TABLES[part.table]
    if table.vector is None or "space" not in table.partition:
        return None
    return part.partition[table.partition.index("space")]


def collections_in(lake: Lake, part: Part) -> frozenset[str]:
    """Return the collections whose data, or results computed from them, a part contains."""
    table = TABLES[part.table]
    if table.collection is None:
        return frozenset()
    if table.collection in table.partition:
        return frozenset({part.partition[table.partition.index(table.collection)]})
    return frozenset(lake.read(part, [table.collection])[table.collection].unique())


def passed_on(
    lake: Lake, tables: Mapping[str, StoredTable], policy: str
) -> tuple[dict[str, StoredTable], tuple[str, ...]]:
    """Apply the policy on restricted data to the tables of a release.

    Parameters
    ----------
    lake
        The lake of the tables.
    tables
        Tables by name.
    policy
        ``keep``, ``leave_out`` or ``refuse``. A part that contains restricted data is left out as
        a whole.

    Returns
    -------
    tables, names
        The tables of the release, and the names of what was left out.

    Raises
    ------
    LicenceError
        The policy is ``refuse``, and there are restricted data.
    """
    if policy == "keep":
        return dict(tables), ()
    restricted = Restricted.of(lake, tables)
    if restricted.names and policy == "refuse":
        raise LicenceError(
            f"{', '.join(restricted.names)} may not be redistributed, as declared; publish "
            "without them (GENEPT_RESTRICTED=leave_out), or keep them in a release that is "
            "not passed on (GENEPT_RESTRICTED=keep)"
        )
    kept = {
        name: lake.assemble(
            name, (part for part in table.parts if not restricted.marks(lake, part))
        )
        for name, table in tables.items()
    }
    return kept, restricted.names


def _not_passed_on(lake: Lake, table: StoredTable, what: list[str]) -> set[tuple[str, ...]]:
    if not table.parts:
        return set()
    terms = lake.read(table, [*what, "redistributable"])
    return set(terms.filter(~pl.col("redistributable")).select(what).iter_rows())


class ReleaseRefusedError(StoreError):
    """The release was refused; the pointer was not swapped."""


def stage(
    lake: Lake, folder: str, tables: Mapping[str, StoredTable], scratch: Path
) -> dict[str, ReleasedTable]:
    """Copy all parts to `folder`; return the tables as the manifest will list them.

    Files that differ from their part stay in the local folder `scratch`, under their SHA-256.
    """
    staged = {}
    restricted = Restricted.of(lake, tables)
    with progress_bar("publishing", sum(table.bytes for table in tables.values())) as advance:
        for name, table in tables.items():
            files, declared = [], TABLES[name]
            for part in table.parts:
                files.append(_stage_part(lake, folder, part, restricted, scratch))
                advance(part.bytes)
            staged[name] = ReleasedTable(
                meaning=declared.meaning,
                deprecated=declared.deprecated,
                key=declared.key,
                partition=declared.partition,
                columns=ReleasedColumn.of(declared),
                data_version=table.data_version,
                rows=table.rows,
                bytes=sum(file.bytes for file in files),
                files=tuple(files),
            )
    return staged


def _stage_part(
    lake: Lake, folder: str, part: Part, restricted: Restricted, scratch: Path
) -> ReleasedFile:
    table, sha256, size = TABLES[part.table], part.sha256, part.bytes
    path, body = file_path(table, part.partition, part.number), lake.local(part)
    if table.vector is not None:
        copy = as_released(body, scratch / "copy")
        sha256, size = copy.sha256, copy.bytes
        body = copy.path.replace(scratch / f"{sha256}.parquet")
    lake.store.put_if_absent(f"{folder}/{path}", body, sha256=sha256)
    return ReleasedFile(
        path=path,
        partition=part.partition,
        bytes=size,
        sha256=sha256,
        rows=part.rows,
        dimension=part.dimension,
        origin=part.origin,
        collections=tuple(sorted(collections_in(lake, part))),
        redistributable=not restricted.marks(lake, part),
    )


def audit(store: ObjectStore, folder: str, tables: Mapping[str, ReleasedTable]) -> None:
    """Read every staged file back through S3, and check hash, schema and number of rows.

    Raises
    ------
    ReleaseRefusedError
        A file differs from what was staged.
    """
    for name, table in tables.items():
        for file in table.files:
            key = f"{folder}/{file.path}"
            address, body = store.uri(key), store.get(key)
            if hashlib.sha256(body).hexdigest() != file.sha256:
                raise ReleaseRefusedError(f"{address} does not read back as it was written")
            footer = pq.ParquetFile(pa.BufferReader(body))
            if footer.metadata.num_rows != file.rows:
                raise ReleaseRefusedError(
                    f"{address} holds {footer.metadata.num_rows} rows, {file.rows} were meant"
                )
            declared = released_schema(TABLES[name].schema(file.dimension))
            if not footer.schema_arrow.equals(declared) or not _fits(footer.metadata, file):
                raise ReleaseRefusedError(
                    f"{address} does not have the schema that genept/schema/tables declares: "
                    "materialise its asset again"
                )


def _fits(footer: pq.FileMetaData, file: ReleasedFile) -> bool:
    """Whether every vector of a file has the dimension that the manifest states."""
    if file.dimension is None:
        return True
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    values = [
        group.column(number).num_values
        for group in groups
        for number in range(group.num_columns)
        if group.column(number).path_in_schema == VECTOR_LEAF
    ]
    return bool(sum(values) == file.rows * file.dimension)


def store_pages(store: ObjectStore, folder: str, pages: Mapping[str, bytes]) -> dict[str, str]:
    """Store pages below `folder`; return their SHA-256 by path."""
    for path, body in pages.items():
        store.put_if_absent(f"{folder}/{path}", body)
    return {path: hashlib.sha256(body).hexdigest() for path, body in pages.items()}
