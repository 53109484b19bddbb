"""What assets of published tables have in common: declaration, lineage, pools, result, pictures."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

import dagster as dg

from genept.client import Platform
from genept.common import StoreError, markdown_text
from genept.datasources import Collection
from genept.embeddings import METHOD, TABLE_OF_KIND, CollectionParts
from genept.schema.tables import STORED, TABLES
from genept.storage import Part, StoredTable, code_version

EMBEDDING: Final = "embedding"
"""Text embedders: one metered account, or all cores of the machine."""


MEMORY: Final = "memory"
"""Steps that hold a collection's expression, or all vectors, in memory."""


MADE_FROM: Final[Mapping[str, tuple[str, ...]]] = {
    "gene_mapping": ("genes",),
    "gene_axis": ("genes",),
    "gene_properties": ("genes",),
    "gene_descriptions": ("genes",),
    "undescribed_genes": ("genes",),
    "gene_embeddings": ("gene_descriptions",),
    "cell_embeddings": ("expression", "gene_embeddings"),
    "sample_embeddings": ("expression", "gene_embeddings"),
    "diagnosis_predictions": ("observations",),
    "sample_diagnoses": ("observations",),
    "drug_response_predictions": ("drug_responses",),
    "model_folds": ("observations",),
}
"""Tables whose keys a table takes over: a column of the same name has the same values."""


_POOLED: Final = (
    *(("expression", "gene_index"), ("expression", "value"), ("gene_axis", "ensembl_gene_id")),
    ("gene_embeddings", "embedding"),
)

COMPUTED: Final[Mapping[str, Mapping[str, tuple[tuple[str, str], ...]]]] = {
    "gene_embeddings": {"embedding": (("gene_descriptions", "text"),)},
    "cell_embeddings": {"embedding": _POOLED, "coverage": _POOLED},
    "sample_embeddings": {"embedding": _POOLED, "coverage": _POOLED},
}
"""Columns of which every value is computed from others."""


def column_lineage(name: str) -> dg.TableColumnLineage | None:
    """Where the columns of a table come from; None if all of them come from sources."""
    deps: dict[str, list[dg.TableColumnDep]] = {}
    for column in STORED[name].columns:
        origins = COMPUTED.get(name, {}).get(column.name) or tuple(
            (parent, column.name)
            for parent in MADE_FROM.get(name, ())
            if column.name in {parent_column.name for parent_column in STORED[parent].columns}
        )
        if origins:
            deps[column.name] = [
                dg.TableColumnDep(dg.AssetKey(table), source) for table, source in origins
            ]
    return dg.TableColumnLineage(deps) if deps else None


OWNERS = ["team:genept"]

CODE: Final[Mapping[str, tuple[str, ...]]] = {
    "sources": ("genept.client", "genept.datasources.download"),
    "nomenclature": ("genept.datasources", "genept.nomenclature", "genept.schema"),
    "collections": ("genept.collections", "genept.datasources", "genept.nomenclature"),
    "text": ("genept.datasources", "genept.text", "genept.schema"),
    "embeddings": ("genept.embeddings", "genept.schema"),
    "benchmarks": ("genept.benchmarks", "genept.embeddings", "genept.schema"),
    "models": ("genept.models", "genept.embeddings", "genept.schema"),
    "release": ("genept.release", "genept.schema", "validation"),
    "operations": ("assets.operations",),
}
"""Packages that decide what the assets of a group hold. When their behaviour changes, Dagster shows
the group's assets as stale; the lake decides by the modules of each step what is built again."""

TYPES: Final = {"rows": "int", "bytes": "int"}
"""Types of columns of undeclared tables that do not hold text."""

DATA_VERSION = "dagster/data_version"
"""Tag of an event that says which content it is about."""


def ingested(platform: Platform, table: StoredTable) -> list[Collection]:
    """The chosen collections that `table` holds; an added one may have been left out."""
    return [collection for collection in platform.collections if table.matching(collection.id)]


def column_schema(name: str) -> dg.TableSchema:
    """A table's columns as the Dagster UI shows them."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=column.type_name,
                description=column.meaning + (f" Unit: {column.unit}." if column.unit else ""),
                constraints=dg.TableColumnConstraints(
                    nullable=column.nullable, unique=(column.name,) == STORED[name].key
                ),
            )
            for column in STORED[name].columns
        ]
    )


def described(
    group: str,
    description: str,
    columns: dg.TableSchema | Mapping[str, str] | str,
    kinds: Sequence[str] = ("parquet", "s3"),
    **metadata: Any,
) -> dict[str, Any]:
    """Arguments of `dg.asset` that every asset has.

    Parameters
    ----------
    columns
        Name of a declared table; or the meaning of each column by name, with its type in `TYPES`.
    """
    if isinstance(columns, str):
        columns = column_schema(columns)
    elif isinstance(columns, Mapping):
        columns = dg.TableSchema(
            [
                dg.TableColumn(name, TYPES.get(name, "string"), description=meaning)
                for name, meaning in columns.items()
            ]
        )
    return {
        "group_name": group,
        "description": description,
        "kinds": set(kinds),
        "owners": OWNERS,
        "code_version": code_version(*CODE[group]),
        "metadata": {"dagster/column_schema": columns, **metadata},
    }


def declared(name: str) -> dict[str, Any]:
    """Arguments of `dg.asset` that a table's declaration gives."""
    table = TABLES[name]
    key = ", ".join(table.key)
    return {"name": name, **described(table.group, table.meaning, name, key=key)}


