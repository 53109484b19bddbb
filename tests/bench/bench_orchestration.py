"""Measure the overhead of Dagster: the job `release` beside the same library calls in sequence.

Also one partition, the ingest of a collection with its check, beside the library calls that it
makes. All start from a fresh store with the same archives in place, in a process of their own;
imports are done before the clock starts. The bar is 1.2 times the bare calls. CPU seconds are shown
beside wall seconds, since only they can be compared on a machine that others use.
"""

from __future__ import annotations

import inspect
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

PROJECT = Path(__file__).parents[2]
sys.path.insert(0, str(PROJECT))

SETTINGS = {
    "collections": ("pbmc-hao", "prostate"),
    "spaces": ("lsa-384/name-go", "random-384/name-go"),
    "max_genes": 6000,
}
COLLECTION = "gdsc"
BAR = 1.2


def measured(variant: str, state: Path) -> dict[str, float]:
    """Wall and CPU seconds of a variant (`bare` or `job`), in a process of its own."""
    (state / "cache").mkdir(parents=True)
    (state / "cache" / "archives").symlink_to(PROJECT / ".genept" / "cache" / "archives")
    command = [sys.executable, __file__, variant, str(state)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PROJECT)
    if result.returncode:
        raise SystemExit(result.stderr)
    return dict(json.loads(result.stdout.splitlines()[-1]))


def timed(variant: str, state: Path) -> dict[str, float]:
    """The same in this process: the clock starts when everything is imported and the store runs."""
    import validation.engine  # noqa: F401 - both variants import it once
    from genept.common.settings import Settings
    from genept.storage.embedded_store import EmbeddedStore
    from orchestration.definitions import build_defs

    settings = Settings(state_dir=state, **SETTINGS)  # type: ignore[arg-type]
    try:
        defs = build_defs(settings)
        work = VARIANTS[variant](settings, defs, state)
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    finally:
        EmbeddedStore(state / "store").stop()


def _job(settings: Any, defs: Any, state: Path) -> Any:
    import dagster as dg

    from genept.client.platform import Platform

    Platform(settings).store  # noqa: B018 - starts it
    job = defs.resolve_job_def("release")
    (state / "dagster").mkdir()
    instance = dg.DagsterInstance.local_temp(str(state / "dagster"))

    def work() -> None:
        assert job.execute_in_process(instance=instance).success

    return work


def _partition(settings: Any, defs: Any, state: Path) -> Any:
    """One partition, as a backfill materialises it."""
    import dagster as dg

    from genept.client.platform import Platform
    from orchestration.instance import register_partitions

    Platform(settings).store  # noqa: B018 - starts it
    (state / "dagster").mkdir()
    instance = dg.DagsterInstance.local_temp(str(state / "dagster"))
    register_partitions(instance, collections=[COLLECTION], spaces=[])
    job = defs.resolve_implicit_global_asset_job_def()
    selection = [dg.AssetKey("ingested_collection")]

    def work() -> None:
        assert job.execute_in_process(
            instance=instance, asset_selection=selection, partition_key=COLLECTION
        ).success

    return work


def _ingest(settings: Any, _defs: Any, _state: Path) -> Any:
    """The library calls of that partition: the collection is ingested, its tables are checked."""
    from genept.client.platform import Platform
    from genept.storage.provenance import StoredTable
    from validation.checks import check_table, expression_findings

    platform = Platform(settings)
    platform.store  # noqa: B018 - starts it
    (collection,) = platform.catalogue.chosen([COLLECTION])

    def work() -> None:
        parts = platform.ingest(collection)
        tables = {
            name: StoredTable(name, tuple(part for part in parts if part.table == name))
            for name in dict.fromkeys(part.table for part in parts)
        }
        for table in tables.values():
            assert not check_table(platform.lake, table, complete=False).failed
        related = (tables[name] for name in ("expression", "gene_axis", "observations"))
        assert not expression_findings(platform.lake, *related)

    return work


