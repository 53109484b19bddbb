"""One collection from its archives to the lake: mapping, axis, observations, expression, responses.

Every input gene, observation and response ends in a table or in `quarantine`. The merged
expression of one collection is held in memory: publishers order observations as they like,
the lake by id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import polars as pl
import pyarrow as pa
import scipy.sparse as sp

from genept.collections.merging import GeneAxis, column_fingerprints, column_totals
from genept.collections.quarantine import (
    empty_observations,
    passed_over,
    quarantine_rows,
    screened_out,
)
from genept.console import console
from genept.nomenclature.mapping import Nomenclature
from genept.nomenclature.reference import Reference, published_genes
from genept.nomenclature.screening import NamePolicy, screen_names
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

BATCH_ROWS = 512
"""Observations that are handed to the writer at once."""

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
    open_reference: Callable[[], Reference],
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
    archives: Archives, collection: Collection, parsed: ParsedCollection, reference: Reference
) -> Iterator[NewPart]:
    partition = (collection.id,)
    totals, absolute = column_totals(parsed.expression.blocks(), len(parsed.input_genes))
    mapping = _mapping(collection, parsed, reference, absolute)
    coverage = _coverage(collection, mapping)
    policy = collection.duplicate_policy
    screening = screen_names(
        mapping.with_columns(pl.Series("input_id", parsed.symbols)),
        NamePolicy(policy, collection.par_y, collection.annotation_release),
        collection=collection.id,
        fingerprints=lambda: column_fingerprints(
            parsed.expression.blocks(), len(parsed.input_genes)
        ),
    )
    for warning in screening.warnings:
        console.print(f"{collection.id}: {warning}", markup=False)
    mapped = GeneAxis.of(screening.genes)
    axis = mapped.by_policy(policy, totals)
    expression = sp.csr_matrix(
        sp.vstack(list(axis.merge(parsed.expression.blocks())), format="csr")
    )
    observations = parsed.observations.with_columns(
        pl.Series("n_genes", np.diff(expression.indptr), dtype=pl.Int64),
        pl.Series("total", expression.astype(np.float64).sum(axis=1).A1),
    ).with_row_index("row")
    kept = observations.filter(pl.col("n_genes") > 0).sort("observation_id")
    empty = observations.filter(pl.col("n_genes") == 0)
    quarantined = [
        *parsed.quarantined,
        *passed_over(parsed, mapped, axis, policy),
        *screened_out(parsed, screening),
        *empty_observations(parsed, empty),
    ]
    yield NewPart("gene_mapping", mapping, partition)
    yield NewPart("gene_axis", _axis_rows(collection, mapped, reference.genes), partition)
    yield NewPart("observations", _labelled(collection, kept.drop("row")), partition)
    batches = _expression(collection, kept["observation_id"], expression[kept["row"].to_numpy()])
    yield NewPart("expression", batches, partition)
    if parsed.responses is not None:
        responses = parsed.responses.join(kept, on="observation_id", how="semi")
        yield NewPart("drug_responses", _labelled(collection, responses), partition)
    yield NewPart("quarantine", _labelled(collection, quarantine_rows(quarantined)), partition)
    n_genes = len(axis.ensembl_gene_ids)
    summary = _summary(archives, collection, kept.height, n_genes, quarantined, coverage)
    yield NewPart("collections", summary, partition)


def _mapping(
    collection: Collection, parsed: ParsedCollection, reference: Reference, absolute: np.ndarray
) -> pl.DataFrame:
    mapped = Nomenclature(reference.index).map(parsed.symbols, parsed.entrez_ids).rows
    total = absolute.sum()
    share = absolute / total if total else absolute
    return mapped.with_columns(
        pl.lit(collection.id).alias("collection_id"),
        pl.Series("input_id", parsed.input_genes),
        pl.Series("expression_share", share),
        pl.lit(reference.release).alias("reference_release"),
    )


def _coverage(collection: Collection, mapping: pl.DataFrame) -> float:
    """Share of the expression that reaches a gene; refused if it is too little."""
    reached = mapping.filter(pl.col("ensembl_gene_id").is_not_null())
    coverage = float(reached["expression_share"].sum())
    if coverage < MINIMUM_COVERAGE:
        raise CollectionRefusedError(
            f"collection {collection.id!r}: only {coverage:.0%} of its expression reaches a gene "
            f"of the reference, {MINIMUM_COVERAGE:.0%} are needed; is it human, and are its "
            "columns genes?"
        )
    return min(coverage, 1.0)


def _axis_rows(collection: Collection, axis: GeneAxis, genes: pl.DataFrame) -> pl.DataFrame:
    rows = pl.DataFrame(
        {
            "gene_index": np.arange(len(axis.ensembl_gene_ids), dtype=np.uint32),
            "ensembl_gene_id": axis.ensembl_gene_ids,
            "n_inputs": axis.n_inputs,
            "policy": pl.Series(axis.policies(collection.duplicate_policy), dtype=pl.String),
        }
    )
    symbols = published_genes(genes).select("ensembl_gene_id", "symbol")
    return _labelled(collection, rows.join(symbols, on="ensembl_gene_id", how="left"))


def _expression(
    collection: Collection, ids: pl.Series, matrix: sp.csr_matrix
) -> Iterator[pa.RecordBatch]:
    """Rows of a CSR matrix, sorted by `ids`, as list columns: its indptr are their offsets."""
    schema = TABLES["expression"].schema()
    for start in range(0, matrix.shape[0], BATCH_ROWS):
        block = matrix[start : start + BATCH_ROWS]
        offsets = pa.array(block.indptr, pa.int32())
        yield pa.record_batch(
            [
                pa.array([collection.id] * block.shape[0]),
                ids.slice(start, block.shape[0]).to_arrow().cast(pa.string()),
                pa.ListArray.from_arrays(
                    offsets, pa.array(block.indices, pa.uint32()), schema.field("gene_index").type
                ),
                pa.ListArray.from_arrays(offsets, pa.array(block.data), schema.field("value").type),
            ],
            schema=schema,
        )


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
            "mapped_expression": [coverage],
        }
    )


def _labelled(collection: Collection, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.lit(collection.id).alias("collection_id"))
