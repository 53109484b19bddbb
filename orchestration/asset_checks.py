"""Blocking asset checks: every table's suite, and that only known genes are named.

A failed check keeps the assets downstream of its table from running.
"""

from __future__ import annotations

import warnings

import dagster as dg

from assets import (
    PartitionTables,
    collection_descriptions,
    collection_scores,
    ingested_collection,
    observation_vectors,
    space_vectors,
    trained_model,
)
from genept.client import Platform
from genept.language_models.games import DONOR_TABLES
from genept.schema.tables import TABLES
from genept.storage import Lake, ObjectStore, StoredTable
from validation import (
    check_table,
    duplicate_targets,
    expression_findings,
    undescribed_groups,
    unknown_genes,
    unlisted_drugs,
    unmapped_labels,
    unprobed_writers,
)


def _suite_check(name: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=dg.AssetKey(name),
        name="keeps_its_declaration",
        blocking=True,
        description=f"What genept/schema/tables declares of {name} holds for every row.",
    )
    def keeps_its_declaration(
        platform: dg.ResourceParam[Platform],
        lake: dg.ResourceParam[Lake],
        store: dg.ResourceParam[ObjectStore],
        stored: StoredTable,
    ) -> dg.AssetCheckResult:
        evidence = check_table(lake, stored, complete=not platform.limits)
        findings = [*evidence.failed, *evidence.warnings]
        severity = dg.AssetCheckSeverity.ERROR if evidence.failed else dg.AssetCheckSeverity.WARN
        return dg.AssetCheckResult(
            passed=not findings,
            severity=severity,
            description="\n".join(findings) or f"{evidence.expectations} expectations hold",
            metadata={
                "expectations": evidence.expectations,
                "rows": stored.rows,
                "page": dg.MetadataValue.path(store.uri(evidence.page)),
            },
        )

    return keeps_its_declaration


def _partition_check(asset: dg.AssetsDefinition) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=asset,
        name="keeps_its_declaration",
        blocking=True,
        partitions_def=asset.partitions_def,
        description="What genept/schema/tables declares holds for every row of the partition, in "
        "every table; expression fits its axis.",
    )
    def keeps_its_declaration(
        lake: dg.ResourceParam[Lake], tables: PartitionTables
    ) -> dg.AssetCheckResult:
        findings = [
            f"{name}: {finding}"
            for name, table in tables.items()
            for finding in check_table(lake, table, complete=False).failed
        ]
        if "expression" in tables:
            related = (tables[name] for name in ("expression", "gene_axis", "observations"))
            findings += expression_findings(lake, *related)
        rows = sum(table.rows for table in tables.values())
        return _check_result(
            findings, f"{rows:,} rows of {len(tables)} tables keep their declaration"
        )

    return keeps_its_declaration


def _genes_check(name: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=dg.AssetKey(name),
        name="names_only_known_genes",
        blocking=True,
        additional_ins={"genes": dg.AssetIn("genes")},
        description=f"Every gene of {name} is in the reference; on an axis it stands once.",
    )
    def names_only_known_genes(
        lake: dg.ResourceParam[Lake], stored: StoredTable, genes: StoredTable
    ) -> dg.AssetCheckResult:
        findings = unknown_genes(lake, stored, genes)
        if name == "gene_axis":
            findings += duplicate_targets(lake, stored)
        return _check_result(findings, f"{stored.rows:,} rows name known genes only")

    return names_only_known_genes


@dg.asset_check(
    asset=dg.AssetKey("expression"),
    name="fits_its_axis",
    blocking=True,
    additional_ins={
        "gene_axis": dg.AssetIn("gene_axis"),
        "observations": dg.AssetIn("observations"),
    },
    description="The lists of a row are equally long; `gene_index` ascends within the gene axis.",
)
def fits_its_axis(
    lake: dg.ResourceParam[Lake],
    stored: StoredTable,
    gene_axis: StoredTable,
    observations: StoredTable,
) -> dg.AssetCheckResult:
    """Check every row of every collection."""
    findings = expression_findings(lake, stored, gene_axis, observations)
    return _check_result(findings, f"{stored.rows:,} rows are rows of a CSR matrix")


