"""What assets of published tables have in common: declaration, lineage, pools, result, pictures."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

import dagster as dg

from genept.client import Platform
from genept.common import markdown_text
from genept.datasources.catalog import Collection
from genept.embeddings import METHOD, TABLE_OF_KIND, CollectionParts
from genept.schema.tables import STORED, TABLES
from genept.storage import Part, StoredTable

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
        found = COMPUTED.get(name, {}).get(column.name) or tuple(
            (parent, column.name)
            for parent in MADE_FROM.get(name, ())
            if column.name in {one.name for one in STORED[parent].columns}
        )
        if found:
            deps[column.name] = [
                dg.TableColumnDep(dg.AssetKey(table), source) for table, source in found
            ]
    return dg.TableColumnLineage(deps) if deps else None


OWNERS = ["team:genept"]

DATA_VERSION = "dagster/data_version"
"""Tag of an event that says which content it is about."""


def ingested(platform: Platform, table: StoredTable) -> list[Collection]:
    """The chosen collections that `table` holds; an added one may have been left out."""
    return [one for one in platform.collections if table.matching(one.id)]


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


def file_schema() -> dg.TableSchema:
    """What is recorded of a source: one file, whose own columns its parser knows."""
    return dg.TableSchema(
        [
            dg.TableColumn("file", "string", description="Name of the publisher's file."),
            dg.TableColumn("bytes", "int", description="Its size."),
            dg.TableColumn("sha256", "string", description="Hash of its content."),
            dg.TableColumn("released", "string", description="When the publisher released it."),
        ]
    )


def declared(name: str) -> dict[str, Any]:
    """Arguments of `dg.asset` that a table's declaration gives."""
    table = TABLES[name]
    return {
        "name": name,
        "group_name": table.group,
        "description": table.meaning,
        "kinds": {"parquet", "s3"},
        "owners": OWNERS,
        "metadata": {"dagster/column_schema": column_schema(name), "key": ", ".join(table.key)},
    }


def declared_outs(names: Sequence[str]) -> dict[str, dg.AssetOut]:
    """The same for the tables of a multi-asset."""
    outs = {}
    for name in names:
        arguments = declared(name)
        outs[name] = dg.AssetOut(key=arguments.pop("name"), **arguments)
    return outs


def table_result(stored: StoredTable, **metadata: Any) -> dg.MaterializeResult[StoredTable]:
    """A materialised table: rows and bytes of every part, and its data version.

    Where the parts lie is in the table's record in the lake; people read releases.
    """
    parts = [
        dg.TableRecord(
            {
                "partition": "/".join(part.partition) or "whole",
                "rows": part.rows,
                "bytes": part.bytes,
            }
        )
        for part in stored.parts
    ]
    columns = [
        dg.TableColumn(name, kind)
        for name, kind in (("partition", "string"), ("rows", "int"), ("bytes", "int"))
    ]
    lineage = column_lineage(stored.table)
    return dg.MaterializeResult(
        asset_key=stored.table,
        value=stored,
        data_version=dg.DataVersion(stored.data_version),
        metadata={
            "dagster/row_count": stored.rows,
            "bytes": stored.bytes,
            "parts": dg.MetadataValue.table(parts, dg.TableSchema(columns)),
            **({"dagster/column_lineage": lineage} if lineage else {}),
            **metadata,
        },
    )


SHARE_COVERED = 0.8
"""A representation that reaches fewer of a collection's observations is not asked: all are scored
on the observations that every one reaches."""


SHOWN_BYTES = 200_000
"""Of pictures in the metadata of one materialisation."""


READ = ("observations", "gene_axis", "expression")
"""What every view needs besides the embeddings of its kind."""


def parts_of(
    platform: Platform, collection: Collection, tables: dict[str, StoredTable]
) -> CollectionParts:
    """The parts of `collection`, in every space that is built."""
    embeddings = tables[TABLE_OF_KIND[collection.kind]]
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
    parts: CollectionParts, collection: Collection, tables: dict[str, StoredTable]
) -> tuple[CollectionParts, dict[str, str]]:
    """The same with what other methods made of `collection`; and why some take no part."""
    found: dict[str, list[Part]] = {}
    for part in tables[TABLE_OF_KIND[collection.kind]].parts:
        space, method, of = part.partition
        if of == collection.id and method != METHOD:
            found.setdefault(f"{space}:{method}", []).append(part)
    total = parts.observations.rows
    rows = {name: sum(part.rows for part in shards) for name, shards in found.items()}
    without = {
        f"{collection.id}/{name}": f"reaches {rows[name]:,} of {total:,} observations, and "
        f"{SHARE_COVERED:.0%} are asked for"
        for name in found
        if rows[name] < SHARE_COVERED * total
    }
    further = {
        name: tuple(shards)
        for name, shards in found.items()
        if f"{collection.id}/{name}" not in without
    }
    return replace(parts, further=further), without


def shown_pictures(
    pictures: Mapping[str, bytes], addresses: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Markdown of as many pictures (PNG) as Dagster's event log should carry.

    Parameters
    ----------
    addresses
        Where the others are kept; by default in the release.
    """
    lines, left = [], SHOWN_BYTES
    for name, picture in pictures.items():
        encoded = base64.b64encode(picture).decode()
        left -= len(encoded)
        shown = f"![{markdown_text(name)}](data:image/png;base64,{encoded})"
        elsewhere = f"{markdown_text(name)}: {addresses.get(name, 'in the release, under audit/')}"
        lines.append(shown if left >= 0 else elsewhere)
    return "\n\n".join(lines)
