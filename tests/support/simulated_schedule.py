"""Nightly runs one after the other, with injected faults, and the invariants after each run.

Faults are: the worker is killed at one of the run's writes and records nothing further; the store
is killed; the connection to the instance's database is lost; a step fails; a publisher's file is
damaged or missing. Time is simulated: an object is as old as the run that wrote it, and once a
week garbage is collected by that clock. As a program it simulates the given number of runs:
`python tests/support/simulated_schedule.py 200`.
"""

from __future__ import annotations

import io
import json
import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

PROJECT = Path(__file__).parents[2]
sys.path[:0] = [str(PROJECT), str(PROJECT / "tests"), str(Path(__file__).parent)]

import dagster as dg
import polars as pl
import psutil
from small_installation import GENES, HELD, SmallInstallation
from sqlalchemy.exc import OperationalError

from genept.common.errors import StoreError
from genept.release.collector import GRACE, delete_garbage, list_garbage
from genept.release.diff import differences
from genept.release.fencing import RunState
from genept.release.garbage import STAGE_AGE
from genept.storage.connect import open_store
from genept.storage.embedded_store import EmbeddedStore
from genept.storage.object_store import ObjectStore
from genept.storage.requests import ObjectInfo
from genept.text.composition import text_sha256
from orchestration.instance import LAUNCHED_BY, close_killed_runs

FAULTS = (
    *("worker killed", "step failed", "store killed", "database lost"),
    *("damaged file", "file gone"),
)
CHANGE_SHARE, FAULT_SHARE = 0.15, 0.5
"""Share of nightly runs with a changed input, and share of these with a fault."""

FIRST = datetime(2026, 1, 2, tzinfo=UTC)
COLLECTED = timedelta(days=7)
"""Interval of garbage collection."""

POOLS = {"pools": {"granularity": "op", "default_limit": 1}}
"""As `infra/dagster.yaml` has them."""

ENDED = {dg.DagsterRunStatus[name] for name in ("SUCCESS", "FAILURE", "CANCELED")}
BELOW_A_SUMMARY = {
    *("gene_descriptions", "gene_embeddings", "sample_embeddings", "gene_programs"),
    *("program_terms", "program_activity", "benchmark_results", "run_metrics"),
    "observation_descriptions",
}
"""Tables that depend on a gene's summary, and the costs of runs."""


class Killed(BaseException):
    """The process is dead: no code catches this, and nothing is recorded after it."""


