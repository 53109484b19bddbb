"""What Dagster costs: the job `release` beside the same library calls, made one after the other.

Both start from a fresh store with the same archives in place, in a process of its own; imports are
paid before the clock starts. The bar is 1.3 times the bare calls. CPU seconds are shown beside wall
seconds, since only they can be compared on a machine that others use.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
sys.path.insert(0, str(PROJECT))

SETTINGS = {
    "collections": ("pbmc-hao", "prostate"),
    "spaces": ("lsa-384/name-go", "random-384/name-go"),
    "max_genes": 6000,
}
BAR = 1.3


def measured(how: str, state: Path) -> dict[str, float]:
    """Wall and CPU seconds of one way, in a process of its own."""
    (state / "cache").mkdir(parents=True)
    (state / "cache" / "archives").symlink_to(PROJECT / ".genept" / "cache" / "archives")
    command = [sys.executable, __file__, how, str(state)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PROJECT)
    if answer.returncode:
        raise SystemExit(answer.stderr)
    return dict(json.loads(answer.stdout.splitlines()[-1]))


def timed(how: str, state: Path) -> dict[str, float]:
    """The same in this process: everything is imported, the store is up, then the clock starts."""
    import validation.engine  # noqa: F401 - what both pay once
    from genept.settings import Settings
    from genept.store.embedded import EmbeddedStore
    from orchestration.definitions import build_defs

    settings = Settings(state_dir=state, **SETTINGS)  # type: ignore[arg-type]
    try:
        work = _bare(settings) if how == "bare" else _job(settings, build_defs(settings), state)
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    finally:
        EmbeddedStore(state / "store").stop()


def _job(settings: Any, defs: Any, state: Path) -> Any:
    import dagster as dg

    from genept.platform import Platform

    Platform(settings).store  # noqa: B018 - starts it
    job = defs.resolve_job_def("release")
    (state / "dagster").mkdir()
    instance = dg.DagsterInstance.local_temp(str(state / "dagster"))

    def work() -> None:
        assert job.execute_in_process(instance=instance).success

    return work


def _bare(settings: Any) -> Any:  # noqa: PLR0915 - the graph, line by line
    """What the assets and checks call, in their order, with nothing in between."""
    import assets.release
    from assets.views import parts_of
    from genept.benchmarks.cell_task import annotate_cell_types
    from genept.benchmarks.labels import fates
    from genept.benchmarks.leaderboard import run_tasks
    from genept.collections.ingest import TABLES_OF_A_COLLECTION, ingest
    from genept.embeddings.pictures import pictures_of
    from genept.embeddings.pooling import TABLE_OF_KIND
    from genept.embeddings.shards import embed_shards, shards_of
    from genept.models.promotion import card_pages
    from genept.models.tasks import DiagnosisTask
    from genept.models.training import train_diagnosis
    from genept.nomenclature.reference import build_genes, build_names
    from genept.nomenclature.report import mapping_pages
    from genept.platform import Platform
    from genept.store.lake import StoredTable
    from genept.tables import TABLES
    from genept.text.descriptions import describe_genes
    from genept.text.receipts import record_ledger
    from validation.checks import check_table
    from validation.relations import doubled_targets, expression_findings, foreign_genes

    platform = Platform(settings)
    lake = platform.lake

    def work() -> None:
        made: dict[str, StoredTable] = {}

        def table(name: str, parts: Any) -> None:
            made[name] = lake.assemble(name, parts)
            assert check_table(lake, made[name], complete=False).passed

        for source in platform.needed_sources:
            platform.archives.fetch(source)
        genes = build_genes(lake, platform.archives)
        table("genes", genes.parts)
        table("gene_names", build_names(lake, platform.archives).parts)
        described = [
            part
            for recipe in platform.followed_recipes
            for part in describe_genes(
                lake,
                platform.knowledge,
                genes.part(),
                recipe,
                lambda: platform.minilm.count_tokens,
                max_genes=settings.max_genes,
            )
        ]
        for name in ("gene_descriptions", "undescribed_genes"):
            table(name, described)
        labels = platform.label_parts(genes.part())
        for name in ("gene_properties", "gene_pairs"):
            table(name, labels)
            fates(lake.read(made[name]))
        ingested = [
            part
            for one in platform.collections
            for part in ingest(
                lake,
                platform.collection_archives,
                one,
                lambda: platform.reference,
                platform.reference_version,
                settings.threads,
            )
        ]
        for name in TABLES_OF_A_COLLECTION:
            table(name, ingested)
        mapping_pages(lake, made["gene_mapping"])
        for name in ("gene_names", "gene_mapping", "gene_axis"):
            assert not foreign_genes(lake, made[name], genes)
        assert not doubled_targets(lake, made["gene_axis"])
        expression = (made["expression"], made["gene_axis"], made["observations"])
        assert not expression_findings(lake, *expression)
        embedded = [platform.embed(space, made["gene_descriptions"]) for space in platform.spaces]
        table("gene_embeddings", embedded)
        table("embedding_ledger", [record_ledger(lake, settings.product)])
        for kind, name in TABLE_OF_KIND.items():
            shards = [
                shard
                for one in platform.collections
                if one.kind == kind
                for space in platform.spaces
                for shard in shards_of(
                    kind,
                    one.unit,
                    made["gene_embeddings"].part(space.id),
                    made["gene_axis"].part(one.id),
                    made["expression"].matching(one.id),
                )
            ]
            table(name, embed_shards(lake, shards, settings.threads))
            pictures_of(lake, made["observations"], made[name])
        spaces = [
            platform.entrant(one, made["gene_embeddings"].part(one.id)) for one in platform.spaces
        ]
        scored, _ = run_tasks(lake, platform.labels(genes.part()), spaces)
        trained = []
        for one in platform.collections:
            read = parts_of(platform, one, made)
            if one.kind == "single_cell":
                scored.append(annotate_cell_types(lake, one.id, one.unit, read))
            else:
                task = DiagnosisTask(one.id)
                first = platform.spaces[0]
                trained += train_diagnosis(lake, task, one.unit, first, read, platform.models)
        for name in ("benchmark_results", "benchmark_comparisons"):
            table(name, scored)
        for name in (
            *("diagnosis_predictions", "drug_response_predictions", "model_evaluations"),
            *("model_folds", "gate_verdicts"),
        ):
            table(name, trained)
        card_pages(lake, platform.models, made["gate_verdicts"])
        assets.release.publish_tables(
            platform, {name: made[name] for name in TABLES}, confirm=lambda: None
        )

    return work


def main() -> None:
    """Measure both, twice in turn, and compare the lesser of each."""
    found: dict[str, list[dict[str, float]]] = {"bare": [], "job": []}
    for number in range(int(os.environ.get("GENEPT_BENCH_ROUNDS", "2"))):
        for how, seen in found.items():
            with tempfile.TemporaryDirectory() as folder:
                seen.append(measured(how, Path(folder) / "state"))
                print(f"round {number + 1}, {how}: {seen[-1]}", flush=True)  # noqa: T201
    for clock in ("wall", "cpu"):
        bare, job = (min(one[clock] for one in found[how]) for how in ("bare", "job"))
        print(f"{clock}: job {job:.1f} s, bare {bare:.1f} s: {job / bare:.2f} (bar {BAR})")  # noqa: T201


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if len(sys.argv) == 3:
        print(json.dumps(timed(sys.argv[1], Path(sys.argv[2]))))  # noqa: T201
    else:
        main()
