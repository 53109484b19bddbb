"""What must hold between tables, and of embedding matrices as a whole."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from genept.storage.lake import Lake
from genept.storage.provenance import StoredTable


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


SAMPLE = 2_000

COLLAPSED = 0.99999
"""Mean cosine above which a space says nothing. Weighted means of thousands of gene vectors
lie close together by construction: .9999 was measured, and diagnoses are still read from it."""

CONSTANT = 1e-6
"""A dimension of unit vectors whose values spread less than this does not vary."""

DEAD = 0.01
"""Share of dimensions that may be constant: all-MiniLM-L6-v2 has three of 384 that are."""

DOUBLED = 0.2


def matrix_findings(name: str, matrix: npt.NDArray[np.float32]) -> tuple[list[str], list[str]]:
    """What is wrong with an embedding matrix, and what is merely odd.

    Parameters
    ----------
    matrix
        Rows × dimensions, unit rows.

    Returns
    -------
    failed, warnings
        Sentences for the person who must act.
    """
    failed: list[str] = []
    warnings: list[str] = []
    if matrix.shape[0] < 2:
        return failed, [f"{name}: {matrix.shape[0]} vectors, too few to judge the space"]
    if not np.isfinite(matrix).all():
        return [f"{name}: values that are not finite"], warnings
    dead = int((np.ptp(matrix, axis=0) < CONSTANT).sum())
    if dead > DEAD * matrix.shape[1]:
        failed.append(f"{name}: {dead} of {matrix.shape[1]} dimensions never vary")
    sample = matrix[:: max(1, matrix.shape[0] // SAMPLE)].astype(np.float64)
    n = sample.shape[0]
    mean_cosine = (float(np.square(sample.sum(axis=0)).sum()) - n) / (n * (n - 1))
    if mean_cosine > COLLAPSED:
        warnings.append(f"{name}: vectors hardly differ (mean cosine {mean_cosine:.7f})")
    doubled = 1 - len(np.unique(matrix, axis=0)) / matrix.shape[0]
    if doubled > DOUBLED:
        warnings.append(f"{name}: {doubled:.1%} of the vectors equal another one")
    return failed, warnings
