"""The claim: one run publishes, and a run that was given up cannot, whenever it wakes up."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from declared_rows import candidate, declared_rows, passing, store_table

from genept.common.errors import ConflictError, StoreError
from genept.release import fencing as claim_module
from genept.release.fencing import Claim, LostClaimError, RunState, collector_name
from genept.release.publish import ReleaseCandidate, Releases
from genept.schema.tables import TABLES
from genept.storage.lake import Lake


@pytest.fixture(scope="module")
def lake(planted_lake: Lake) -> Lake:
    return planted_lake


@pytest.fixture(scope="module")
def offers(lake: Lake) -> list[ReleaseCandidate]:
    """Three candidates of different content."""
    first = candidate(lake)
    tables = [
        {
            **first.tables,
            "genes": store_table(lake, "genes", declared_rows(TABLES["genes"], first=n)),
        }
        for n in (1, 2)
    ]
    return [
        first,
        *(replace(first, tables=changed, evidence=passing(changed)) for changed in tables),
    ]


@pytest.fixture
def releases(lake: Lake, store_prefix: str) -> Releases:
    return Releases(lake, store_prefix)


def always(state: RunState) -> Callable[[str], RunState]:
    return lambda _: state


def publish(releases: Releases, offered: ReleaseCandidate, claim: Claim, run: str) -> None:
    releases.publish(offered, confirm=lambda: claim.confirm(run))


def test_from_a_run_that_is_at_work_nothing_is_taken(releases: Releases) -> None:
    Claim(releases).take("first", always("done"))
    with pytest.raises(LostClaimError, match="run first is at work since 20"):
        Claim(releases).take("second", always("at work"))
    Claim(releases).confirm("first")


def test_a_run_claims_once_and_writes_nothing_again(releases: Releases) -> None:
    claim = Claim(releases)
    claim.take("first", always("done"))
    before = releases.store.get_with_etag(claim.key)
    claim.take("first", always("at work"))
    Claim(releases).take("first", always("at work"))
    assert releases.store.get_with_etag(claim.key) == before


def test_a_zombie_that_had_not_begun_to_publish_is_refused(
    releases: Releases, offers: list[ReleaseCandidate]
) -> None:
    zombie, heir = Claim(releases), Claim(releases)
    zombie.take("zombie", always("done"))
    heir.take("heir", always("given up"))
    publish(releases, offers[0], heir, "heir")
    with pytest.raises(LostClaimError, match="run zombie was given up, and run heir"):
        publish(releases, offers[1], zombie, "zombie")
    assert releases.current().data_version == offers[0].data_version


def test_a_zombie_that_was_about_to_swap_is_refused_by_the_store(
    releases: Releases, offers: list[ReleaseCandidate]
) -> None:
    """It asked about its claim, and was suspended before the one request that counts."""
    zombie, heir = Claim(releases), Claim(releases)
    zombie.take("zombie", always("done"))
    publish(releases, offers[0], zombie, "zombie")
    confirmed = 0

    def taken_over_after_the_last_question() -> None:
        nonlocal confirmed
        zombie.confirm("zombie")
        confirmed += 1
        if confirmed == 2:
            heir.take("heir", always("given up"))

    with pytest.raises(ConflictError, match="another run published while"):
        releases.publish(offers[1], confirm=taken_over_after_the_last_question)
    assert releases.current().data_version == offers[0].data_version
    publish(releases, offers[2], heir, "heir")
    assert releases.current().data_version == offers[2].data_version


def test_a_run_that_was_given_up_never_claims_again(
    releases: Releases, offers: list[ReleaseCandidate]
) -> None:
    """A fresh process of it comes back when its heir is done: nothing is left to take."""
    for heir_is in ("done", "given up"):
        zombie, heir = f"zombie, heir {heir_is}", f"heir {heir_is}"
        Claim(releases).take(zombie, always("done"))
        holding = Claim(releases)
        holding.take(heir, always("given up"))
        publish(releases, offers[heir_is == "done"], holding, heir)
        published = releases.pointer()
        for _ in range(2):
            with pytest.raises(LostClaimError, match=f"{zombie} was given up, and run {heir}"):
                Claim(releases).take(zombie, always(heir_is))  # type: ignore[arg-type]
        assert releases.pointer() == published
        Claim(releases).take(f"next after {heir}", always(heir_is))  # type: ignore[arg-type]
        with pytest.raises(LostClaimError, match="zombie"):
            Claim(releases).take(zombie, always("done"))


def test_a_run_that_ended_well_is_not_given_the_claim_back_either(releases: Releases) -> None:
    Claim(releases).take("first", always("done"))
    Claim(releases).take("second", always("done"))
    with pytest.raises(LostClaimError, match="first was given up, and run second"):
        Claim(releases).take("first", always("done"))


class Interrupted(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("step", ["before the fence", "after the fence"])
def test_who_takes_over_and_dies_leaves_the_fence_to_its_next_process(
    releases: Releases, offers: list[ReleaseCandidate], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Otherwise the zombie, about to swap, could publish after it was given up."""
    zombie = Claim(releases)
    zombie.take("zombie", always("done"))
    publish(releases, offers[0], zombie, "zombie")
    confirmed = 0

    def taken_over_by_a_run_that_dies() -> None:
        nonlocal confirmed
        zombie.confirm("zombie")
        confirmed += 1
        if confirmed < 2:
            return
        fence = Claim.fence

        def die(self: Claim) -> None:
            if step == "after the fence":
                fence(self)
            raise Interrupted

        monkeypatch.setattr(Claim, "fence", die)
        with pytest.raises(Interrupted):
            Claim(releases).take("heir", always("given up"))
        monkeypatch.setattr(Claim, "fence", fence)
        Claim(releases).take("heir", always("at work"))

    with pytest.raises(ConflictError, match="another run published while"):
        releases.publish(offers[1], confirm=taken_over_by_a_run_that_dies)
    assert releases.current().data_version == offers[0].data_version
    fenced = releases.pointer()
    Claim(releases).take("heir", always("at work"))
    assert releases.pointer() == fenced, "it is fenced once"


