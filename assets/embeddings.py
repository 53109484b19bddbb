"""Group `embeddings`: cells and bulk samples in every space, as sentences, and beyond GenePT.

With an executor beyond this process the shards are divided among lanes: steps that a cluster
runs in parallel. They store their parts in the lake, where the tables' assets read them.
"""

from collections.abc import Callable, Iterator, Sequence

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`

from assets.collections import INGESTED
from assets.partitions import (
    COLLECTIONS_IN_SPACES,
    PartitionTables,
    along,
    collection_of,
    key_of,
    partition_result,
    record_partitions,
)
from assets.results import (
    MEMORY,
    declared,
    declared_outs,
    described,
    ingested,
    inputs,
    shown_pictures,
    table_result,
)
from assets.text import SPACE_VECTORS
from genept.client import Platform
from genept.datasources import Collection
from genept.embeddings import (
    TABLE_OF_KIND,
    Caps,
    Sampling,
    Shard,
    chosen,
    embed_sentences,
    embed_shards,
    join_summary,
    label_of,
    missing_members,
    pictures_of,
    release_ensemble,
    release_registered_vectors,
    shards_of,
)
from genept.storage import Part, StoredTable, sha256_of

POOLING_INPUTS = ("gene_embeddings", "gene_axis", "expression")
LANE = "embedding_lane"
VECTORS = dg.AssetKey("observation_vectors")
ACCOUNTS = ("embedding_origins", "unmatched_vectors")


@dg.asset(
    key=VECTORS,
    **described(
        "embeddings",
        "The cells or samples of one collection in one space. Materialise one to embed only it; "
        "the tables take the parts over.",
        "cell_embeddings",
    ),
    partitions_def=COLLECTIONS_IN_SPACES,
    ins={INGESTED.path[-1]: along("collection"), SPACE_VECTORS.path[-1]: along("space")},
    pool=MEMORY,
)
def observation_vectors(
    context: dg.AssetExecutionContext,
    platform: dg.ResourceParam[Platform],
    ingested_collection: PartitionTables,
    space_vectors: PartitionTables,
) -> dg.MaterializeResult[PartitionTables]:
    """Embed one collection in one space."""
    id_ = collection_of(context)
    (collection,) = platform.catalogue.chosen([id_])
    shards = shards_of(
        collection.kind,
        collection.unit,
        space_vectors["gene_embeddings"].parts[0],
        ingested_collection["gene_axis"].part(id_),
        ingested_collection["expression"].matching(id_),
    )
    return partition_result(
        platform.lake, embed_shards(platform.lake, shards, platform.settings.threads)
    )


def embedding_lanes(n: int) -> list[dg.AssetsDefinition]:
    """Steps that share the shards of all collections and spaces; none on one machine."""
    return [_lane(number, n) for number in range(n)]


def embedding_tables(lanes: Sequence[dg.AssetsDefinition] = ()) -> list[dg.AssetsDefinition]:
    """The tables of cells and of samples, below the lanes if there are any."""
    lane_keys = [lane.key for lane in lanes]
    return [_table(kind, table, lane_keys) for kind, table in TABLE_OF_KIND.items()]


def _lane(number: int, n: int) -> dg.AssetsDefinition:
    @dg.asset(
        key=[LANE, f"{number:03d}"],
        **described(
            "embeddings",
            f"Every {n}th shard of expression in every space, from number {number} on.",
            "cell_embeddings",
        ),
        ins=inputs(*POOLING_INPUTS),
    )
    def lane(
        platform: dg.ResourceParam[Platform], **tables: StoredTable
    ) -> dg.MaterializeResult[None]:
        shards = list(_shards(platform, tuple(TABLE_OF_KIND), tables))[number::n]
        parts = embed_shards(platform.lake, shards, platform.settings.threads)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(sha256_of([part.sha256 for part in parts])),
            metadata={"shards": len(parts), "dagster/row_count": sum(part.rows for part in parts)},
        )

    return lane


def _table(kind: str, table: str, lane_keys: list[dg.AssetKey]) -> dg.AssetsDefinition:
    @dg.asset(
        **declared(table), ins=inputs(*POOLING_INPUTS, "observations"), deps=lane_keys, pool=MEMORY
    )
    def embeddings(
        context: dg.AssetExecutionContext,
        platform: dg.ResourceParam[Platform],
        **tables: StoredTable,
    ) -> dg.MaterializeResult[StoredTable]:
        shards = list(_shards(platform, (kind,), tables))
        parts = embed_shards(platform.lake, shards, platform.settings.threads)
        record_partitions(context, platform.lake, VECTORS, _by_partition(parts))
        remarks: dict[str, str] = {}
        for collection in ingested(platform, tables["expression"]):
            if collection.kind == kind:
                sentences = _sentences(platform, collection, tables, context.log.info)
                if sentences:
                    remarks[f"{collection.id}/sentences"] = chosen(sentences[0])
                parts += sentences
                expression = tables["expression"].matching(collection.id)
                further, reasons = _further(platform, collection, expression, parts)
                parts, remarks = [*parts, *further], remarks | reasons
        stored = platform.lake.assemble(table, parts)
        pictures = pictures_of(platform.lake, tables["observations"], stored)
        markdown = shown_pictures(
            {name: picture for name, (_, picture) in pictures.items()},
            {name: platform.store.uri(key) for name, (key, _) in pictures.items()},
        )
        return table_result(stored, pictures=dg.MetadataValue.md(markdown), **remarks)

    return embeddings


@dg.multi_asset(outs=declared_outs(ACCOUNTS), ins=inputs("expression", *TABLE_OF_KIND.values()))
def further_embeddings(
    platform: dg.ResourceParam[Platform], **tables: StoredTable
) -> Iterator[dg.MaterializeResult[StoredTable]]:
    """Origins of registered vectors and ensembles, and the observations without a vector."""
    parts: list[Part] = []
    remarks: dict[str, str] = {}
    for collection in ingested(platform, tables["expression"]):
        expression = tables["expression"].matching(collection.id)
        embeddings = list(tables[TABLE_OF_KIND[collection.kind]].parts)
        further, reasons = _further(platform, collection, expression, embeddings)
        parts, remarks = [*parts, *further], remarks | reasons
    for name in ACCOUNTS:
        yield table_result(platform.lake.assemble(name, parts), **remarks)


def _by_partition(parts: Sequence[Part]) -> dict[str, list[Part]]:
    by_partition: dict[str, list[Part]] = {}
    for part in parts:
        space, _, collection = part.partition
        by_partition.setdefault(key_of(collection, space), []).append(part)
    return by_partition


def _further(
    platform: Platform, collection: Collection, expression: list[Part], embeddings: list[Part]
) -> tuple[list[Part], dict[str, str]]:
    """Registered vectors and ensembles of a collection, and remarks on them."""
    registered = [vectors for vectors in platform.outside if vectors.collection == collection.id]
    parts, remarks = [], {}
    for vectors in registered:
        joined = release_registered_vectors(
            platform.lake, vectors, collection.kind, expression, product=platform.settings.product
        )
        parts += joined
        remarks[f"{collection.id}/{vectors.space}"] = join_summary(platform.lake, joined)
    known = [*embeddings, *parts]
    for ensemble in platform.ensembles:
        place = (ensemble, collection.kind, collection.id)
        if missing := missing_members(ensemble, collection.id, known):
            remarks[f"{collection.id}/{ensemble.id}"] = (
                f"not made: no vectors of {', '.join(missing)}"
            )
        else:
            parts += release_ensemble(platform.lake, *place, known, registered)
    return parts, remarks


def _shards(
    platform: Platform, kinds: tuple[str, ...], tables: dict[str, StoredTable]
) -> Iterator[Shard]:
    for collection in ingested(platform, tables["expression"]):
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
    platform: Platform,
    collection: Collection,
    tables: dict[str, StoredTable],
    log: Callable[[str], None],
) -> list[Part]:
    """GenePT-s of as many observations as the settings allow, by default none."""
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
        say=log,
    )
