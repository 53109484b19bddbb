"""Ingest of one collection, from its archives to the lake: mapping, axis, observations, expression.

One shard is `genept.collections.shards`; an ingest with limits is
`genept.collections.sandboxed_ingest`.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl

from genept.collections import table_rows
from genept.collections.author_metadata import metadata_rows
from genept.collections.labels import METADATA, READ, Ontologies, label_observations
from genept.collections.merging import GeneAxis, column_totals, with_duplicates_grouped
from genept.collections.shards import IngestTask, get_ready, ingest_shard, spans_of
from genept.common import SourceError, Workers, console, progress_bar
from genept.datasources import Collection, parse_collection, reader_distribution
from genept.datasources.download import Archives
from genept.datasources.readers import ParsedCollection, discard_spool
from genept.nomenclature import Reference
from genept.storage import Lake, NewPart, Origin, Part

LARGE = 256 * 2**20
"""Bytes of a source that will have several shards: processes begin while it is verified."""


TABLES_OF_A_COLLECTION = (
    "collections",
    "gene_mapping",
    "gene_axis",
    "observations",
    "label_mapping",
    "observation_metadata",
    "expression",
    "drug_responses",
    "quarantine",
)

TABLES_READ = (
    "collections",
    "gene_mapping",
    "gene_axis",
    READ,
    METADATA,
    "expression",
    "drug_responses",
    "quarantine",
)
"""What the files alone decide; `label_observations` makes the others of these."""

_OWN = ("author_metadata", "ingestion", "merging", "preflight", "shards", "table_rows")
_CODE = (
    *("genept.datasources", "genept.nomenclature", "genept.schema.tables"),
    *(f"genept.collections.{module}" for module in _OWN),
)
"""Code that decides them: not what labels mean, which changes more often than files are read."""


def ingest(
    lake: Lake,
    archives: Archives,
    collection: Collection,
    open_reference: Callable[[], Reference],
    reference_version: str,
    processes: int = 1,
    *,
    make: PartsMaker | None = None,
    ontologies: Ontologies | None = None,
) -> list[Part]:
    """Parse, map and store one collection, unless the lake holds the result already.

    Parameters
    ----------
    lake
        Where the tables are stored.
    archives
        Where the collection's files are.
    collection
        Its catalogue entry.
    open_reference
        Reads the whole reference, genes without an Ensembl id included; called only if the
        collection is new.
    reference_version
        Changes with that reference.
    processes
        Number of processes that work on the shards; the result does not depend on it.
    make
        Makes the parts; None: `parts_here`. For a user's own collection
        `sandboxed_ingest.parts_in_child`, which makes the same parts.
    ontologies
        What labels may mean; None: they have no terms.

    Returns
    -------
    list of Part
        Parts of the tables in `TABLES_OF_A_COLLECTION`: one each; of `expression` one per shard; of
        `drug_responses` none if there are no responses.

    Raises
    ------
    SourceError
        A file is missing or unreadable, or a value is impossible in the declared unit.
    CollectionRefusedError
        The collection contradicts its catalogue entry.
    """
    sources = {source: archives.data_version(source) for source in collection.sources}
    origin = Origin(
        code=_CODE,
        inputs={"reference": reference_version, **sources},
        settings=collection.model_dump(mode="json", exclude={"optional"})
        | ({"reader": reader} if (reader := reader_distribution(collection.format)) else {}),
    )

    request = IngestRequest(archives, collection, open_reference, origin, processes)
    parts = lake.build(
        f"collections/{collection.id}", origin, lambda: (make or parts_here)(lake, request)
    )
    discard_spool(archives, collection)
    labelled = label_observations(lake, collection, parts, ontologies or Ontologies())
    return [*(part for part in parts if part.table != READ), *labelled]


@dataclass(frozen=True)
class IngestRequest:
    """What is ingested, of which origin, and by how many processes; see `ingest`."""

    archives: Archives
    collection: Collection
    open_reference: Callable[[], Reference]
    origin: Origin
    processes: int


def parts_here(lake: Lake, request: IngestRequest) -> Iterator[NewPart | Part]:
    """Parts of a collection, made in this process and its workers."""
    archives, collection = request.archives, request.collection
    with Workers(request.processes) as workers:
        if max(archives.catalogue.source(id_).bytes for id_ in collection.sources) >= LARGE:
            workers.begin(get_ready)
        yield from collection_parts(lake, request, parse_collection(archives, collection), workers)


class ShardLake(Protocol):
    """What making the parts of a collection needs of a lake."""

    @property
    def cache(self) -> Path:
        """Folder for files on their way."""

    def remembered(
        self, folder: str, steps: Mapping[int, tuple[str, Origin]], /
    ) -> dict[int, list[Part]]:
        """The parts of those steps below a folder that are done."""

    def build(
        self, step: str, origin: Origin, compute: Callable[[], Iterable[NewPart | Part]], /
    ) -> list[Part]:
        """The parts of a step: remembered, or computed and kept."""

    def read(self, source: Part, /) -> pl.DataFrame:
        """Rows of a part."""


PartsMaker = Callable[[Lake, IngestRequest], Iterator[NewPart | Part]]
"""Makes the parts of a collection, as `parts_here` does."""


def collection_parts(
    lake: ShardLake, request: IngestRequest, parsed: ParsedCollection, workers: Workers
) -> Iterator[NewPart | Part]:
    """Make the parts of a parsed collection one after the other; shards are stored at once."""
    collection, reference = request.collection, request.open_reference()
    names, screening = table_rows.mapped_names(collection, parsed, reference)
    for warning in screening.warnings:
        console.print(f"{collection.id}: {warning}", markup=False)
    mapped = GeneAxis.of(screening.genes)
    totals = np.zeros(len(parsed.input_genes))
    if collection.duplicate_policy == "highest_mean" and mapped.is_doubled:  # a pass of its own
        totals = column_totals(parsed.expression.blocks(), totals.size).signed
    axis = mapped.by_policy(collection.duplicate_policy, totals)
    shards: list[Part] = []
    counts = defaultdict[str, list[pl.DataFrame]](list)
    for part in _shards(lake, collection, parsed, axis, request.origin, workers):
        if part.table == "expression":
            shards.append(part)
        else:  # read at once: while workers work, this process has little to do
            counts[part.table].append(lake.read(part).drop("collection_id"))
    workers.close()
    observed, inputs, seen = (
        pl.concat(counts[table]) for table in ("shard_observations", "shard_inputs", "shard_genes")
    )
    absolute = inputs.group_by("input_id").agg(pl.col("absolute").sum())
    seen = seen.group_by("gene_index").sum()
    mapping = table_rows.mapping_rows(collection, parsed, names, absolute, reference.release)
    coverage = table_rows.coverage_of(collection, mapping)
    observations, duplicates = with_duplicates_grouped(
        parsed.observations.join(observed, on="observation_id", validate="1:1")
    )
    kept = observations.drop("profile").filter(pl.col("n_genes") > 0).sort("observation_id")
    metadata, beyond = metadata_rows(parsed.metadata, kept)
    quarantined = [
        *beyond,
        *parsed.quarantined,
        *parsed.remarks,
        *table_rows.passed_over(parsed, mapped, axis, collection.duplicate_policy),
        *table_rows.screened_out(parsed, screening),
        *table_rows.silent_genes(collection.id, mapping),
        *table_rows.empty_observations(parsed, observations.filter(pl.col("n_genes") == 0)),
        *(table_rows.odd_libraries(kept) if collection.unit == "counts" else ()),
        *duplicates,
    ]
    partition = (collection.id,)
    yield NewPart("gene_mapping", mapping, partition)
    genes = table_rows.axis_rows(collection, mapped, reference.published, seen)
    yield NewPart("gene_axis", genes, partition)
    yield NewPart(READ, table_rows.labelled(collection, kept), partition)
    yield NewPart(METADATA, table_rows.labelled(collection, metadata), partition)
    yield from shards
    if parsed.responses is not None:
        responses = parsed.responses.join(kept, on="observation_id", how="semi")
        yield NewPart("drug_responses", table_rows.labelled(collection, responses), partition)
    yield NewPart(
        "quarantine",
        table_rows.labelled(collection, table_rows.quarantine_rows(quarantined)),
        partition,
    )
    counted = (kept.height, genes.height, quarantined, coverage, genes["length"].null_count())
    summary = table_rows.summary_of(request.archives, collection, *counted)
    yield NewPart("collections", summary, partition)


def _shards(
    lake: ShardLake,
    collection: Collection,
    parsed: ParsedCollection,
    axis: GeneAxis,
    origin: Origin,
    workers: Workers,
) -> Iterator[Part]:
    """Parts of all shards: those that an earlier run finished, and the rest."""
    ids = parsed.observations["observation_id"]
    spans = spans_of(len(ids))
    lake.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=lake.cache) as folder:

        def task(number: int) -> IngestTask:
            start, size = spans[number]
            return IngestTask(
                collection=collection.id,
                unit=collection.unit,
                expression=parsed.expression,
                input_genes=parsed.input_genes,
                axis=axis,
                number=number,
                start=start,
                ids=tuple(ids.slice(start, size)),
                folder=Path(folder),
            )

        folder_of_steps, steps = shard_steps(collection.id, origin, spans)
        known = lake.remembered(folder_of_steps, steps)
        todo = steps.keys() - known.keys()
        made = workers.results(ingest_shard, map(task, sorted(todo)))
        with progress_bar(f"ingesting {collection.id}", len(ids)) as advance:
            for number, step in steps.items():
                if number in todo:
                    # Taken before the lake is read: another run may have finished it meanwhile.
                    yield from lake.build(*step, partial(list, _next_of(made, collection)))
                else:
                    yield from known[number]
                advance(spans[number][1])


def shard_steps(
    collection: str, origin: Origin, spans: Sequence[tuple[int, int]]
) -> tuple[str, dict[int, tuple[str, Origin]]]:
    """Folder of the steps of a collection's shards; and name and origin of each, by its number."""
    folder = f"collections/{collection}/shards"
    origins = [replace(origin, settings={**origin.settings, "rows": list(span)}) for span in spans]
    return folder, {n: (f"{folder}/{n:05d}", of_shard) for n, of_shard in enumerate(origins)}


def _next_of(made: Iterator[list[NewPart]], collection: Collection) -> list[NewPart]:
    try:
        return next(made)
    except SourceError as error:
        raise SourceError(f"collection {collection.id}: {error}") from error