def _drugs_check(asset: str, name: str, of: str, listing: str) -> dg.AssetChecksDefinition:
    """Check of `asset`: every drug of table `of` is in table `listing`; one of both is `asset`."""
    (other,) = {of, listing} - {asset}

    @dg.asset_check(
        asset=dg.AssetKey(asset),
        name=name,
        blocking=True,
        additional_ins={"other": dg.AssetIn(other)},
        description=f"Every drug of {of} is in {listing}.",
    )
    def lists_its_drugs(
        lake: dg.ResourceParam[Lake], stored: StoredTable, other: StoredTable
    ) -> dg.AssetCheckResult:
        named, listed = (other, stored) if asset == listing else (stored, other)
        findings = unlisted_drugs(lake, named, listed)
        return _check_result(findings, f"the drugs of {named.rows:,} rows are listed")

    return lists_its_drugs


@dg.asset_check(
    asset=dg.AssetKey("written_statements"),
    name="writers_passed_the_probes",
    blocking=True,
    additional_ins={"probes": dg.AssetIn("language_model_probes")},
    description="Every language model with statements in a release passed the blocking probes.",
)
def writers_passed_the_probes(
    platform: dg.ResourceParam[Platform],
    lake: dg.ResourceParam[Lake],
    stored: StoredTable,
    probes: StoredTable,
) -> dg.AssetCheckResult:
    """Check the writers against table `language_model_probes`."""
    findings = unprobed_writers(lake, stored, probes, [*platform.language_models.declared])
    return _check_result(findings, f"{len(stored.parts)} writers passed, or are no models")


@dg.asset_check(
    asset=dg.AssetKey("observation_descriptions"),
    name="describes_every_group",
    blocking=True,
    additional_ins={"observations": dg.AssetIn("observations")},
    description="Every labelled group of every collection has one paragraph, which counts its "
    "observations; there are no others.",
)
def describes_every_group(
    lake: dg.ResourceParam[Lake], stored: StoredTable, observations: StoredTable
) -> dg.AssetCheckResult:
    """Check the paragraphs against table `observations`."""
    findings = undescribed_groups(lake, stored, observations)
    return _check_result(findings, f"every group of {len(stored.parts)} collections is described")


@dg.asset_check(
    asset=dg.AssetKey("ontology_terms"),
    name="describes_every_label",
    blocking=True,
    additional_ins={
        "observations": dg.AssetIn("observations"),
        "label_mapping": dg.AssetIn("label_mapping"),
    },
    description="Every label has one outcome, which counts its observations; a term if it is "
    "mapped, and none otherwise; every id of a term is described.",
)
def describes_every_label(
    lake: dg.ResourceParam[Lake],
    stored: StoredTable,
    observations: StoredTable,
    label_mapping: StoredTable,
) -> dg.AssetCheckResult:
    """Check the labels of every collection."""
    findings = unmapped_labels(lake, stored, observations, label_mapping)
    return _check_result(findings, f"{label_mapping.rows:,} labels have an outcome")


def _check_result(findings: list[str], description_if_passed: str) -> dg.AssetCheckResult:
    """Result of a check of which every finding is an error."""
    return dg.AssetCheckResult(
        passed=not findings,
        severity=dg.AssetCheckSeverity.ERROR,
        description="\n".join(findings) or description_if_passed,
    )


table_checks = [_suite_check(name) for name in (*TABLES, *DONOR_TABLES)]
with warnings.catch_warnings():
    # Checks by partition are called preview in the whole of Dagster 1.13, to which we are pinned.
    warnings.simplefilter("ignore", dg.PreviewWarning)
    partition_checks = [
        _partition_check(asset)
        for asset in (
            *(ingested_collection, space_vectors, observation_vectors),
            *(collection_descriptions, collection_scores, trained_model),
        )
    ]
relation_checks = [
    fits_its_axis,
    describes_every_group,
    describes_every_label,
    writers_passed_the_probes,
    *(_genes_check(name) for name in ("gene_names", "gene_mapping", "gene_axis", "drug_targets")),
    _drugs_check("drugs", "lists_every_measured_drug", "drug_responses", "drugs"),
    _drugs_check("drug_targets", "names_only_listed_drugs", "drug_targets", "drugs"),
]
