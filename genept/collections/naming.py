"""The gene names of a parsed collection: verdicts, mapping rows, and how much of it is reached.

What an ingest stores and what a rehearsal only shows are made by the same functions. What one
name means is `genept.nomenclature`'s.
"""

from __future__ import annotations

import polars as pl

from genept.collections.merging import column_fingerprints
from genept.nomenclature.screening import NamePolicy, Screening, refuse_low_coverage, screen_names
from genept.sources.catalogue import Collection
from genept.sources.parsed import ParsedCollection


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
