"""The claim: one run publishes, and a run that was given up cannot, whenever it wakes up."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from declared_rows import candidate, declared_rows, passing, store_table

from genept.store.claim import Claim, LostClaimError, RunState
from genept.store.errors import ConflictError
from genept.store.lake import Lake
from genept.store.release import Candidate, Releases
from genept.store.s3 import ObjectStore
from genept.tables import TABLES


@pytest.fixture(scope="module")
def lake(object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    product = f"tests/claim-{secrets.token_hex(4)}"
    return Lake(object_store, product, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def offers(lake: Lake) -> list[Candidate]:
    """Three candidates of different content."""
    first = candidate(lake)
    tables = [
        {
            **first.tables,
            "genes": store_table(lake, "genes", declared_rows(TABLES["genes"], first=n)),
        }
        for n in (1, 2)
    ]
    return [first, *(replace(first, tables=one, evidence=passing(one)) for one in tables)]


@pytest.fixture
def releases(lake: Lake, store_prefix: str) -> Releases:
    return Releases(lake, store_prefix)


def always(state: RunState) -> Callable[[str], RunState]:
    return lambda _: state


def publish(releases: Releases, offered: Candidate, claim: Claim, run: str) -> None:
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
    releases: Releases, offers: list[Candidate]
) -> None:
    zombie, heir = Claim(releases), Claim(releases)
    zombie.take("zombie", always("done"))
    heir.take("heir", always("given up"))
    publish(releases, offers[0], heir, "heir")
    with pytest.raises(LostClaimError, match="run zombie was given up, and run heir"):
        publish(releases, offers[1], zombie, "zombie")
    assert releases.current().data_version == offers[0].data_version


def test_a_zombie_that_was_about_to_swap_is_refused_by_the_store(
    releases: Releases, offers: list[Candidate]
) -> None:
    """It asked about its claim, and was suspended before the one request that counts."""
    zombie, heir = Claim(releases), Claim(releases)
    zombie.take("zombie", always("done"))
    publish(releases, offers[0], zombie, "zombie")
    asked = 0

    def taken_over_after_the_last_question() -> None:
        nonlocal asked
        zombie.confirm("zombie")
        asked += 1
        if asked == 2:
            heir.take("heir", always("given up"))

    with pytest.raises(ConflictError, match="another run published while"):
        releases.publish(offers[1], confirm=taken_over_after_the_last_question)
    assert releases.current().data_version == offers[0].data_version
    publish(releases, offers[2], heir, "heir")
    assert releases.current().data_version == offers[2].data_version


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
