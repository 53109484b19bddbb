"""A job that publishes planted tables, for step processes that import it by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import dagster as dg
from declared_rows import candidate, declared_rows, passing, store_table

from assets import release
from genept.client.platform import Platform
from genept.common.settings import Settings
from genept.release.manifest import Manifest
from genept.schema.tables import TABLES
from genept.storage.lake import Lake
from genept.storage.provenance import StoredTable
from orchestration.failures import run_lines
from orchestration.io_manager import LakeIOManager
from orchestration.resources import resources_of
from validation.suites import suite_for


def settings() -> Settings:
    """Settings of the environment with a limit, since planted tables have few rows."""
    return Settings(max_genes=40)


def genes(platform: Platform, n: int) -> StoredTable:
    """Table `genes` with `n` valid rows and evidence of its checks."""
    stored = store_table(platform.lake, "genes", declared_rows(TABLES["genes"], n))
    store_evidence(platform.lake, {"genes": stored})
    return stored


def store_evidence(lake: Lake, tables: Mapping[str, StoredTable]) -> None:
    """Store evidence in the lake, as the checks of the assets upstream of the release do."""
    for name, evidence in passing(tables).items():
        suite = suite_for(TABLES[name], complete=False).version[:16]
        address = f"{lake.prefix}/evidence/{name}/{evidence.data_version}-{suite}"
        page = f"{address}.html"
        lake.store.put_if_absent(page, b"<html>planted</html>")
        body = evidence.model_copy(update={"page": page}).body()
        lake.store.put_if_absent(f"{address}.json", body)


def publish_first_release(platform: Platform) -> None:
    """Publish a release of valid rows, of 100 genes, without a run."""
    no_models = platform.lake.assemble("gate_verdicts", [])
    first = candidate(platform.lake, genes=genes(platform, 100), gate_verdicts=no_models)
    store_evidence(platform.lake, first.tables)
    platform.releases.publish(replace(first, limits=platform.limits))


def report_materialisations(
    instance: dg.DagsterInstance, last: Manifest, **replaced: StoredTable
) -> None:
    """Report the tables of a release to Dagster as materialised, with some replaced."""
    for name, table in {**last.tables, **replaced}.items():
        tags = {"dagster/data_version": table.data_version}
        instance.report_runless_asset_event(dg.AssetMaterialization(name, tags=tags))


def job() -> dg.JobDefinition:
    """The asset of the release alone, each step in a process of its own."""
    platform = Platform(settings())
    return dg.Definitions(
        assets=[release.published_release, *(dg.AssetSpec(name) for name in TABLES)],
        jobs=[dg.define_asset_job("publish", selection=[release.published_release.key])],
        resources=resources_of(platform) | {"io_manager": LakeIOManager(platform)},
        loggers={"console": run_lines},
        executor=dg.multi_or_in_process_executor,
    ).resolve_job_def("publish")


def execute(config: str) -> None:
    """Run the job once with a configuration, as JSON, on the instance of the environment."""
    with dg.DagsterInstance.get() as home:
        job_of = dg.reconstructable(job)
        dg.execute_job(job_of, home, run_config=json.loads(config), raise_on_error=False)
