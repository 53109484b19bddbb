"""A planted release of every table, published with its metadata, and a copy of it in a folder."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pytest
from declared_rows import candidate, declared_rows, default_partition, passing

from genept.release.manifest import Manifest, ReleasedSource
from genept.release.metadata import DescribedRelease, metadata_files
from genept.release.publish import Releases
from genept.release.released_files import ReleasedFiles
from genept.schema import Table, foreign_keys
from genept.schema.tables import TABLES
from genept.storage.lake import Lake
from genept.storage.object_store import ObjectStore
from genept.storage.provenance import NewPart, Origin

SOURCE = ReleasedSource(
    title="A source",
    version="src 1",
    released="2026-01-02",
    sha256="0" * 64,
    licence="MIT (package); CC-BY-4.0 (data)",
    redistributable=True,
    citation="An author et al. A title: #1 & 50 % of it. A journal. 2020. doi:10.1000/a_b",
)
TERM_ID = "term_id"


@dataclass(frozen=True)
class Copied:
    """A published release, and the folder that it was copied to."""

    releases: Releases
    manifest: Manifest
    folder: Path


def planted(table: Table) -> list[pa.Table]:
    """Rows of a table; if it is split, of two partitions, and vectors of two dimensions."""
    if table.name == "ontology_terms":
        ids = sorted(
            {
                id_
                for other in TABLES.values()
                for key in foreign_keys(other)
                if key.table == table.name
                for rows in planted(other)
                for id_ in rows[key.columns[0]].drop_null().to_pylist()
            }
        )
        rows = declared_rows(table, len(ids))
        return [with_nulls(table, rows.set_column(0, rows.schema.field(0), [ids]))]
    first = default_partition(table)
    if not table.partition:
        return [with_nulls(table, declared_rows(table))]
    second = ("a/b%c" if table.partition[0] == "space" else f"{first[0]}-b", *first[1:])
    return [
        with_nulls(table, declared_rows(table, partition=partition, dimension=dimension))
        for partition, dimension in ((first, 4), (second, 6))
    ]


def with_nulls(table: Table, rows: pa.Table) -> pa.Table:
    """The rows, with null wherever the last of them may have it."""
    *before, last = rows.to_pylist()
    last |= {column.name: None for column in table.columns if column.nullable}
    return pa.Table.from_pylist([*before, last] if before else [last], schema=rows.schema)


def published(lake: Lake, product: str) -> tuple[Releases, Manifest]:
    """Publish planted rows of every table, made of one source."""
    tables = {}
    for name, table in TABLES.items():
        new = [
            NewPart(
                name,
                rows,
                tuple(rows[column][0].as_py() for column in table.partition),
                (4, 6)[number] if table.vector else None,
            )
            for number, rows in enumerate(planted(table))
        ]
        origin = Origin(code=(), inputs={"src": SOURCE.sha256})
        tables[name] = lake.assemble(name, lake.build(f"test/{name}", origin, lambda new=new: new))
    tables = dict(sorted(tables.items()))  # as the orchestrator has them
    offered = replace(
        candidate(lake, **tables), tables=tables, evidence=passing(tables), sources={"src": SOURCE}
    )
    releases = Releases(lake, product)
    return releases, releases.publish(offered, metadata=described).manifest


def described(draft: Manifest, files: ReleasedFiles) -> Mapping[str, bytes]:
    address = files.store.uri(f"{files.folder}/{draft.release_id}/")
    return metadata_files(DescribedRelease(draft, address))


@pytest.fixture(scope="session")
def copied(object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Copied:
    product, folder = f"tests/metadata-{secrets.token_hex(4)}", tmp_path_factory.mktemp("release")
    lake = Lake(object_store, product, tmp_path_factory.mktemp("parts"))
    releases, manifest = published(lake, product)
    paths = [file.path for table in manifest.tables.values() for file in table.files]
    for path in (*paths, *manifest.metadata):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(releases.store.get(f"{releases.folder(manifest.release_id)}/{path}"))
    return Copied(releases, manifest, folder)