class SimulatedInstallation(SmallInstallation):
    """An installation with a store of its own, which may be killed, and a clock of its own."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance) -> None:
        super().__init__(folder, instance)
        self.embedded = EmbeddedStore(self.settings.state / "store")
        self.written_on: dict[str, tuple[str, datetime]] = {}
        """ETag of every object, and the day of the run that wrote it."""
        self.inventory: dict[str, ObjectInfo] = {}
        """Objects of the store when it was last listed."""

    def kill_store(self) -> None:
        """Kill the server: requests fail until a process opens the store and starts it again."""
        server = psutil.Process(self.embedded.status().pid)
        server.kill()
        server.wait(10)
        del self.releases

    def list_objects(self, day: datetime) -> None:
        """List the store after a run of this day, which wrote all new objects."""
        prefix = f"{self.product}/"
        self.inventory = {info.key.removeprefix(prefix): info for info in self.store.list(prefix)}
        self.written_on = {
            key: self.written_on[key]
            if self.written_on.get(key, ("",))[0] == info.etag
            else (info.etag, day)
            for key, info in self.inventory.items()
        }

    def collect_garbage(self, now: datetime) -> None:
        """`genept release gc --yes` today and yesterday, by the simulated clock."""
        store, releases = open_store(self.settings, "gc"), self.releases
        listed, prefix = releases.store.list, f"{self.product}/"

        def dated(under: str) -> Iterator[ObjectInfo]:
            for info in listed(under):
                _, written = self.written_on.get(info.key.removeprefix(prefix), ("", now))
                yield replace(info, last_modified=written)

        def state_of(run_id: str) -> RunState:
            run = self.instance.get_run_by_id(run_id)
            return "done" if run is not None and run.is_success else "given up"

        with patch.object(releases.store, "list", dated):
            list_garbage(releases, now=now - GRACE)
            delete_garbage(releases, store, state_of, now=now)

    def stages(self) -> dict[str, datetime]:
        """Folders of unpublished releases, with the day of the last run that wrote to them."""
        written_to: dict[str, datetime] = {}
        for key, (_, written) in self.written_on.items():
            if key.startswith("releases/"):
                name = key.split("/")[1]
                written_to[name] = max(written, written_to.get(name, written))
        known = set(self.releases.ids())
        return {name: written for name, written in written_to.items() if name not in known}


@dataclass
class Progress:
    """State of the simulation: `unreleased` are genes whose changes no release has yet.

    After a failed run, the next one builds everything again.
    """

    unreleased: set[str] = field(default_factory=set)
    settled: bool = True
    count: Counter[str] = field(default_factory=Counter)
    writes: int = 60
    """Number of writes of the last run without a fault."""


def simulate(
    n: int, seed: int, folder: Path, *, report: Callable[[dict[str, Any]], None]
) -> Counter[str]:
    """Simulate `n` nightly runs; raises as soon as an invariant is violated.

    Returns
    -------
    Counter
        How often each fault was injected, and how often each outcome occurred.
    """
    progress = Progress()
    with dg.instance_for_test(overrides={"concurrency": POOLS}, temp_dir=str(folder)) as instance:
        site = SimulatedInstallation(folder / "installation", instance)
        try:
            assert site.release().success
            assert _run(site, FIRST - timedelta(days=1))  # the first run has changes by definition
            site.list_objects(FIRST - timedelta(days=1))
            for number in range(n):
                began = time.monotonic(), time.process_time()
                day = FIRST + timedelta(days=number)
                rng = random.Random(f"{seed} {number}")  # noqa: S311 - faults, not secrets
                outcome = _simulate_run(site, day, progress, rng)
                wall, cpu = time.monotonic() - began[0], time.process_time() - began[1]
                report({"day": f"{day:%Y-%m-%d}", **outcome, "wall": wall, "cpu": cpu})
            _check_end(site, FIRST + timedelta(days=n), progress)
        finally:
            site.embedded.stop()
    return progress.count


def _simulate_run(
    site: SimulatedInstallation, day: datetime, progress: Progress, rng: random.Random
) -> dict[str, Any]:
    """Simulate one nightly run, and check what must hold after it."""
    before, current = site.inventory, site.releases.current()
    n_embedded = len(site.model.embedded_texts)
    fault = None
    if rng.random() < CHANGE_SHARE:
        gene = rng.choice(GENES)
        site.publish_summaries(**{gene: f"Seen anew on {day:%Y-%m-%d}: thing {rng.random()}."})
        progress.unreleased.add(gene)
        fault = rng.choice(FAULTS) if rng.random() < FAULT_SHARE else None
    with _injected(site, fault, progress, rng):
        succeeded = _run(site, day)
    close_killed_runs(site.instance)  # as run monitoring does, and the next `genept run`
    site.list_objects(day)
    after, releases = site.inventory, site.releases
    now = releases.current()  # verified against the pointer
    published = now.release_id != current.release_id
    if published:
        text = differences(releases.files, current, now).text()
        unnamed = [gene for gene in progress.unreleased if gene not in text]
        assert not unnamed, f"{day}: the release does not name {unnamed}"
        _check_growth(before, after, now.release_id, progress.unreleased)
        progress.unreleased.clear()
        outcome = "published"
    elif not succeeded:
        assert fault is not None, f"{day}: failed without a fault"
        outcome = "refused"
    else:
        assert not progress.unreleased, f"{day}: changes of {progress.unreleased}, and no release"
        assert len(site.model.embedded_texts) == n_embedded
        assert after == before or not progress.settled, f"{day}: a run without changes wrote"
        outcome = "no news" if progress.settled else "nothing new"
    progress.settled = succeeded and fault is None
    progress.count[outcome] += 1
    progress.count[fault or "no fault"] += 1
    _check_leftovers(site, day)
    total_bytes = sum(info.bytes for info in site.inventory.values())
    return {
        "outcome": outcome,
        "fault": fault,
        "objects": len(site.inventory),
        "bytes": total_bytes,
    }


def _run(site: SimulatedInstallation, day: datetime) -> bool:
    try:
        return site.nightly_run(f"{day:%Y-%m-%d}", tags=LAUNCHED_BY).success
    except (Killed, OperationalError):
        return False


@contextmanager
def _injected(
    site: SimulatedInstallation, fault: str | None, progress: Progress, rng: random.Random
) -> Iterator[None]:
    """Inject the fault during the run, at one of its writes to the store."""
    storage = site.instance.event_log_storage
    at, is_after, writes = rng.randint(1, progress.writes), rng.random() < 0.5, 0
    lasting_error: BaseException | None = None

    def inject() -> None:
        nonlocal lasting_error
        if fault == "step failed":
            raise StoreError("a step was made to fail")
        if fault == "store killed":
            site.kill_store()
        if fault == "worker killed":
            lasting_error = Killed()
        if fault == "database lost":
            lasting_error = OperationalError(
                "INSERT", {}, Exception("the server closed the connection")
            )
        if isinstance(lasting_error, Killed):
            raise lasting_error

    def counted(write: Callable[..., Any]) -> Callable[..., Any]:
        def written(*arguments: Any, **options: Any) -> Any:
            nonlocal writes
            if isinstance(lasting_error, Killed):
                raise lasting_error
            writes += 1
            if writes == at and not is_after:
                inject()
            result = write(*arguments, **options)
            if writes == at and is_after:
                inject()
            return result

        return written

    def recorded(*arguments: Any) -> None:
        if lasting_error is not None:
            raise lasting_error
        store_event(*arguments)

    content, store_event = site.file.read_bytes(), storage.store_event
    if fault == "damaged file":
        site.file.write_bytes(content[: len(content) // 2])
    if fault == "file gone":
        site.file.unlink()
    with (
        patch.object(storage, "store_event", recorded),
        patch.object(ObjectStore, "put_if_absent", counted(ObjectStore.put_if_absent)),
        patch.object(ObjectStore, "put_if_match", counted(ObjectStore.put_if_match)),
    ):
        yield
    site.file.write_bytes(content)
    if fault is None and writes:
        progress.writes = writes


def _check_growth(
    before: Collection[str], after: Collection[str], release: str, changed: set[str]
) -> None:
    """New objects are one release, and parts of tables that depend on a gene's summary."""
    new = set(after) - set(before)
    assert {key.split("/")[1] for key in new if key.startswith("releases/")} == {release}
    parts = {key for key in new if key.startswith("lake/") and key.endswith(".parquet")}
    tables = {key.split("/")[1] for key in parts}
    assert tables <= BELOW_A_SUMMARY, f"{tables - BELOW_A_SUMMARY} grew too"
    holding = {name for name, genes in HELD.items() if changed & set(genes)}
    pooled = {key.split("/")[-2] for key in parts if key.startswith("lake/sample_embeddings/")}
    assert pooled <= holding, f"{pooled - holding} hold none of {changed}"


