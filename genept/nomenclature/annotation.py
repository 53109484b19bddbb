"""Whether the Ensembl ids of a matrix are of one release of the annotation.

What follows if they are not is decided in `genept.nomenclature.screening`.
"""

from __future__ import annotations

from typing import Final

import polars as pl

MIN_VERSION_CLASHES: Final = 5
"""Ids that stand in a matrix in two versions; fewer may be slips of the publisher."""

MIN_REPLACED: Final = 20
MIN_REPLACED_LATER: Final = 0.1
"""Releases are mixed if of at least so many retired ids less than this share was replaced later
than the matrix was annotated; see `mixed_releases`."""

_NEWEST: Final = 0.99
"""Ids beyond this quantile may be strays: they do not say how new an annotation is."""

VERSIONED_ID: Final = r"^(ENSG\d{11})(?:\.(\d+))?$"
"""An Ensembl gene id and, if it is there, its version."""


def mixed_releases(rows: pl.DataFrame) -> str | None:
    """Why the Ensembl ids of a matrix cannot be of one release of the annotation, if so.

    No release holds an id in two versions. And Ensembl numbers its ids in the order in which they
    are assigned: where a retired id was replaced by one assigned after it, a matrix of a release
    before that time has no id as new as many of those successors. A matrix that does, and still
    has the retired ids, was put together from an old and a newer release. (Of the 10x hg19
    annotation 59 % of such successors are newer than its ids; beside GENCODE 49, none.) Says
    nothing if the reference knows too few retired ids.

    Parameters
    ----------
    rows
        `MappingResult.rows`.
    """
    ids = rows.select(
        "outcome",
        "ensembl_gene_id",
        pl.col("input_id").str.extract(VERSIONED_ID, 1).alias("id"),
        pl.col("input_id").str.extract(VERSIONED_ID, 2).alias("version"),
    ).drop_nulls("id")
    clashes = ids.filter(pl.col("version").n_unique().over("id") > 1)["id"].unique().sort()
    if len(clashes) >= MIN_VERSION_CLASHES:
        return f"{len(clashes):,} of them stand in it in two versions, such as {clashes[0]}"
    number = pl.col("id").str.slice(4).cast(pl.Int64)
    heir = pl.col("ensembl_gene_id").str.slice(4).cast(pl.Int64)
    replaced = ids.filter(pl.col("outcome") == "retired_successor", heir > number)
    if replaced.height < MIN_REPLACED:
        return None
    newest = ids.select(number.quantile(_NEWEST)).item()
    later = replaced.filter(heir > newest).height
    if later >= MIN_REPLACED_LATER * replaced.height:
        return None
    retired, successor = replaced.select("id", "ensembl_gene_id").row(0)
    return (
        f"{replaced.height:,} of them were retired and replaced, such as {retired} by {successor}, "
        f"yet it has ids as new as ENSG{int(newest):011d}, when all but {later} of those were gone"
    )
