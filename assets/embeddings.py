"""Group `embeddings`: cells and bulk samples in every space (GenePT-w), and as sentences (-s).

With an executor beyond this process the shards are dealt out to lanes: steps that a cluster
runs side by side. They leave what they made in the lake, where the tables' assets find it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence

import dagster as dg

from assets.pools import MEMORY
from assets.results import OWNERS, column_schema, declared, table_result
from genept.embeddings.pictures import pictures_of
from genept.embeddings.pooling import TABLE_OF_KIND
from genept.embeddings.sampling import Sampling, label_of
from genept.embeddings.sentence_vectors import Caps, embed_sentences
from genept.embeddings.shards import Shard, embed_shards, shards_of
from genept.platform import Platform
from genept.sources.catalogue import Collection
from genept.store.lake import Part, StoredTable
from genept.store.provenance import sha256_of

READ = ("gene_embeddings", "gene_axis", "expression")
LANE = "embedding_lane"
SHOWN_BYTES = 200_000
"""Of pictures in the metadata of one materialisation."""


def embedding_lanes(n: int) -> list[dg.AssetsDefinition]:
    """Steps that share the shards of all collections and spaces; none on one machine."""
    return [_lane(number, n) for number in range(n)]


def embedding_tables(lanes: Sequence[dg.AssetsDefinition] = ()) -> list[dg.AssetsDefinition]:
    """The tables of cells and of samples, below the lanes if there are any."""
    below = [lane.key for lane in lanes]
    return [_table(kind, table, below) for kind, table in TABLE_OF_KIND.items()]


def _lane(number: int, n: int) -> dg.AssetsDefinition:
    @dg.asset(
        key=[LANE, f"{number:03d}"],
        group_name="embeddings",
        kinds={"parquet", "s3"},
        owners=OWNERS,
        ins={name: dg.AssetIn() for name in READ},
        metadata={"dagster/column_schema": column_schema("cell_embeddings")},
        description=f"Every {n}th shard of expression in every space, from number {number} on.",
    )
    def lane(
        platform: dg.ResourceParam[Platform], **tables: StoredTable
    ) -> dg.MaterializeResult[None]:
        mine = list(_shards(platform, tuple(TABLE_OF_KIND), tables))[number::n]
        parts = embed_shards(platform.lake, mine, platform.settings.threads)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(sha256_of([part.sha256 for part in parts])),
            metadata={"shards": len(parts), "dagster/row_count": sum(one.rows for one in parts)},
        )

    return lane


def _table(kind: str, table: str, below: list[dg.AssetKey]) -> dg.AssetsDefinition:
    @dg.asset(
        **declared(table),
        ins={name: dg.AssetIn() for name in (*READ, "observations")},
        deps=below,
        pool=MEMORY,
    )
    def embeddings(
        platform: dg.ResourceParam[Platform], **tables: StoredTable
    ) -> dg.MaterializeResult[StoredTable]:
        shards = list(_shards(platform, (kind,), tables))
        parts = embed_shards(platform.lake, shards, platform.settings.threads)
        for collection in platform.collections:
            if collection.kind == kind:
                parts += _sentences(platform, collection, tables)
        stored = platform.lake.assemble(table, parts)
        pictures = pictures_of(platform.lake, tables["observations"], stored)
        return table_result(stored, pictures=dg.MetadataValue.md(_shown(platform, pictures)))

    return embeddings


def _shards(
    platform: Platform, kinds: tuple[str, ...], tables: dict[str, StoredTable]
) -> Iterator[Shard]:
    for collection in platform.collections:
        if collection.kind in kinds:
            for space in platform.spaces:
                yield from shards_of(
                    collection.kind,
                    collection.unit,
                    tables["gene_embeddings"].part(space.id),
                    tables["gene_axis"].part(collection.id),
                    tables["expression"].matching(collection.id),
                )


def _sentences(
    platform: Platform, collection: Collection, tables: dict[str, StoredTable]
) -> list[Part]:
    """GenePT-s of as many observations as the settings allow: none unless they say so."""
    cap = platform.settings.sentences_per_collection
    if not cap:
        return []
    observations = tables["observations"].part(collection.id)
    return embed_sentences(
        platform.lake,
        kind=collection.kind,
        unit=collection.unit,
        observations=observations,
        axis=tables["gene_axis"].part(collection.id),
        expression=tables["expression"].matching(collection.id),
        embedder=platform.minilm,
        product=platform.settings.product,
        sampling=Sampling(cap, label_of(platform.lake.read(observations))),
        caps=Caps(texts=cap),
        runner=platform.runner,
    )


def _shown(platform: Platform, pictures: dict[str, tuple[str, bytes]]) -> str:
    """Markdown of as many pictures as Dagster's event log should carry; the others by address."""
    lines, left = [], SHOWN_BYTES
    for name, (key, picture) in pictures.items():
        encoded = base64.b64encode(picture).decode()
        left -= len(encoded)
        shown = f"![{name}](data:image/png;base64,{encoded})"
        lines.append(shown if left >= 0 else f"{name}: {platform.store.uri(key)}")
    return "\n\n".join(lines)
