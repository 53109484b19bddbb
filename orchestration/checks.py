"""Every table's suite as a blocking asset check: what fails keeps what is below from running."""

from __future__ import annotations

import dagster as dg

from genept.platform import Platform
from genept.store.lake import StoredTable
from genept.tables import TABLES
from validation.checks import check_table


def _suite_check(name: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=dg.AssetKey(name),
        name="keeps_its_declaration",
        blocking=True,
        description=f"What genept/tables.py declares of {name} holds for every row.",
    )
    def keeps_its_declaration(
        platform: dg.ResourceParam[Platform], stored: StoredTable
    ) -> dg.AssetCheckResult:
        evidence = check_table(platform.lake, stored, complete=not platform.limits)
        findings = [*evidence.failed, *evidence.warnings]
        severity = dg.AssetCheckSeverity.ERROR if evidence.failed else dg.AssetCheckSeverity.WARN
        return dg.AssetCheckResult(
            passed=not findings,
            severity=severity,
            description="\n".join(findings) or f"{evidence.expectations} expectations hold",
            metadata={
                "expectations": evidence.expectations,
                "rows": stored.rows,
                "page": platform.store.uri(evidence.page),
            },
        )

    return keeps_its_declaration


table_checks = [_suite_check(name) for name in TABLES]
