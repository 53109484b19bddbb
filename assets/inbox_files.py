"""Group `collections`: files of the inbox, one collection each."""

from collections.abc import Iterator

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`

from assets.collections import INGESTED
from assets.declarations import MEMORY, described
from assets.partitions import COLLECTIONS, record_partitions
from assets.results import bullets
from genept.client import Platform
from genept.collections import TABLES_OF_A_COLLECTION, Refused, Replaced, drops, take_in
from genept.common import SourceError
from genept.storage import sha256_of

DROP = "genept/drop"
"""Tag of a run: the name of the file in the inbox that it ingests."""


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
        ontologies=platform.label_ontologies,
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
