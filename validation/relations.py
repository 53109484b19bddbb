"""What must hold between tables: every gene that one names is in the reference, once."""

from __future__ import annotations

import polars as pl

from genept.store.lake import Lake, StoredTable


def foreign_genes(lake: Lake, stored: StoredTable, genes: StoredTable) -> list[str]:
    """Genes that a table names and the reference does not have.

    Returns
    -------
    list of str
        One sentence per part with such genes.
    """
    known = lake.read(genes, ["ensembl_gene_id"])["ensembl_gene_id"]
    findings = []
    for part in stored.parts:
        named = lake.read(part, ["ensembl_gene_id"])["ensembl_gene_id"].drop_nulls().unique()
        strange = named.filter(~named.is_in(known.implode())).sort()
        if len(strange):
            where = "/".join(part.partition) or stored.table
            findings.append(
                f"{where}: {len(strange)} genes are not in the reference, such as {strange[0]}"
            )
    return findings


def doubled_targets(lake: Lake, axis: StoredTable) -> list[str]:
    """Genes that stand on one collection's axis more than once."""
    findings = []
    for part in axis.parts:
        genes = lake.read(part, ["ensembl_gene_id"])
        doubled = genes.filter(pl.col("ensembl_gene_id").is_duplicated())["ensembl_gene_id"]
        if len(doubled):
            findings.append(
                f"{'/'.join(part.partition)}: {len(doubled)} positions share a gene, such as "
                f"{doubled[0]}"
            )
    return findings
