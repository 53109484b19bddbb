"""One collection from its archives to the lake: mapping, axis, observations, expression, responses.

Every input gene, observation and response ends in a table or in `quarantine`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import polars as pl
import pyarrow as pa
import scipy.sparse as sp

from genept.collections.merging import GeneAxis, column_totals
from genept.nomenclature.mapping import Nomenclature
from genept.nomenclature.reference import published_genes
from genept.sources.archives import Archives
from genept.sources.catalogue import Collection
from genept.sources.collections import parse_collection
from genept.sources.parsed import ParsedCollection, Quarantined
from genept.store.errors import StoreError
from genept.store.lake import Lake, NewPart, Part
from genept.store.provenance import Origin
from genept.tables import TABLES

MINIMUM_COVERAGE = 0.6
"""A collection of whose expression less than this reaches a gene is refused."""

TABLES_OF_A_COLLECTION = (
    "collections",
    "gene_mapping",
    "gene_axis",
    "observations",
    "expression",
    "drug_responses",
    "quarantine",
)


class CollectionRefusedError(StoreError):
    """A collection is not what its catalogue entry says."""


def ingest(
    lake: Lake,
    archives: Archives,
    collection: Collection,
    open_reference: Callable[[], pl.DataFrame],
    reference_version: str,
) -> list[Part]:
    """Parse, map and store one collection, unless the lake holds the result already.

    Parameters
    ----------
    open_reference
        Reads the whole reference, genes without Ensembl id included; called only
        if the collection is new.
    reference_version
        Changes with that reference.

    Returns
    -------
    list of Part
        One part of each table in `TABLES_OF_A_COLLECTION` (no responses, no such part).
    """
    sources = {source: archives.catalogue.sources[source].sha256 for source in collection.sources}
    origin = Origin(
        code=("genept.sources", "genept.nomenclature", "genept.collections", "genept.tables"),
        inputs={"reference": reference_version, **sources},
        settings=collection.model_dump(mode="json"),
    )

    def compute() -> Iterator[NewPart]:
        parsed = parse_collection(archives, collection)
        return _parts(archives, collection, parsed, open_reference())

    return lake.build(f"collections/{collection.id}", origin, compute)


def _parts(
    archives: Archives, collection: Collection, parsed: ParsedCollection, genes: pl.DataFrame
) -> Iterator[NewPart]:
    partition = (collection.id,)
    totals, absolute, n_rows = column_totals(parsed.blocks(), len(parsed.input_genes))
    mapping = _mapping(collection, parsed, genes, absolute)
    coverage = float(
        mapping.filter(pl.col("ensembl_gene_id").is_not_null())["expression_share"].sum()
    )
    if coverage < MINIMUM_COVERAGE:
        raise CollectionRefusedError(
            f"collection {collection.id!r}: only {coverage:.0%} of its expression reaches a gene "
            f"of the reference, {MINIMUM_COVERAGE:.0%} are needed; is it human, and are its "
            "columns genes?"
        )
    axis = GeneAxis.of(mapping["ensembl_gene_id"])
    n_inputs = axis.n_inputs
    if collection.duplicate_policy == "highest_mean":
        axis = axis.keeping_highest(totals / max(n_rows, 1))
    quality = [_row_quality(block) for block in axis.merge(parsed.blocks())]
    observations = parsed.observations.with_columns(
        pl.Series("n_genes", np.concatenate([q[0] for q in quality]), dtype=pl.Int64),
        pl.Series("total", np.concatenate([q[1] for q in quality]), dtype=pl.Float64),
    )
    empty = observations.filter(pl.col("n_genes") == 0)["observation_id"].to_list()
    quarantined = [
        *parsed.quarantined,
        *(Quarantined("observation", one, "empty", "no gene of it has a value") for one in empty),
    ]
    kept = observations.filter(pl.col("n_genes") > 0)
    yield NewPart("gene_mapping", mapping, partition)
    yield NewPart("gene_axis", _axis_rows(collection, axis, n_inputs, genes), partition)
    yield NewPart("observations", _labelled(collection, kept), partition)
    yield NewPart(
        "expression", _expression(collection, observations, axis.merge(parsed.blocks())), partition
    )
    if parsed.responses is not None:
        yield NewPart("drug_responses", _labelled(collection, parsed.responses), partition)
    yield NewPart("quarantine", _quarantine_rows(collection, quarantined), partition)
    yield NewPart(
        "collections",
        _summary(
            archives, collection, kept.height, len(axis.ensembl_gene_ids), quarantined, coverage
        ),
        partition,
    )


def _mapping(
    collection: Collection, parsed: ParsedCollection, genes: pl.DataFrame, absolute: np.ndarray
) -> pl.DataFrame:
    mapped = Nomenclature(genes).map(parsed.symbols, parsed.entrez_ids)
    total = absolute.sum()
    share = absolute / total if total else absolute
    return mapped.with_columns(
        pl.lit(collection.id).alias("collection_id"),
        pl.Series("input_id", parsed.input_genes),
        pl.Series("expression_share", share),
        pl.lit(genes["reference_release"][0]).alias("reference_release"),
    )


def _row_quality(block: sp.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    return np.diff(block.indptr), np.asarray(block.sum(axis=1, dtype=np.float64)).ravel()


def _axis_rows(
    collection: Collection, axis: GeneAxis, n_inputs: np.ndarray, genes: pl.DataFrame
) -> pl.DataFrame:
    rows = pl.DataFrame(
        {
            "gene_index": np.arange(len(axis.ensembl_gene_ids), dtype=np.uint32),
            "ensembl_gene_id": axis.ensembl_gene_ids,
            "n_inputs": n_inputs,
        }
    )
    symbols = published_genes(genes).select("ensembl_gene_id", "symbol")
    return _labelled(collection, rows.join(symbols, on="ensembl_gene_id", how="left"))


def _expression(
    collection: Collection, observations: pl.DataFrame, blocks: Iterator[sp.csr_matrix]
) -> Iterator[pa.RecordBatch] | pa.Table:
    """CSR blocks as list columns: the value and index buffers are the matrix's own."""
    schema = TABLES["expression"].schema()
    batches = []
    start = 0
    for block in blocks:
        ids = observations["observation_id"].slice(start, block.shape[0])
        start += block.shape[0]
        offsets = pa.array(block.indptr.astype(np.int32, copy=False))
        batches.append(
            pa.table(
                [
                    pa.array([collection.id] * block.shape[0]),
                    ids.to_arrow().cast(pa.string()),
                    pa.ListArray.from_arrays(
                        offsets, block.indices.astype(np.uint32), schema.field(2).type
                    ),
                    pa.ListArray.from_arrays(offsets, block.data, schema.field(3).type),
                ],
                names=schema.names,
            )
        )
    table = pa.concat_tables(batches)
    lengths = pa.compute.list_value_length(table["value"])
    return table.filter(pa.compute.greater(lengths, 0))


