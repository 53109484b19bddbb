"""An approval is somebody's word, recorded, and good for one release."""

from __future__ import annotations

import pytest
from declared_rows import candidate, declared_rows, store_table

from genept.store.approvals import approval_page, approvals, approve
from genept.store.drift import refuse_drift
from genept.store.errors import StoreError
from genept.store.lake import Lake
from genept.store.release import Releases
from genept.store.rollback import roll_back
from genept.store.staging import ReleaseRefusedError
from genept.tables import TABLES


@pytest.fixture
def releases(lake: Lake, store_prefix: str) -> Releases:
    return Releases(lake, store_prefix)


def genes(lake: Lake, n: int):
    return store_table(lake, "genes", declared_rows(TABLES["genes"], n))


def publish(releases: Releases, offered) -> None:
    given = approvals(releases)
    approved = {one.table for one in given}
    refuse_drift(releases, offered.tables, limits={}, left_out=(), approved=approved)
    releases.publish(offered)


def test_it_is_recorded_and_used_up_by_the_release_made_under_it(
    lake: Lake, releases: Releases
) -> None:
    many, few, fewer = (candidate(lake, genes=genes(lake, n)) for n in (9, 3, 1))
    with pytest.raises(StoreError, match="nothing has been released yet"):
        approve(releases, ["genes"], by="me", reason="why")
    publish(releases, many)
    with pytest.raises(ReleaseRefusedError, match="genept release approve genes"):
        publish(releases, few)

    (given,) = approve(releases, ["genes"], by=" ada ", reason="HGNC withdrew them")
    assert (given.table, given.by, given.seq) == ("genes", "ada", 1)
    assert approvals(releases) == [given]
    page = approval_page([given])["approvals.md"].decode()
    assert f"**genes** may differ from {given.against}: HGNC withdrew them (ada, " in page
    publish(releases, few)

    assert approvals(releases) == []
    assert approval_page([]) == {}
    with pytest.raises(ReleaseRefusedError):
        publish(releases, fewer)


def test_going_back_does_not_bring_an_approval_back(lake: Lake, releases: Releases) -> None:
    many, few, fewer = (candidate(lake, genes=genes(lake, n)) for n in (9, 3, 1))
    publish(releases, many)
    approve(releases, ["genes"], by="ada", reason="meant")
    publish(releases, few)
    roll_back(releases, reason="not meant after all")
    with pytest.raises(ReleaseRefusedError, match="9 rows became 1"):
        publish(releases, fewer)


@pytest.mark.parametrize(
    ("tables", "by", "reason", "said"),
    [
        (["gene"], "ada", "why", r"there are no tables \['gene'\]"),
        (["genes"], "ada", " ", "says who gives it and why"),
        (["genes"], "", "why", "says who gives it and why"),
        (["observations", "genes"], "bob", "why", "genes was approved already .* by ada: meant"),
    ],
)
def test_what_is_no_approval_is_refused(
    lake: Lake, releases: Releases, tables: list[str], by: str, reason: str, said: str
) -> None:
    releases.publish(candidate(lake))
    known = approve(releases, ["genes"], by="ada", reason="meant")
    with pytest.raises(StoreError, match=said):
        approve(releases, tables, by=by, reason=reason)
    assert approvals(releases) == known
