"""Nightly runs one after the other, with injected faults, and the invariants after each run.

A killed worker stops at one of the run's writes and records nothing any more; a killed store is
killed; the instance's database goes away; a step fails; a publisher's file comes damaged, or not
at all. Time travels: every object is as old as the run that wrote it, and once a week garbage
is collected by that clock. As a program it simulates the given number of runs:
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
from genept.storage.embedded.store import EmbeddedStore
from genept.storage.object_store import ObjectStore
from genept.storage.requests import ObjectInfo
from genept.text.composition import text_sha256
from orchestration.instance import LAUNCHED_BY, close_killed_runs

FAULTS = (
    *("worker killed", "step failed", "store killed", "database lost"),
    *("damaged file", "file gone"),
)
NEWS, FAULT = 0.15, 0.5
"""Share of nightly runs with news, and of these with a fault."""

FIRST = datetime(2026, 1, 2, tzinfo=UTC)
COLLECTED = timedelta(days=7)
"""Every so often somebody collects garbage."""

POOLS = {"pools": {"granularity": "op", "default_limit": 1}}
"""As `infra/dagster.yaml` has them."""

ENDED = {dg.DagsterRunStatus[name] for name in ("SUCCESS", "FAILURE", "CANCELED")}
BELOW_A_SUMMARY = {
    *("gene_descriptions", "gene_embeddings", "sample_embeddings", "gene_programs"),
    *("program_terms", "program_activity", "benchmark_results", "run_metrics"),
}
"""Tables that a gene's summary decides, and what runs cost."""


class Killed(BaseException):
    """The process is no more: nobody catches it, and nothing is recorded after it."""