def _quarantine_rows(collection: Collection, quarantined: list[Quarantined]) -> pl.DataFrame:
    schema = {
        "item": pl.String,
        "input_id": pl.String,
        "reason": pl.String,
        "detail": pl.String,
        "n": pl.Int64,
    }
    rows = [(q.item, q.input_id, q.reason, q.detail, q.n) for q in quarantined]
    return _labelled(collection, pl.DataFrame(rows, schema=schema, orient="row"))


def _summary(
    archives: Archives,
    collection: Collection,
    n_observations: int,
    n_genes: int,
    quarantined: list[Quarantined],
    coverage: float,
) -> pl.DataFrame:
    sources = [archives.catalogue.sources[source] for source in collection.sources]
    return pl.DataFrame(
        {
            "collection_id": [collection.id],
            "title": [collection.title],
            "kind": [collection.kind],
            "unit": [collection.unit],
            "group_axis": [collection.group_axis],
            "sources": [[f"{source.package} {source.version}" for source in sources]],
            "licence": [collection.licence],
            "redistributable": [collection.redistributable],
            "citation": [collection.citation],
            "caveat": pl.Series([collection.caveat], dtype=pl.String),
            "n_observations": [n_observations],
            "n_genes": [n_genes],
            "n_quarantined": [len(quarantined)],
            "mapped_expression": [min(coverage, 1.0)],
        }
    )


def _labelled(collection: Collection, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.lit(collection.id).alias("collection_id"))
