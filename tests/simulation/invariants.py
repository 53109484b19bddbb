"""What must hold after every step, checked against a record that the library does not see.

The record (`Ledger`) is derived from what arrives at the bucket, not from what the library reports.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from simulation.bucket import Change, Stored
    from simulation.library import Content
    from simulation.process import Process
    from simulation.world import World

YOUNG = timedelta(days=30)
"""A release younger than this is not collected."""

RELEASES_KEPT = 3
"""Number of newest releases that are kept whatever their age: fewer than in the library."""

COLLECTOR_TIMEOUT = timedelta(hours=1)
"""A killed collector counts as running for a shorter time than this."""

NEVER = datetime.min.replace(tzinfo=UTC)
FEW_ROWS, FEWEST, MOST = 10, 0.8, 1.5
"""Changes that are held: at least so many rows, outside this range of the old number; or all."""

Sha256 = str


def sha256(stored: Stored) -> Sha256:
    """Hash of the content of an object."""
    return hashlib.sha256(stored.body).hexdigest()


@dataclass
class Run:
    """A run as the orchestrator knows it."""

    name: str
    content: Content
    state: Literal["at work", "done", "given up"] = "at work"
    generation: int | None = None


@dataclass
class Released:
    """A release that is or was current."""

    release_id: str
    data_version: str
    previous: str | None
    objects: dict[str, Sha256]
    since: datetime
    by: str
    rows: dict[str, dict[str, int]]


@dataclass
class Ledger:
    """Everything that was ever published, and by whom."""

    world: World
    violations: list[tuple[str, str]] = field(default_factory=list)
    runs: dict[str, Run] = field(default_factory=dict)
    history: dict[str, Released] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    dangling: set[str] = field(default_factory=set)
    collected: set[str] = field(default_factory=set)
    stages: dict[str, str | None] = field(default_factory=dict)
    pointer: dict[str, Any] | None = None
    replaced_by: dict[str | None, str] = field(default_factory=dict)
    followed_by: dict[str | None, str] = field(default_factory=dict)
    claims: int = 0
    latest: int = 0
    approvals: list[str] = field(default_factory=list)
    collector_seen: datetime = NEVER

    @property
    def pointer_key(self) -> str:
        """Key of the pointer."""
        return f"{self.world.product}/current.json"

    @property
    def claim_key(self) -> str:
        """Key of the claim."""
        return f"{self.world.product}/run.json"

    @property
    def collector_is_at_work(self) -> bool:
        """Whether a collector renewed its claim so recently that it may still be running."""
        return self.world.now - self.collector_seen < COLLECTOR_TIMEOUT

    def may_be_rewritten(self, key: str) -> bool:
        """Whether conditional writes may replace an object: garbage, a hold, a lost record."""
        return key.endswith(("/gc/marks.json", "/held.json")) or key in self.dangling

    def violate(self, invariant: str, description: str) -> None:
        """Record that an invariant is violated, which ends the simulation."""
        self.violations.append((invariant, description))
        self.world.log("VIOLATED", f"{invariant}: {description}")

    # --- what arrives at the bucket ---------------------------------------------------------

    def observe(self, sender: Process, changes: list[Change]) -> None:
        """Check every invariant that a change could violate."""
        for change in changes:
            if b'"garbage collection' in (change.after.body[:60] if change.after else b""):
                self.collector_seen = self.world.now
            if change.key == self.pointer_key:
                self._pointer_moved(sender, change)
            elif change.key == self.claim_key:
                self._claim_changed(change)
            elif change.after is None:
                self._deleted(sender, change.key)
            elif change.before is not None:
                is_other = change.before.body != change.after.body
                if is_other and not self.may_be_rewritten(change.key):
                    self.violate("nothing stored is rewritten", f"{sender.name}: {change.key}")
            elif (release_id := self._folder_of(change.key)) is not None:
                self._added(sender, release_id, change.key)
            elif "/approved/" in change.key:
                self.approvals.append(change.key)

    def _claim_changed(self, change: Change) -> None:
        """Number the runs in the order in which they claimed first."""
        run = self.runs.get(json.loads(change.after.body)["run_id"]) if change.after else None
        if run is not None and run.generation is None:
            self.claims += 1
            run.generation = self.claims

    def _folder_of(self, key: str) -> str | None:
        root = f"{self.world.product}/releases/"
        return key.removeprefix(root).split("/")[0] if key.startswith(root) else None

    def _added(self, sender: Process, release_id: str, key: str) -> None:
        self.stages.setdefault(release_id, sender.run)
        if release_id not in self.protected():
            return
        if key not in self.history[release_id].objects:
            self.violate("nothing is added to what was published", f"{sender.name}: {key}")

    def _pointer_moved(self, sender: Process, change: Change) -> None:
        if change.after is None:
            self.violate("the pointer stays", f"{sender.name} deleted it")
            return
        new, old = json.loads(change.after.body), self.pointer
        if old is not None and new["seq"] <= old["seq"]:
            self.violate("seq never falls", f"{sender.name}: {old['seq']} became {new['seq']}")
        for denied in old["denied"] if old else ():
            if denied["release_id"] not in {denial["release_id"] for denial in new["denied"]}:
                self.violate("what was denied stays known", f"{sender.name}: {denied}")
        self.pointer = new
        before = change.before.etag if change.before else None
        self.replaced_by[before], self.followed_by[before] = sender.name, change.after.etag
        is_other = old is None or old["release_id"] != new["release_id"]
        if new["release_id"] not in self.history:
            self._record_release(sender, new, old["release_id"] if old else None)
        for release_id in sorted({new["release_id"], *self.protected()} & self.history.keys()):
            self._check_objects(release_id, f"{sender.name} moved the pointer")
        if is_other:
            self.approvals = []  # they were given against the release that was current
            denied_now = {
                denial["data_version"] for denial in new["denied"] if denial["lifted_at"] is None
            }
            if new["data_version"] in denied_now:
                self.violate("denied content is not current", f"{sender.name}: {new['release_id']}")
            if old is not None:  # before the first release there is no pointer to fence with
                self._check_claim(sender, new)

    def _record_release(self, sender: Process, pointer: dict[str, Any], before: str | None) -> None:
        release_id = pointer["release_id"]
        stored = self.world.stored(pointer["manifest"])
        if stored is None or hashlib.sha256(stored.body).hexdigest() != pointer["manifest_sha256"]:
            self.violate(
                "no torn read", f"{sender.name}: the manifest of {release_id} is not right"
            )
            return
        manifest = json.loads(stored.body)
        folder = f"{self.world.product}/releases/{release_id}"
        objects = {pointer["manifest"]: pointer["manifest_sha256"]}
        objects |= {f"{folder}/audit/{path}": sha for path, sha in manifest["audit"].items()}
        rows: dict[str, dict[str, int]] = {}
        for name, table in manifest["tables"].items():
            for file in table["files"]:
                objects[f"{folder}/{file['path']}"] = file["sha256"]
                part = "/".join(file["partition"])
                rows.setdefault(name, {})[part] = file["rows"]
        self.history[release_id] = Released(
            release_id, pointer["data_version"], manifest["previous"], objects,
            self.world.now, sender.run or "", rows,
        )  # fmt: skip
        if before is not None and before in self.history:
            self._check_approval(sender, self.history[before].rows, rows, before)

    def _check_approval(
        self,
        sender: Process,
        before: dict[str, dict[str, int]],
        after: dict[str, dict[str, int]],
        against: str,
    ) -> None:
        """Check that tables which lost or gained too many rows were approved."""
        for table, parts in before.items():
            for part, rows in parts.items():
                now = after.get(table, {}).get(part, 0)
                is_large = not now or abs(now - rows) >= FEW_ROWS
                if not is_large or FEWEST * rows < now < MOST * rows:
                    continue
                if not any(against in key and f"/{table}" in key for key in self.approvals):
                    self.violate(
                        "what is held is not published unapproved",
                        f"{sender.name}: {table} {part}: {rows} rows became {now}",
                    )

    def _check_claim(self, sender: Process, pointer: dict[str, Any]) -> None:
        """Check that the run which moves the pointer to a new release claimed last."""
        if sender.run is None or pointer.get("rolled_back_from"):
            return
        run = self.runs[sender.run]
        if run.generation is None or run.generation < self.latest:
            self.violate(
                "a run that was given up does not publish",
                f"{sender.name} of {run.name} (claim {run.generation} of {self.latest}) made "
                f"{pointer['release_id']} current",
            )

    def _deleted(self, sender: Process, key: str) -> None:
        release_id = self._folder_of(key)
        if release_id is None:
            if key.endswith(".parquet"):
                self._note_dangling(key)
            return
        if release_id in self.protected() and key in self.history[release_id].objects:
            self.violate("nothing referenced is missing", f"{sender.name} deleted {key}")
        if release_id in self.history and release_id not in self.protected():
            self.collected.add(release_id)
        owner = self.runs.get(self.stages.get(release_id) or "")
        if release_id not in self.history and owner is not None and owner.state == "at work":
            self.violate("a stage of a run at work stays", f"{sender.name} deleted {key}")

    def _note_dangling(self, part: str) -> None:
        """Note that records of a deleted part may be replaced when the part is built again."""
        root = f"{self.world.product}/lake/records/"
        for key, stored in self.world.bucket.objects.items():
            if key.startswith(root) and part.encode() in stored.body:
                self.dangling.add(key)
                self.world.counters["record left without its part"] += 1

    def _check_objects(self, release_id: str, when: str) -> None:
        if release_id in self.lost:
            return
        for key, sealed in self.history[release_id].objects.items():
            stored = self.world.stored(key)
            if stored is None or sha256(stored) != sealed:
                self.violate("nothing referenced is missing", f"{key} ({when})")
                return

    def lost_a_race(self, process: Process) -> bool:
        """Whether another process replaced the pointer that a process wanted to replace.

        Or the pointer that the process wrote: if its response is lost, the process finds the
        other's pointer and cannot know that its own was there in between.
        """
        own = self.followed_by.get(process.pointer_expected)
        return any(
            self.replaced_by.get(etag, process.name) != process.name
            for etag in (process.pointer_expected, *([own] if own else []))
        )

    # --- what processes report ----------------------------------------------------------------

    def claimed(self, run: Run) -> None:
        """Record a confirmed claim of a run: no run with an earlier claim may publish now."""
        self.latest = max(self.latest, run.generation or 0)

    def protected(self) -> set[str]:
        """Releases that may not be deleted now; no more than the library promises to keep."""
        if self.pointer is None:
            return set()
        current = self.pointer["release_id"]
        kept = {current, self.pointer["previous"]}
        if current in self.history:
            kept.add(self.history[current].previous)
        existing = [
            release_id for release_id in sorted(self.history)
            if self.world.stored(f"{self.world.product}/releases/{release_id}/manifest.json")
        ]  # fmt: skip
        kept |= set(existing[-RELEASES_KEPT:])
        kept |= {
            release_id
            for release_id, known in self.history.items()
            if self.world.now - known.since < YOUNG
        }
        return (
            {release_id for release_id in kept if release_id in self.history}
            - self.lost
            - self.collected
        )