class SimulatedInstallation(SmallInstallation):
    """An installation with a store of its own, which may be killed, and a clock of its own."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance) -> None:
        super().__init__(folder, instance)
        self.embedded = EmbeddedStore(self.settings.state / "store")
        self.born: dict[str, tuple[str, datetime]] = {}
        """Of every object its ETag, and the day of the run that wrote it."""
        self.seen: dict[str, ObjectInfo] = {}
        """What lay in the store at the last look."""

    def kill_store(self) -> None:
        """Kill the server; who needs it now fails, and who opens it next starts it again."""
        server = psutil.Process(self.embedded.status().pid)
        server.kill()
        server.wait(10)
        del self.releases

    def look(self, day: datetime) -> None:
        """List the store after a run; new objects were written by it."""
        prefix = f"{self.product}/"
        self.seen = {one.key.removeprefix(prefix): one for one in self.store.list(prefix)}
        self.born = {
            key: self.born[key] if self.born.get(key, ("",))[0] == one.etag else (one.etag, day)
            for key, one in self.seen.items()
        }

    def collect_garbage(self, now: datetime) -> None:
        """`genept release gc --yes` today and yesterday, by the simulated clock."""
        store, releases = open_store(self.settings, "gc"), self.releases
        listed, prefix = releases.store.list, f"{self.product}/"

        def dated(under: str) -> Iterator[ObjectInfo]:
            for info in listed(under):
                _, written = self.born.get(info.key.removeprefix(prefix), ("", now))
                yield replace(info, last_modified=written)

        def state_of(run_id: str) -> RunState:
            run = self.instance.get_run_by_id(run_id)
            return "done" if run is not None and run.is_success else "given up"

        with patch.object(releases.store, "list", dated):
            list_garbage(releases, now=now - GRACE)
            delete_garbage(releases, store, state_of, now=now)

    def stages(self) -> dict[str, datetime]:
        """Release folders that are no release, with the day of the run that wrote to them last."""
        found: dict[str, datetime] = {}
        for key, (_, written) in self.born.items():
            if key.startswith("releases/"):
                name = key.split("/")[1]
                found[name] = max(written, found.get(name, written))
        known = set(self.releases.ids())
        return {name: written for name, written in found.items() if name not in known}


@dataclass
class Story:
    """What happened so far: `owed` are genes whose news no release holds yet.

    After a run that did not end well, the next one goes through everything again.
    """

    owed: set[str] = field(default_factory=set)
    settled: bool = True
    count: Counter[str] = field(default_factory=Counter)
    writes: int = 60
    """Of the last run with news."""


def simulate(
    n: int, seed: int, folder: Path, *, tell: Callable[[dict[str, Any]], None]
) -> Counter[str]:
    """Simulate `n` nightly runs; raises as soon as an invariant is violated.

    Returns
    -------
    Counter
        How often each fault was injected, and how often each outcome occurred.
    """
    story = Story()
    with dg.instance_for_test(overrides={"concurrency": POOLS}, temp_dir=str(folder)) as instance:
        site = SimulatedInstallation(folder / "installation", instance)
        try:
            assert site.release().success
            assert _run(site, FIRST - timedelta(days=1))  # the first with news by definition
            site.look(FIRST - timedelta(days=1))
            for number in range(n):
                began = time.monotonic(), time.process_time()
                day = FIRST + timedelta(days=number)
                chance = random.Random(f"{seed} {number}")  # noqa: S311 - faults, not secrets
                outcome = _one(site, day, story, chance)
                wall, cpu = time.monotonic() - began[0], time.process_time() - began[1]
                tell({"day": f"{day:%Y-%m-%d}", **outcome, "wall": wall, "cpu": cpu})
            _ends_well(site, FIRST + timedelta(days=n), story)
        finally:
            site.embedded.stop()
    return story.count


def _one(
    site: SimulatedInstallation, day: datetime, story: Story, chance: random.Random
) -> dict[str, Any]:
    """One nightly run, and what must hold after it."""
    before, current = site.seen, site.releases.current()
    asked = len(site.model.asked)
    fault = None
    if chance.random() < NEWS:
        gene = chance.choice(GENES)
        site.tell(**{gene: f"Seen anew on {day:%Y-%m-%d}: thing {chance.random()}."})
        story.owed.add(gene)
        fault = chance.choice(FAULTS) if chance.random() < FAULT else None
    with _happening(site, fault, story, chance):
        succeeded = _run(site, day)
    close_killed_runs(site.instance)  # as run monitoring does, and the next `genept run`
    site.look(day)
    after, releases = site.seen, site.releases
    now = releases.current()  # verified against the pointer
    published = now.release_id != current.release_id
    if published:
        said = differences(releases.files, current, now).text()
        unnamed = [gene for gene in story.owed if gene not in said]
        assert not unnamed, f"{day}: the release does not name {unnamed}"
        _grew_by_what_changed(before, after, now.release_id, story.owed)
        story.owed.clear()
        outcome = "published"
    elif not succeeded:
        assert fault is not None, f"{day}: failed without a fault"
        outcome = "refused"
    else:
        assert not story.owed, f"{day}: news of {story.owed}, and no release"
        assert len(site.model.asked) == asked
        assert after == before or not story.settled, f"{day}: a run without news wrote"
        outcome = "no news" if story.settled else "nothing new"
    story.settled = succeeded and fault is None
    story.count[outcome] += 1
    story.count[fault or "no fault"] += 1
    _nothing_is_left(site, day)
    held = sum(one.bytes for one in site.seen.values())
    return {"outcome": outcome, "fault": fault, "objects": len(site.seen), "bytes": held}


def _run(site: SimulatedInstallation, day: datetime) -> bool:
    try:
        return site.nightly_run(f"{day:%Y-%m-%d}", tags=LAUNCHED_BY).success
    except (Killed, OperationalError):
        return False


@contextmanager
def _happening(
    site: SimulatedInstallation, fault: str | None, story: Story, chance: random.Random
) -> Iterator[None]:
    """Let the fault happen in the middle of the run, at one of its writes to the store."""
    storage = site.instance.event_log_storage
    at, is_after, writes = chance.randint(1, story.writes), chance.random() < 0.5, 0
    gone: BaseException | None = None

    def strike() -> None:
        nonlocal gone
        if fault == "step failed":
            raise StoreError("a step was made to fail")
        if fault == "store killed":
            site.kill_store()
        if fault == "worker killed":
            gone = Killed()
        if fault == "database lost":
            gone = OperationalError("INSERT", {}, Exception("the server closed the connection"))
        if isinstance(gone, Killed):
            raise gone

    def counted(write: Callable[..., Any]) -> Callable[..., Any]:
        def written(*arguments: Any, **options: Any) -> Any:
            nonlocal writes
            if isinstance(gone, Killed):
                raise gone
            writes += 1
            if writes == at and not is_after:
                strike()
            done = write(*arguments, **options)
            if writes == at and is_after:
                strike()
            return done

        return written

    def recorded(*arguments: Any) -> None:
        if gone is not None:
            raise gone
        store_event(*arguments)

    whole, store_event = site.file.read_bytes(), storage.store_event
    if fault == "damaged file":
        site.file.write_bytes(whole[: len(whole) // 2])
    if fault == "publisher silent":
        site.file.unlink()
    with (
        patch.object(storage, "store_event", recorded),
        patch.object(ObjectStore, "put_if_absent", counted(ObjectStore.put_if_absent)),
        patch.object(ObjectStore, "put_if_match", counted(ObjectStore.put_if_match)),
    ):
        yield
    site.file.write_bytes(whole)
    if fault is None and writes:
        story.writes = writes


def _grew_by_what_changed(
    before: Collection[str], after: Collection[str], release: str, changed: set[str]
) -> None:
    """New are one release, and in the lake parts of what a gene's summary decides."""
    new = set(after) - set(before)
    assert {key.split("/")[1] for key in new if key.startswith("releases/")} == {release}
    parts = {key for key in new if key.startswith("lake/") and key.endswith(".parquet")}
    tables = {key.split("/")[1] for key in parts}
    assert tables <= BELOW_A_SUMMARY, f"{tables - BELOW_A_SUMMARY} grew too"
    holding = {name for name, genes in HELD.items() if changed & set(genes)}
    pooled = {key.split("/")[-2] for key in parts if key.startswith("lake/sample_embeddings/")}
    assert pooled <= holding, f"{pooled - holding} hold none of {changed}"


