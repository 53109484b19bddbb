"""Nights one after the other, with faults thrown in, and what must hold after every one of them.

A killed worker stops in the middle of whatever it did and records nothing any more; a killed
store is killed; a step fails; a publisher's file comes damaged. As a program it simulates as
many nights as it is told: `python tests/orchestration/simulated_nights.py 200`.
"""

from __future__ import annotations

import io
import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
sys.path[:0] = [str(PROJECT), str(PROJECT / "tests"), str(Path(__file__).parent)]

import dagster as dg  # noqa: E402
import polars as pl  # noqa: E402
import psutil  # noqa: E402
from nights import GENES, NightPlatform, Nights  # noqa: E402

from genept.store.embedded import REGION, EmbeddedStore  # noqa: E402
from genept.store.errors import StoreError  # noqa: E402
from genept.store.garbage import collect, find_garbage  # noqa: E402
from genept.store.lake import Lake  # noqa: E402
from genept.store.s3 import ObjectStore  # noqa: E402
from genept.text.cache import text_sha256  # noqa: E402
from orchestration.instance import LAUNCHED_BY, close_killed_runs  # noqa: E402

FAULTS = ("worker killed", "step failed", "store killed", "damaged file")
NEWS, FAULT = 0.15, 0.4
"""Share of nights with news, and of these with a fault."""

FIRST = date(2026, 1, 2)
POOLS = {"pools": {"granularity": "op", "default_limit": 1}}
"""As `infra/dagster.yaml` has them."""


class Killed(BaseException):
    """The process is no more: nobody catches it, and nothing is recorded after it."""


class FragileLake(Lake):
    """A lake during whose n-th piece of work something happens."""

    happens: Callable[[], None] | None = None
    left = 0

    def build(self, *arguments: Any, **options: Any) -> Any:
        FragileLake.left -= 1
        if FragileLake.happens is not None and FragileLake.left == 0:
            FragileLake.happens()
        return super().build(*arguments, **options)


class SimulatedNights(Nights):
    """Nights over a store of their own, which may be killed and comes back."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance) -> None:
        self.embedded = EmbeddedStore(folder / "store")
        self.embedded.start()
        super().__init__(folder, self.connected(), instance)

    def connected(self) -> ObjectStore:
        """The bucket, as a new process finds it."""
        endpoint = self.embedded.ensure()
        return ObjectStore(
            endpoint.url, endpoint.access_key, endpoint.secret_key, REGION, self.embedded.bucket
        )

    def open(self) -> NightPlatform:
        platform = super().open()
        lake = platform.lake
        platform.lake = FragileLake(lake.store, self.product, lake.cache)
        return platform

    def kill_store(self) -> None:
        """Kill the server; whoever needs it now fails."""
        for process in psutil.process_iter(["cmdline"]):
            if any(str(self.embedded.folder) in one for one in process.info["cmdline"] or ()):
                process.kill()
                process.wait(10)

    def revive_store(self) -> None:
        """Start the server again, where it was killed."""
        self.store.client.close()
        self.store = self.connected()


def simulate(n: int, seed: int, folder: Path, *, tell: Callable[[str], None]) -> Counter[str]:
    """`n` nights; raises as soon as one of them leaves what must not be left.

    Returns
    -------
    Counter
        How often each fault was thrown in, and how often each kind of night there was.
    """
    chance = random.Random(seed)  # noqa: S311 - faults, not secrets
    count: Counter[str] = Counter()
    with dg.instance_for_test(overrides={"concurrency": POOLS}, temp_dir=str(folder)) as instance:
        nights = SimulatedNights(folder / "installation", instance)
        try:
            assert nights.release().success
            for number in range(n):
                day = (FIRST + timedelta(days=number)).isoformat()
                began = time.monotonic()
                said = _one(nights, day, chance, pending=count)
                tell(f"{day} {said} {time.monotonic() - began:.1f} s")
            _ends_well(nights, n, count)
        finally:
            nights.embedded.stop()
    return count


def _one(nights: SimulatedNights, day: str, chance: random.Random, pending: Counter[str]) -> str:
    """One night, and what must hold after it."""
    before, current = nights.objects(), nights.open().releases.current()
    is_new = chance.random() < NEWS
    fault = chance.choice(FAULTS) if is_new and chance.random() < FAULT else None
    if is_new:
        nights.tell(**{chance.choice(GENES): f"Seen anew on {day}: thing {chance.random()}."})
    owed = is_new or pending["owed"] > 0
    if fault == "damaged file":
        whole = nights.file.read_bytes()
        nights.file.write_bytes(whole[: len(whole) // 2])
    with _happening(nights, fault, chance):
        succeeded = _run(nights, day)
    if fault == "damaged file":
        nights.tell()
    if fault == "store killed":
        nights.revive_store()
    close_killed_runs(nights.instance)
    releases = nights.open().releases
    after = releases.current()  # verified against the pointer
    published = after.release_id != current.release_id
    pending[fault or "no fault"] += 1
    if not owed and succeeded:
        assert nights.objects() == before, f"{day}: a night without news wrote"
        pending["no news"] += 1
        return "no news"
    if succeeded and fault is None:
        assert published or not is_new, f"{day}: news, and no release"
        pending["owed"] = 0
        _grew_by_what_changed(before, set(nights.objects()), day)
    elif not succeeded:
        assert fault is not None, f"{day}: failed without a fault"
        pending["owed"] += 1
    else:
        pending["owed"] = 0
    said = "published" if published else "refused" if not succeeded else "built, nothing new"
    pending[said] += 1
    assert not _slots(nights.instance), f"{day}: a slot of a pool is lost"
    return f"{said} ({fault or 'no fault'})"


def _run(nights: SimulatedNights, day: str) -> bool:
    try:
        return nights.night(day, tags=LAUNCHED_BY).success
    except Killed:
        return False


@contextmanager
def _happening(nights: SimulatedNights, fault: str | None, chance: random.Random) -> Iterator[None]:
    """Let the fault happen in the middle of the night's work."""
    storage = nights.instance.event_log_storage
    store_event = storage.store_event

    def dead(*_: object) -> None:
        raise Killed

    def kill() -> None:
        vars(storage)["store_event"] = dead
        raise Killed

    def fail() -> None:
        raise StoreError("a step was made to fail")

    happens = {"worker killed": kill, "step failed": fail, "store killed": nights.kill_store}
    FragileLake.happens, FragileLake.left = happens.get(fault or ""), chance.randint(1, 25)
    try:
        yield
    finally:
        FragileLake.happens = None
        vars(storage)["store_event"] = store_event