def _check_leftovers(site: SimulatedInstallation, day: datetime) -> None:
    """No run is stuck, no slot lost; unused objects are collected when they are old enough."""
    unfinished = set(dg.DagsterRunStatus) - ENDED
    stuck = site.instance.get_runs(dg.RunsFilter(statuses=list(unfinished)))
    assert not stuck, f"{day}: {stuck} are stuck"
    storage = site.instance.event_log_storage
    slots = [
        pool
        for pool in storage.get_concurrency_keys()
        if storage.get_concurrency_info(pool).claimed_slots
    ]
    assert not slots, f"{day}: slots of {slots} are lost"
    limit = STAGE_AGE + GRACE + COLLECTED
    if (day - FIRST) % COLLECTED == timedelta(0):
        site.collect_garbage(day)
        site.list_objects(day)
        limit = STAGE_AGE + GRACE
    orphans = {name for name, written in site.stages().items() if day - written > limit}
    assert not orphans, f"{day}: {orphans} were staged long ago and never became a release"
    current = site.releases.current()
    folder = site.releases.folder(current.release_id).removeprefix(f"{site.product}/")
    files = {f"{folder}/{file.path}" for table in current.tables.values() for file in table.files}
    assert files <= set(site.inventory), f"{day}: files of the current release are gone"


def _check_end(site: SimulatedInstallation, day: datetime, progress: Progress) -> None:
    """After another run without a fault, the release has all changes."""
    assert _run(site, day)
    site.list_objects(day)
    site.collect_garbage(day + timedelta(days=31))
    site.list_objects(day)
    assert not site.stages(), "a stage that never became a release is left"
    releases, current = site.releases, site.releases.current()
    (file,) = current.tables["gene_descriptions"].files
    texts = site.store.get(f"{releases.folder(current.release_id)}/{file.path}")
    hashes = set(pl.read_parquet(io.BytesIO(texts))["text_sha256"])
    assert hashes == {text_sha256(text) for text in site.summaries.values()}
    repeated = [
        text for text, times in Counter(site.model.embedded_texts).items() for _ in range(times - 1)
    ]
    interrupted = progress.count["worker killed"] + progress.count["store killed"]
    assert len(repeated) <= interrupted, f"texts were embedded twice, such as {repeated[:3]}"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    runs_, seed_ = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with tempfile.TemporaryDirectory() as folder_:
        counts = simulate(
            runs_,
            seed_,
            Path(folder_),
            report=lambda outcome: print(json.dumps(outcome), flush=True),  # noqa: T201
        )
    print(dict(counts))  # noqa: T201