def _bare(settings: Any, defs: Any, _state: Path) -> Any:
    """The functions of the assets and checks, called as plain functions in their order."""
    import dagster as dg

    from genept.client.platform import Platform
    from genept.client.publication import publish_tables
    from genept.schema.tables import TABLES
    from genept.storage.provenance import StoredTable
    from orchestration.resources import PARTS
    from validation.checks import check_table, evidence_pages

    platform = Platform(settings)
    platform.store  # noqa: B018 - starts it
    job = defs.resolve_job_def("release")
    order = [step.node_handle.name for step in _steps(job)]
    functions = {node.name: node.compute_fn.decorated_fn for node in job.all_node_defs}
    context = SimpleNamespace(
        instance=dg.DagsterInstance.ephemeral(),
        log=logging.getLogger("bare"),
        log_event=lambda _: None,
    )

    def work() -> None:
        tables: dict[str, StoredTable] = {}
        for name in order:
            if name in ("published_release", "run_metrics"):
                continue  # the first is called below, the second reads what Dagster kept
            function = functions[name]
            parameters = inspect.signature(function).parameters
            resources = {part: getattr(platform, part) for part in PARTS if part in parameters}
            inputs: dict[str, Any] = {"platform": platform, "context": context} | resources | tables
            if "stored" in parameters:
                checked, others = _checked(job, name)
                inputs["stored"] = tables[checked]
                if others:
                    inputs["other"] = tables[others.pop()]
            if not any(
                parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()
            ):
                inputs = {key: value for key, value in inputs.items() if key in parameters}
            elif "context" not in parameters:
                del inputs["context"]
            output = function(**inputs)
            for result in output if inspect.isgenerator(output) else [output]:
                if isinstance(getattr(result, "value", None), StoredTable):
                    tables[result.value.table] = result.value
        publish_tables(
            platform, {name: tables[name] for name in TABLES}, check=check_table,
            check_pages=evidence_pages, confirm=lambda: None,
        )  # fmt: skip

    return work


def _steps(job: Any) -> Any:
    """Steps of a job in the order in which they run."""
    from dagster._core.execution.api import create_execution_plan

    return create_execution_plan(job).get_all_steps_in_topo_order()


def _checked(job: Any, name: str) -> tuple[str, set[str]]:
    """The table that a check belongs to, and what else it reads."""
    graph = job.asset_layer.asset_graph
    (key,) = [key for key in graph.asset_check_keys if name == _node_of(key)]
    checked = str(key.asset_key.path[-1])
    return checked, {parent.path[-1] for parent in graph.get(key).parent_entity_keys} - {checked}


def _node_of(key: Any) -> str:
    return f"{key.asset_key.path[-1]}_{key.name}"


VARIANTS = {"bare": _bare, "job": _job, "ingest": _ingest, "partition": _partition}
PAIRS = (("bare", "job"), ("ingest", "partition"))


def main() -> None:
    """Measure both variants of each pair in turn, twice, and compare the smaller results."""
    measurements: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
    for number in range(int(os.environ.get("GENEPT_BENCH_ROUNDS", "2"))):
        for variant, costs in measurements.items():
            with tempfile.TemporaryDirectory() as folder:
                costs.append(measured(variant, Path(folder) / "state"))
                print(f"round {number + 1}, {variant}: {costs[-1]}", flush=True)  # noqa: T201
    for pair in PAIRS:
        for clock in ("wall", "cpu"):
            calls, dagster = (min(cost[clock] for cost in measurements[name]) for name in pair)
            print(  # noqa: T201
                f"{clock}: {pair[1]} {dagster:.1f} s, {pair[0]} {calls:.1f} s: "
                f"{dagster / calls:.2f} (bar {BAR})"
            )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if len(sys.argv) == 3:
        print(json.dumps(timed(sys.argv[1], Path(sys.argv[2]))))  # noqa: T201
    else:
        main()
