"""Group `collections`: every collection, its genes mapped, as clean parquet; and the inbox."""

from collections.abc import Iterator

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`

from assets.partitions import COLLECTIONS, PartitionTables, partition_result, record_partitions
from assets.results import MEMORY, bullets, declared_outs, described, table_result
from assets.sources import source_key
from genept.client import Platform
from genept.collections import (
    OF_THE_FILE,
    TABLES_OF_A_COLLECTION,
    Refused,
    Replaced,
    drops,
    take_in,
)
from genept.common import SourceError, console
from genept.datasources import load_catalogue
from genept.nomenclature import mapping_pages
from genept.storage import Part, StoredTable, sha256_of

INGESTED = dg.AssetKey("ingested_collection")

INBOX = dg.AssetKey("inbox_collection")

DROP = "genept/drop"
"""Tag of a run: the name of the file in the inbox that it ingests."""

_CATALOGUE = load_catalogue()
_SOURCES = sorted(
    {
        source
        for entry in _CATALOGUE.collections.values()
        for source in entry.sources
        if ":" not in source  # one file of a pattern, which is no asset
    }
)
_DEPS = [dg.AssetKey("genes"), *(source_key(source) for source in _SOURCES)]


@dg.asset(
    key=INGESTED,
    **described(
        "collections",
        "One collection: its files parsed, its genes mapped, its parts of all tables stored. "
        "Materialise one to ingest only that collection; the tables take the parts over.",
        "collections",
    ),
    partitions_def=COLLECTIONS,
    pool=MEMORY,
    deps=[*_DEPS, INBOX],
)
def ingested_collection(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
) -> dg.MaterializeResult[PartitionTables]:
    """Ingest one collection."""
    (collection,) = platform.catalogue.chosen([context.partition_key])
    return partition_result(platform.lake, platform.ingest(collection))


@dg.multi_asset(outs=declared_outs(TABLES_OF_A_COLLECTION), deps=[*_DEPS, INGESTED], pool=MEMORY)
def ingested_collections(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
) -> Iterator[dg.MaterializeResult[StoredTable]]:
    """Parse, map and store every chosen collection; an added one that is refused is left out."""
    ingested: dict[str, list[Part]] = {}
    left_out: dict[str, str] = {}
    for collection in platform.collections:
        try:
            ingested[collection.id] = platform.ingest(collection)
        except OF_THE_FILE as error:
            if not platform.is_added(collection):
                raise
            left_out[collection.id] = str(error)
            context.log.warning(f"collection {collection.id} is left out: {error}")
            console.print(f"collection {collection.id} is left out: {error}", markup=False)
    record_partitions(context, platform.lake, INGESTED, ingested)
    parts = [part for parts in ingested.values() for part in parts]
    for name in TABLES_OF_A_COLLECTION:
        stored = platform.lake.assemble(name, parts)
        report = mapping_pages(platform.lake, stored) if name == "gene_mapping" else {}
        yield table_result(
            stored,
            **{key: dg.MetadataValue.md(page) for key, page in report.items()},
            **{
                f"left out: {id_}": dg.MetadataValue.text(reason)
                for id_, reason in left_out.items()
            },
        )


@dg.asset(
    **described(
        "collections",
        "One collection from the inbox, ingested and declared, so that the next release holds it. "
        "A file that is refused is moved to quarantine, with a report.",
        "collections",
    ),
    partitions_def=COLLECTIONS,
    pool=MEMORY,
    output_required=False,
    check_specs=[
        dg.AssetCheckSpec(
            "accepted",
            asset="inbox_collection",
            description="Whether the file was accepted; if not, the report says what to do.",
        )
    ],
)
def inbox_collection(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """Ingest a file of the inbox, or move it to quarantine."""
    product = platform.settings.product
    id_, name = context.partition_key, context.run.tags.get(DROP)  # two files may have one id
    candidates = (drop for drop in drops(platform.store, product)[0] if drop.id == id_)
    drop = next((drop for drop in candidates if name in (None, drop.name)), None)
    if drop is None:
        raise SourceError(
            f"no file for collection {id_!r} is in the inbox: an earlier run ingested it; drop it "
            "again, the sidecar last"
        )
    outcome = take_in(
        platform.lake,
        product,
        drop,
        lambda: platform.reference,
        platform.reference_version,
        taken=list(platform.shipped_catalogue.collections),
        processes=platform.settings.threads,
        allowance=platform.file_allowance,
    )
    if isinstance(outcome, Replaced):
        yield dg.AssetCheckResult(
            check_name="accepted",
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{drop.name} was replaced while it was read; the new file is read next",
        )
        return
    if isinstance(outcome, Refused):
        yield dg.AssetCheckResult(
            check_name="accepted",
            passed=False,
            description=outcome.reason,
            metadata={
                "report": dg.MetadataValue.md(outcome.report),
                "quarantine": platform.store.uri(outcome.folder),
            },
        )
        return
    record_partitions(context, platform.lake, INGESTED, {id_: outcome.parts})
    rows = {part.table: part.rows for part in outcome.parts if part.table != "expression"}
    yield dg.MaterializeResult(
        data_version=dg.DataVersion(sha256_of([part.sha256 for part in outcome.parts])),
        metadata={
            "detected": bullets(outcome.seen),
            **{name: n for name, n in rows.items() if name in TABLES_OF_A_COLLECTION},
        },
        check_results=[dg.AssetCheckResult(check_name="accepted", passed=True)],
    )
