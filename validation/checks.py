"""Checks of one table's content: its suite, its relations to other tables, its embedding matrices.

The same content under the same suite is checked once. A release asks for the evidence of a passed
check; a check that cannot be evaluated leaves none, and so blocks the release.
"""

import hashlib
from collections.abc import Iterable
from contextlib import suppress

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray

from genept.common import ConflictError, MissingObjectError
from genept.embeddings import embedding_matrix
from genept.release import CheckEvidence
from genept.schema import Table
from genept.schema.tables import STORED
from genept.storage import Lake, StoredTable
from validation.engine import index_page
from validation.suites import narrow, suite_for

SAMPLE = 2_000

COLLAPSED = 0.99999
"""Mean cosine above which the vectors are reported as nearly equal. Weighted means of thousands of
gene vectors are similar by construction: .9999 was measured in a space that predicts diagnoses."""

CONSTANT = 1e-6
"""Range of the values of a dimension below which it counts as constant."""

DEAD = 0.01
"""Share of dimensions that may be constant: all-MiniLM-L6-v2 has three of 384."""

DOUBLED = 0.2


def check_table(lake: Lake, stored: StoredTable, *, complete: bool = True) -> CheckEvidence:
    """Check a table, unless the same content was checked by the same suite before.

    Parameters
    ----------
    lake
        The lake of the table, where the evidence is stored.
    stored
        The table.
    complete
        Whether the whole catalogue was built; see `validation.suites.suite_for`.

    Returns
    -------
    CheckEvidence
        The result of the check.

    Raises
    ------
    SuiteError
        The suite cannot be evaluated. No evidence is stored then.
    """
    table = STORED[stored.table]
    suite = suite_for(table, complete=complete)
    address = f"{lake.prefix}/evidence/{table.name}/{stored.data_version}-{suite.version[:16]}"
    with suppress(MissingObjectError):
        return _recall(lake, address)
    from validation.engine import run_suite

    frame = _narrow_frame(lake, table, stored)
    result = run_suite(suite.of(len(frame)), frame)
    matrix_failed, matrix_warnings = _matrices(lake, table, stored)
    failed = (*result.failed, *matrix_failed)
    evidence = CheckEvidence(
        table=table.name,
        data_version=stored.data_version,
        suite=suite.version,
        passed=not failed,
        expectations=result.expectations,
        failed=failed,
        warnings=(*result.warnings, *matrix_warnings),
        page=f"{address}-{hashlib.sha256(result.page).hexdigest()[:8]}.html",
    )
    lake.store.put_if_absent(evidence.page, result.page)
    try:
        lake.store.put_if_absent(f"{address}.json", evidence.body())
    except ConflictError:  # another process finished the same check first: its result counts
        return _recall(lake, address)
    return evidence


def _recall(lake: Lake, address: str) -> CheckEvidence:
    return CheckEvidence.model_validate_json(lake.store.get(f"{address}.json"))


def _narrow_frame(lake: Lake, table: Table, stored: StoredTable) -> pd.DataFrame:
    groups = (group for part in stored.parts for group in lake.row_groups(part))
    empty = table.schema(1).empty_table()
    return pl.concat(
        narrow(table, pl.DataFrame(pl.from_arrow(group))) for group in (empty, *groups)
    ).to_pandas()


def _matrices(lake: Lake, table: Table, stored: StoredTable) -> tuple[list[str], list[str]]:
    failed: list[str] = []
    warnings: list[str] = []
    for part in stored.parts if table.vector else ():
        matrix = embedding_matrix(lake.read_arrow(part, ["embedding"]))
        faults, remarks = matrix_findings("/".join(part.partition), matrix)
        failed += faults
        warnings += remarks
    return failed, warnings


def evidence_pages(lake: Lake, evidence: Iterable[CheckEvidence]) -> dict[str, bytes]:
    """Return the rendered results of checks, and their index.

    Parameters
    ----------
    lake
        The lake, whose bucket holds the rendered results.
    evidence
        One result per table.

    Returns
    -------
    dict of str to bytes
        HTML by path below a release's `audit/`.
    """
    evidence = list(evidence)
    pages = {f"checks/{checked.table}.html": lake.store.get(checked.page) for checked in evidence}
    return {"checks/index.html": index_page(evidence), **pages}


