"""One table against its suite, with evidence kept in the lake.

The same content under the same suite is checked once. Evidence is what a release
asks for; a check that cannot run leaves none, and so blocks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress

import pandas as pd
import polars as pl

from genept.common.errors import ConflictError, MissingObjectError
from genept.embeddings.expression import embedding_matrix
from genept.release.manifest import Evidence
from genept.schema.columns import Table
from genept.schema.tables import TABLES
from genept.storage.lake import Lake
from genept.storage.provenance import StoredTable
from validation.engine import index_page
from validation.relations import matrix_findings
from validation.suites import narrow, suite_for


def check_table(lake: Lake, stored: StoredTable, *, complete: bool = True) -> Evidence:
    """Check a table, or recall that this very content was checked.

    Parameters
    ----------
    complete
        Whether everything in the catalogue was built; see `validation.suites.suite_for`.

    Raises
    ------
    SuiteError
        If the suite cannot be run. No evidence is left then.
    """
    table = TABLES[stored.table]
    suite = suite_for(table, complete=complete)
    address = f"{lake.prefix}/evidence/{table.name}/{stored.data_version}-{suite.version[:16]}"
    with suppress(MissingObjectError):
        return _recall(lake, address)
    from validation.engine import run_suite

    found = run_suite(suite, _narrow_frame(lake, table, stored))
    matrix_failed, matrix_warnings = _matrices(lake, table, stored)
    failed = (*found.failed, *matrix_failed)
    evidence = Evidence(
        table=table.name,
        data_version=stored.data_version,
        suite=suite.version,
        passed=not failed,
        expectations=found.expectations,
        failed=failed,
        warnings=(*found.warnings, *matrix_warnings),
        page=f"{address}-{hashlib.sha256(found.page).hexdigest()[:8]}.html",
    )
    lake.store.put_if_absent(evidence.page, found.page)
    try:
        lake.store.put_if_absent(f"{address}.json", evidence.body())
    except ConflictError:  # somebody else finished the same check first: theirs stands
        return _recall(lake, address)
    return evidence


def _recall(lake: Lake, address: str) -> Evidence:
    return Evidence.model_validate_json(lake.store.get(f"{address}.json"))


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
        wrong, odd = matrix_findings("/".join(part.partition), matrix)
        failed += wrong
        warnings += odd
    return failed, warnings


def evidence_pages(lake: Lake, evidence: Iterable[Evidence]) -> dict[str, bytes]:
    """The rendered results and their index, by path under a release's `audit/`."""
    evidence = list(evidence)
    pages = {f"checks/{one.table}.html": lake.store.get(one.page) for one in evidence}
    return {"checks/index.html": index_page(evidence), **pages}