def _nothing_is_left(site: SimulatedInstallation, day: datetime) -> None:
    """No run is stuck, no slot lost; what nobody needs goes when its time has come."""
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
        site.look(day)
        limit = STAGE_AGE + GRACE
    orphans = {name for name, written in site.stages().items() if day - written > limit}
    assert not orphans, f"{day}: {orphans} were staged long ago and never became a release"
    current = site.releases.current()
    folder = site.releases.folder(current.release_id).removeprefix(f"{site.product}/")
    files = {f"{folder}/{file.path}" for one in current.tables.values() for file in one.files}
    assert files <= set(site.seen), f"{day}: files of the current release are gone"


def _ends_well(site: SimulatedInstallation, day: datetime, story: Story) -> None:
    """After the last run: one without a fault, and the release holds all the news there was."""
    assert _run(site, day)
    site.look(day)
    site.collect_garbage(day + timedelta(days=31))
    site.look(day)
    assert not site.stages(), "a stage that never became a release is left"
    releases, current = site.releases, site.releases.current()
    (file,) = current.tables["gene_descriptions"].files
    texts = site.store.get(f"{releases.folder(current.release_id)}/{file.path}")
    kept = set(pl.read_parquet(io.BytesIO(texts))["text_sha256"])
    assert kept == {text_sha256(text) for text in site.summaries.values()}
    again = [text for text, times in Counter(site.model.asked).items() for _ in range(times - 1)]
    interrupted = story.count["worker killed"] + story.count["store killed"]
    assert len(again) <= interrupted, f"texts were embedded twice, such as {again[:3]}"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    runs_, seed_ = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with tempfile.TemporaryDirectory() as folder_:
        found = simulate(
            runs_,
            seed_,
            Path(folder_),
            tell=lambda outcome: print(json.dumps(outcome), flush=True),  # noqa: T201
        )
    print(dict(found))  # noqa: T201