def declared_outs(names: Sequence[str]) -> dict[str, dg.AssetOut]:
    """Argument `outs` of a multi-asset that builds these tables."""
    tables = {name: declared(name) for name in names}
    return {
        name: dg.AssetOut(key=arguments.pop("name"), **arguments)
        for name, arguments in tables.items()
    }


def inputs(*names: str) -> dict[str, dg.AssetIn]:
    """Argument `ins` of an asset that reads these tables."""
    return dict.fromkeys(names, dg.AssetIn())


def bullets(lines: Iterable[object]) -> dg.MarkdownMetadataValue:
    """A list in Markdown, of text that is shown literally."""
    return dg.MetadataValue.md("\n".join(f"- {markdown_text(line)}" for line in lines) or "none")


def table_result(stored: StoredTable, **metadata: Any) -> dg.MaterializeResult[StoredTable]:
    """A materialised table: rows and bytes of every part, and its data version.

    Where the parts lie is in the table's record in the lake; people read releases.
    """
    records = [
        dg.TableRecord(
            {
                "partition": "/".join(part.partition) or "whole",
                "rows": part.rows,
                "bytes": part.bytes,
            }
        )
        for part in stored.parts
    ]
    columns = [dg.TableColumn(name, TYPES.get(name, "string")) for name in ("partition", *TYPES)]
    lineage = column_lineage(stored.table)
    return dg.MaterializeResult(
        asset_key=stored.table,
        value=stored,
        data_version=dg.DataVersion(stored.data_version),
        metadata={
            "dagster/row_count": stored.rows,
            "bytes": stored.bytes,
            "parts": dg.MetadataValue.table(records, dg.TableSchema(columns)),
            **({"dagster/column_lineage": lineage} if lineage else {}),
            **metadata,
        },
    )


SHARE_COVERED = 0.8
"""Minimum share of a collection's observations that a representation must have: all representations
are scored on the observations that each of them has."""


SHOWN_BYTES = 200_000
"""Size of the pictures in the metadata of one materialisation."""


EVALUATION_INPUTS = ("observations", "gene_axis", "expression")
"""Tables that every evaluation reads besides the embeddings of a collection's kind."""


def parts_of(
    platform: Platform, collection: Collection, tables: Mapping[str, StoredTable]
) -> CollectionParts:
    """The parts of `collection`, in every space that is built.

    Raises
    ------
    StoreError
        It is not embedded in one of the spaces.
    """
    embeddings = tables[TABLE_OF_KIND[collection.kind]]
    if missing := [
        space.id
        for space in platform.spaces
        if not embeddings.matching(space.id, METHOD, collection.id)
    ]:
        raise StoreError(
            f"{collection.id} is not embedded in {', '.join(missing)}: materialise those "
            "partitions of observation_vectors first"
        )
    return CollectionParts(
        observations=tables["observations"].part(collection.id),
        axis=tables["gene_axis"].part(collection.id),
        expression=tuple(tables["expression"].matching(collection.id)),
        embeddings={
            space: tuple(embeddings.matching(space.id, METHOD, collection.id))
            for space in platform.spaces
        },
    )


def with_further(
    parts: CollectionParts, collection: Collection, tables: Mapping[str, StoredTable]
) -> tuple[CollectionParts, dict[str, str]]:
    """`parts` with the vectors of other methods added, and the reasons why some are left out."""
    shards_by_name: dict[str, list[Part]] = {}
    for part in tables[TABLE_OF_KIND[collection.kind]].parts:
        space, method, collection_id = part.partition
        if collection_id == collection.id and method != METHOD:
            shards_by_name.setdefault(f"{space}:{method}", []).append(part)
    total = parts.observations.rows
    further, left_out = {}, {}
    for name, shards in shards_by_name.items():
        rows = sum(part.rows for part in shards)
        if rows < SHARE_COVERED * total:
            left_out[f"{collection.id}/{name}"] = (
                f"has {rows:,} of {total:,} observations, and {SHARE_COVERED:.0%} are required"
            )
        else:
            further[name] = tuple(shards)
    return replace(parts, further=further), left_out


def shown_pictures(
    pictures: Mapping[str, bytes], addresses: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Markdown of as many pictures (PNG) as Dagster's event log should carry.

    Parameters
    ----------
    addresses
        Where the others are kept; by default in the release.
    """
    lines, bytes_left = [], SHOWN_BYTES
    for name, picture in pictures.items():
        encoded = base64.b64encode(picture).decode()
        bytes_left -= len(encoded)
        shown = f"![{markdown_text(name)}](data:image/png;base64,{encoded})"
        elsewhere = f"{markdown_text(name)}: {addresses.get(name, 'in the release, under audit/')}"
        lines.append(shown if bytes_left >= 0 else elsewhere)
    return "\n\n".join(lines)
