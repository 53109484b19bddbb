"""The gene names of a parsed collection: verdicts, mapping and axis rows, coverage."""

from __future__ import annotations

import numpy as np
import polars as pl

from genept.collections.merging import GeneAxis, column_fingerprints
from genept.datasources.catalog.entries import Collection
from genept.datasources.download.archives import Archives
from genept.datasources.readers.parsed import ParsedCollection, Quarantined
from genept.nomenclature.screening import NamePolicy, Screening, refuse_low_coverage, screen_names


def screened(collection: Collection, parsed: ParsedCollection, names: pl.DataFrame) -> Screening:
    """Verdicts on the names as a whole; fingerprints cost a pass, and only if ids are doubled."""
    return screen_names(
        names.with_columns(pl.Series("input_id", parsed.symbols)),
        NamePolicy(collection.duplicate_policy, collection.par_y, collection.annotation_release),
        collection=collection.id,
        fingerprints=lambda: column_fingerprints(
            parsed.expression.blocks(), len(parsed.input_genes)
        ),
    )


def mapping_rows(
    collection: Collection,
    parsed: ParsedCollection,
    names: pl.DataFrame,
    absolute: pl.DataFrame,
    release: str,
) -> pl.DataFrame:
    """Rows of table `gene_mapping`.

    Parameters
    ----------
    names
        What each input means, in the order of the inputs.
    absolute
        input_id and the sum of its values without their signs.
    """
    inputs = pl.DataFrame({"input_id": parsed.input_genes}, schema={"input_id": pl.String})
    sums = inputs.join(absolute, on="input_id", how="left", maintain_order="left")["absolute"]
    share = sums.fill_null(0) / (sums.sum() or 1.0)
    return names.with_columns(
        pl.lit(collection.id).alias("collection_id"),
        inputs["input_id"],
        share.alias("expression_share"),
        pl.lit(release).alias("reference_release"),
    )


def coverage_of(collection: Collection, mapping: pl.DataFrame) -> float:
    """Share of the expression that reaches a gene.

    Raises
    ------
    GeneNamesRefusedError
        It is too little.
    """
    reached = mapping.filter(pl.col("ensembl_gene_id").is_not_null())
    coverage = float(reached["expression_share"].sum())
    lost = mapping.filter(pl.col("ensembl_gene_id").is_null()).top_k(3, by="expression_share")
    largest = list(lost.select("input_id", "expression_share").iter_rows())
    refuse_low_coverage(coverage, collection=collection.id, largest=largest)
    return min(coverage, 1.0)


def _axis_rows(
    collection: Collection, axis: GeneAxis, genes: pl.DataFrame, seen: pl.DataFrame
) -> pl.DataFrame:
    rows = pl.DataFrame(
        {
            "gene_index": np.arange(len(axis.ensembl_gene_ids), dtype=np.uint32),
            "ensembl_gene_id": axis.ensembl_gene_ids,
            "n_inputs": axis.n_inputs,
            "policy": pl.Series(axis.policies(collection.duplicate_policy), dtype=pl.String),
        }
    )
    symbols = genes.select("ensembl_gene_id", "symbol")
    rows = rows.join(symbols, on="ensembl_gene_id", how="left")
    rows = rows.join(seen, on="gene_index", how="left")
    return _labelled(collection, rows.with_columns(pl.col("n_observations").fill_null(0)))


def _summary(
    archives: Archives,
    collection: Collection,
    n_observations: int,
    n_genes: int,
    quarantined: list[Quarantined],
    coverage: float,
) -> pl.DataFrame:
    sources = [archives.catalogue.source(source) for source in collection.sources]
    return pl.DataFrame(
        {
            "collection_id": [collection.id],
            "title": [collection.title],
            "kind": [collection.kind],
            "unit": [collection.unit],
            "group_axis": [collection.group_axis],
            "sources": [[source.released_as for source in sources]],
            "licence": [collection.licence],
            "redistributable": [collection.redistributable],
            "citation": [collection.citation],
            "caveat": pl.Series([collection.caveat], dtype=pl.String),
            "n_observations": [n_observations],
            "n_genes": [n_genes],
            "n_quarantined": [sum(one.action == "kept_out" for one in quarantined)],
            "mapped_expression": [coverage],
        }
    )


def _labelled(collection: Collection, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.lit(collection.id).alias("collection_id"))
