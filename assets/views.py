"""What assets have in common: the parts of a collection among the tables; pictures in the UI."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from genept.embeddings.pooling import METHOD, TABLE_OF_KIND
from genept.embeddings.representations import CollectionParts
from genept.escaping import markdown_text
from genept.platform import Platform
from genept.sources.catalogue import Collection
from genept.store.lake import Part, StoredTable

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
