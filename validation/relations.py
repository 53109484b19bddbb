"""What must hold between tables: genes that the reference has, lists that fit their axis."""

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


def expression_findings(
    lake: Lake, expression: StoredTable, axis: StoredTable, observations: StoredTable
) -> list[str]:
    """Rows that are no CSR rows of the collection: unequal, unsorted or foreign lists and ids."""
    findings = []
    for partition in dict.fromkeys(part.partition for part in expression.parts):
        where = "/".join(partition)
        n_genes = axis.part(*partition).rows
        wrong = 0
        ids: list[str] = []
        for part in expression.matching(*partition):
            for rows in lake.row_groups(part, ["observation_id", "gene_index", "value"]):
                frame = pl.DataFrame(pl.from_arrow(rows))
                wrong += frame.filter(~_is_csr(n_genes)).height
                ids += frame["observation_id"].to_list()
        if wrong:
            findings.append(
                f"{where}: {wrong} rows whose gene_index is not ascending, not as long as "
                f"value, or beyond the {n_genes} genes of the axis"
            )
        listed = lake.read(observations.part(*partition), ["observation_id"])["observation_id"]
        if sorted(ids) != listed.to_list():
            findings.append(f"{where}: its observations are not those of table observations")
    return findings


def _is_csr(n_genes: int) -> pl.Expr:
    index = pl.col("gene_index")
    return (
        (index.list.len() == pl.col("value").list.len())
        & index.list.eval(pl.element().cast(pl.Int64).diff().drop_nulls() > 0).list.all()
        & (index.list.max() < n_genes)
    )


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