def unknown_genes(lake: Lake, stored: StoredTable, genes: StoredTable) -> list[str]:
    """Find genes of a table that the reference does not have.

    Parameters
    ----------
    lake
        The lake of both tables.
    stored
        A table with a column ``ensembl_gene_id``.
    genes
        Table `genes`.

    Returns
    -------
    list of str
        One sentence per part with such genes.
    """
    known = lake.read(genes, ["ensembl_gene_id"])["ensembl_gene_id"]
    findings = []
    for part in stored.parts:
        named = lake.read(part, ["ensembl_gene_id"])["ensembl_gene_id"].drop_nulls().unique()
        unknown = named.filter(~named.is_in(known.implode())).sort()
        if len(unknown):
            location = "/".join(part.partition) or stored.table
            findings.append(
                f"{location}: {len(unknown)} genes are not in the reference, such as {unknown[0]}"
            )
    return findings


def unlisted_drugs(lake: Lake, stored: StoredTable, drugs: StoredTable) -> list[str]:
    """Find drugs of a table that table `drugs` does not have.

    Parameters
    ----------
    lake
        The lake of both tables.
    stored
        A table with a column ``drug_id``.
    drugs
        Table `drugs`.

    Returns
    -------
    list of str
        One sentence per part with such drugs.
    """
    listed = {id_ for part in drugs.parts for id_ in lake.read(part, ["drug_id"])["drug_id"]}
    findings = []
    for part in stored.parts:
        missing = sorted(set(lake.read(part, ["drug_id"])["drug_id"]) - listed)
        if missing:
            location = "/".join(part.partition) or stored.table
            findings.append(
                f"{location}: {len(missing)} drugs are not in table drugs, such as {missing[0]}"
            )
    return findings


def expression_findings(
    lake: Lake, expression: StoredTable, axis: StoredTable, observations: StoredTable
) -> list[str]:
    """Find rows of expression that are not CSR rows of their collection.

    Parameters
    ----------
    lake
        The lake of the tables.
    expression, axis, observations
        Tables `expression`, `gene_axis` and `observations`.

    Returns
    -------
    list of str
        Sentences on lists of unequal length, unsorted or invalid indices, and other ids.
    """
    findings = []
    for partition in dict.fromkeys(part.partition for part in expression.parts):
        location = "/".join(partition)
        n_genes = axis.part(*partition).rows
        n_wrong = 0
        ids: list[str] = []
        for part in expression.matching(*partition):
            for rows in lake.row_groups(part, ["observation_id", "gene_index", "value"]):
                frame = pl.DataFrame(pl.from_arrow(rows))
                n_wrong += frame.filter(~_is_csr(n_genes)).height
                ids += frame["observation_id"].to_list()
        if n_wrong:
            findings.append(
                f"{location}: {n_wrong} rows whose gene_index is not ascending, not as long as "
                f"value, or beyond the {n_genes} genes of the axis"
            )
        listed = lake.read(observations.part(*partition), ["observation_id"])["observation_id"]
        if sorted(ids) != listed.to_list():
            findings.append(f"{location}: its observations differ from those in table observations")
    return findings


def _is_csr(n_genes: int) -> pl.Expr:
    index = pl.col("gene_index")
    return (
        (index.list.len() == pl.col("value").list.len())
        & index.list.eval(pl.element().cast(pl.Int64).diff().drop_nulls() > 0).list.all()
        & (index.list.max() < n_genes)
    )


def duplicate_targets(lake: Lake, axis: StoredTable) -> list[str]:
    """Find genes that are more than once on the axis of a collection.

    Parameters
    ----------
    lake
        The lake of the table.
    axis
        Table `gene_axis`.

    Returns
    -------
    list of str
        One sentence per collection with such genes.
    """
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


def matrix_findings(name: str, matrix: NDArray[np.float32]) -> tuple[list[str], list[str]]:
    """Check an embedding matrix as a whole.

    Parameters
    ----------
    name
        Name of the matrix, for the sentences.
    matrix
        Float32, rows × dimensions, rows of unit length.

    Returns
    -------
    failed, warnings
        Sentences on faults, and on unusual properties.
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