def test_a_claim_of_an_older_or_a_later_version_is_understood_and_kept(releases: Releases) -> None:
    claim = Claim(releases)
    document = {"run_id": "first", "claimed_at": "2026-01-01", "nonce": "0", "later": {"a": 1}}
    releases.store.put_if_match(claim.key, json.dumps(document).encode(), None)
    claim.take("second", always("done"))
    stored = json.loads(releases.store.get(claim.key))
    assert (stored["run_id"], stored["lost_by"], stored["later"]) == ("second", ["first"], {"a": 1})
    _, etag = releases.store.get_with_etag(claim.key)
    releases.store.put_if_match(claim.key, b"{", etag)
    with pytest.raises(StoreError, match="run.json is damaged .*delete the object when no run"):
        claim.confirm("second")


# --- collectors of garbage -----------------------------------------------------------------


def test_a_collector_and_a_run_keep_each_other_out(
    releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, collector = Claim(releases), collector_name()
    claim.take("run-1", always("done"))
    with pytest.raises(LostClaimError, match="run run-1 is at work since 20"):
        claim.collect(collector, always("at work"))
    claim.collect(collector, always("done"))
    claim.collect(collector, always("done"))
    since = json.loads(releases.store.get(claim.key))["run_id"]
    for other in ("run-2", "run-1"):
        with pytest.raises(LostClaimError, match="garbage collection|was given up"):
            Claim(releases).take(other, always("given up"))
    with pytest.raises(LostClaimError, match=f"{collector} is at work since 20.*in some minutes"):
        claim.collect(collector_name(), always("given up"))
    assert json.loads(releases.store.get(claim.key))["run_id"] == since == collector
    claim.end_collection(collector)
    Claim(releases).take("run-2", always("at work"))
    with pytest.raises(LostClaimError, match=f"{collector} was given up, and run run-2"):
        claim.collect(collector, always("done"))
    claim.end_collection(collector)
    Claim(releases).confirm("run-2")


def test_a_collector_that_was_killed_does_not_block_for_long(
    releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = collector_name()
    monkeypatch.setattr(claim_module, "COLLECTION_TIME", timedelta(seconds=-1))
    Claim(releases).collect(killed, always("done"))
    Claim(releases).take("run", always("at work"))
    with pytest.raises(LostClaimError, match=f"{killed} was given up"):
        Claim(releases).confirm(killed)


def test_of_many_that_claim_at_once_one_holds_it(releases: Releases, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    names = [f"run-{number}" for number in range(8)]

    def claims(name: str) -> bool:
        try:
            Claim(releases).take(name, always("at work"))
        except LostClaimError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = [name for name, held in zip(names, pool.map(claims, names), strict=True) if held]
    assert len(won) == 1
    Claim(releases).confirm(won[0])