def _grew_by_what_changed(before: dict[str, str], after: set[str], day: str) -> None:
    """Parts are only new in tables that a gene's summary decides."""
    parts = {key for key in after - set(before) if key.startswith("lake/") and "parquet" in key}
    tables = {key.split("/")[1] for key in parts}
    touched = {"gene_descriptions", "gene_embeddings", "sample_embeddings", "run_metrics"}
    assert tables <= touched, f"{day}: {tables - touched} grew too"


def _slots(instance: dg.DagsterInstance) -> list[str]:
    storage = instance.event_log_storage
    return [
        pool
        for pool in storage.get_concurrency_keys()
        if storage.get_concurrency_info(pool).claimed_slots
    ]


def _ends_well(nights: SimulatedNights, n: int, count: Counter[str]) -> None:
    """After the last night: one that is clean, and then nothing is left over."""
    assert _run(nights, (FIRST + timedelta(days=n)).isoformat())
    running = nights.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    assert not running, "a run is stuck"
    releases = nights.open().releases
    later = datetime.now(UTC) + timedelta(days=n + 31)
    collect(releases, find_garbage(releases, now=later))
    left = {key.split("/")[1] for key in nights.objects() if key.startswith("releases/")}
    assert left <= set(releases.ids()), "a stage that never became a release is left"
    lake = nights.open().lake
    current = releases.current().tables["gene_descriptions"].files[0]
    texts = lake.store.get(f"{releases.folder(releases.current_id() or '')}/{current.path}")
    told = {text_sha256(text) for text in nights.summaries.values()}
    kept = _hashes(texts)
    assert kept == told, "the last release does not hold the last news"
    asked = Counter(nights.model.asked)
    again = sum(times - 1 for times in asked.values())
    assert again <= count["worker killed"] + count["store killed"], "texts were embedded twice"


def _hashes(parquet: bytes) -> set[str]:
    return set(pl.read_parquet(io.BytesIO(parquet))["text_sha256"])


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    nights_, seed_ = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with tempfile.TemporaryDirectory() as folder_:
        found = simulate(nights_, seed_, Path(folder_), tell=lambda line: print(line, flush=True))  # noqa: T201
    print(dict(found))  # noqa: T201
