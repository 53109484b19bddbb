"""Held, approved, published: what is recorded of it, how long it holds, and who gets in between."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache

import pytest
from declared_rows import candidate, declared_rows, store_table, with_tables

from genept.common.errors import ConflictError, StoreError
from genept.release.approval_records import (
    Approval,
    Hold,
    approval_page,
    approvals,
    approve,
    current_hold,
)
from genept.release.candidate_review import HeldError, Reviewed, review
from genept.release.fencing import Claim, RunState
from genept.release.manifest import ReleasedSource
from genept.release.publish import Published, ReleaseCandidate, Releases
from genept.release.rollback import allow, roll_back
from genept.schema.tables import TABLES
from genept.storage.lake import Lake


@pytest.fixture(scope="module")
def built(planted_lake: Lake) -> Lake:
    """One lake for all tests: what they publish from it lies under a product of each one's own."""
    return planted_lake


@pytest.fixture
def releases(built: Lake, store_prefix: str) -> Releases:
    return Releases(built, store_prefix)


@pytest.fixture(scope="module")
def of(built: Lake) -> Callable[..., ReleaseCandidate]:
    """A candidate with so many genes, and names of genes; all else is the same."""
    others = candidate(built)

    @cache
    def made(genes: int, names: int = 50) -> ReleaseCandidate:
        tables = {"genes": genes, "gene_names": names}
        return with_tables(
            others,
            **{
                name: store_table(built, name, declared_rows(TABLES[name], n))
                for name, n in tables.items()
            },
        )

    return made


def publish(releases: Releases, offered: ReleaseCandidate, **options: object) -> Published:
    """What a run does at its end: compare with the current release, then publish."""
    reviewed = review(releases, offered.tables, **options)
    return releases.publish(offered, confirm=lambda: reviewed.confirm(releases))


def hold_of(releases: Releases, offered: ReleaseCandidate, **options: object) -> HeldError:
    before = releases.pointer()
    with pytest.raises(HeldError) as held:
        publish(releases, offered, **options)
    assert releases.pointer() == before
    return held.value


def test_held_approved_published_and_the_next_change_is_held_again(releases, of) -> None:
    with pytest.raises(StoreError, match="nothing has been released yet"):
        approve(releases, by="me", reason="why")
    first = publish(releases, of(100)).manifest
    held = hold_of(releases, of(30), run="run-1")
    assert str(held).splitlines() == [
        f"held for approval, against release {first.release_id}:",
        "  - genes: 100 rows became 30 (−70%)",
        "Nothing was published, and what is built is kept.",
        "If this is meant, approve it and run again: genept release approve --reason …",
    ]
    assert current_hold(releases) == held.hold
    assert (held.hold.run, held.hold.against) == ("run-1", first.release_id)

    (given,) = approve(releases, by=" ada ", reason="HGNC withdrew them")
    assert (given.table, given.by, given.changes) == ("genes", "ada", held.hold.changes)
    assert approvals(releases) == [given]
    assert publish(releases, of(30)).is_new
    assert approvals(releases) == []
    assert current_hold(releases) is None
    hold_of(releases, of(5))


def test_a_run_that_failed_a_claim_that_changed_hands_and_a_restart_use_nothing_up(
    releases: Releases, of: Callable[..., ReleaseCandidate], built: Lake, store_prefix: str
) -> None:
    state: dict[str, RunState] = {"first": "given up", "held": "given up", "killed": "given up"}
    Claim(releases).take("first", state.__getitem__)
    publish(releases, of(100))
    Claim(releases).take("held", state.__getitem__)
    hold_of(releases, of(30))
    approve(releases, by="ada", reason="meant")
    before = releases.pointer()
    for run in ("killed", "last"):
        restarted = Releases(built, store_prefix)
        Claim(restarted).take(run, state.__getitem__)
    after = releases.pointer()
    assert before is not None
    assert after is not None
    assert after.seq > before.seq, "each claim on a run that was given up raises it"
    assert publish(Releases(built, store_prefix), of(30)).is_new


def test_going_back_brings_no_approval_back_and_lifting_a_denial_takes_none(releases, of) -> None:
    publish(releases, of(100))
    hold_of(releases, of(30))
    approve(releases, by="ada", reason="meant")
    second = publish(releases, of(30)).manifest
    roll_back(releases, reason="not meant after all")
    assert approvals(releases) == []
    assert current_hold(releases) is None
    hold_of(releases, of(31))
    given = approve(releases, by="ada", reason="meant for once")
    allow(releases, second.release_id)
    assert approvals(releases) == given
    publish(releases, of(31))
    roll_back(releases, reason="once more")
    assert approvals(releases) == []


def test_an_approval_covers_what_was_seen_and_no_more(releases, of) -> None:
    publish(releases, of(131))
    hold_of(releases, of(197))
    approve(releases, by="ada", reason="131 became 197")
    for covered in (197, 150, 290):
        assert review(releases, of(covered).tables).against == releases.pointer()
    for later in (300, 20):
        held = hold_of(releases, of(later))
        assert [change.after for change in held.waiting] == [later]
    approve(releases, by="ada", reason="20 is right, as well")
    assert publish(releases, of(20)).is_new


def test_another_table_is_held_on_its_own(releases, of) -> None:
    publish(releases, of(100, names=100))
    held = hold_of(releases, of(30, names=20))
    assert held.hold.tables == ["genes", "gene_names"]
    approve(releases, ["genes"], by="ada", reason="meant")
    held = hold_of(releases, of(30, names=20))
    assert [change.table for change in held.waiting] == ["gene_names"]
    assert "genes:" not in str(held)
    (given,) = approve(releases, by="bob", reason="meant, too")
    assert given.table == "gene_names"
    page = approval_page(review(releases, of(30, names=20).tables).approved)["approvals.md"]
    assert "**genes** may differ from" in page.decode()
    assert "    - gene_names: 100 rows became 20 (−80%)" in page.decode()


def test_what_is_not_held_any_more_is_not_approved(releases, of) -> None:
    publish(releases, of(100))
    with pytest.raises(StoreError, match="nothing is held against"):
        approve(releases, by="ada", reason="ahead of time")
    seen = hold_of(releases, of(30)).hold
    publish(releases, of(100))  # the same content again: no release, and nothing is held
    with pytest.raises(StoreError, match="nothing is held against"):
        approve(releases, by="ada", reason="too late", seen=seen)
    hold_of(releases, of(20))
    with pytest.raises(StoreError, match="held for something else meanwhile"):
        approve(releases, by="ada", reason="of another run", seen=seen)
    publish(releases, of(90))
    with pytest.raises(StoreError, match="is not the current release any more"):
        approve(releases, by="ada", reason="of another release", seen=seen)
    assert approvals(releases) == []


def test_what_is_no_approval_is_refused(releases, of) -> None:
    publish(releases, of(100, names=100))
    hold_of(releases, of(30, names=20))
    known = approve(releases, ["genes"], by="ada", reason="meant")
    for tables, by, reason, refusal in (
        (["gene"], "ada", "why", "nothing is held of gene; of genes, gene_names is"),
        (["gene_axis"], "ada", "why", "nothing is held of gene_axis; of genes, gene_names is"),
        ([], "ada", " ", "says who gives it and why"),
        ([], "", "why", "says who gives it and why"),
        (["genes"], "bob", "why", "genes was approved already .* by ada: meant; run again"),
    ):
        with pytest.raises(StoreError, match=refusal):
            approve(releases, tables, by=by, reason=reason)
    assert approvals(releases) == known


class Interrupted(Releases):
    """Releases of which somebody does something at the n-th look at the pointer."""

    looks = 0

    def __init__(self, of: Releases, at: int, meanwhile: Callable[[], object]) -> None:
        super().__init__(of.lake, of.product)
        self.at, self.meanwhile = at, meanwhile

    def pointer(self):
        self.looks += 1
        if self.looks == self.at:
            self.meanwhile()
        return super().pointer()


def test_two_who_approve_at_once(releases, of) -> None:
    publish(releases, of(100))
    hold_of(releases, of(30))
    slow = Interrupted(releases, 2, lambda: approve(releases, by="ada", reason="first"))
    # Her approval is written after his look at the hold and before he reads what is approved.
    with pytest.raises(StoreError, match="approved already .* by ada: first"):
        approve(slow, by="bob", reason="second")
    assert [approval.by for approval in approvals(releases)] == ["ada"]


def test_two_who_write_the_same_approval(releases, of, monkeypatch) -> None:
    publish(releases, of(100))
    hold_of(releases, of(30))
    approve(releases, by="ada", reason="first")
    monkeypatch.setattr("genept.release.approval_records.approvals", lambda _: [])
    with pytest.raises(StoreError, match="somebody else approved genes at the same time"):
        approve(releases, by="bob", reason="second")


def test_a_release_that_becomes_current_while_somebody_approves(releases, of) -> None:
    publish(releases, of(100))
    hold_of(releases, of(30))
    slow = Interrupted(releases, 3, lambda: publish(releases, of(95)))
    with pytest.raises(StoreError, match=r"became current meanwhile, so the approval .* not used"):
        approve(slow, by="bob", reason="late")
    hold_of(releases, of(30))


def test_a_release_that_becomes_current_after_the_comparison_is_not_overtaken(releases, of) -> None:
    publish(releases, of(100))
    offered = of(85)
    reviewed = review(releases, offered.tables)
    publish(releases, of(130))
    with pytest.raises(ConflictError, match="became current after this one was compared"):
        releases.publish(offered, confirm=lambda: reviewed.confirm(releases))
    hold_of(releases, offered)
    none = Reviewed(None)
    with pytest.raises(ConflictError):
        none.confirm(releases)


def test_a_setting_lets_pass_for_one_run_and_is_recorded(releases, of) -> None:
    publish(releases, of(100))
    with pytest.raises(StoreError, match="GENEPT_APPROVE names gene, and there are no such"):
        review(releases, of(30).tables, trusted=["gene"])
    hold_of(releases, of(30), trusted=["gene_names"])
    reviewed = review(releases, of(30).tables, trusted=["genes"], run="run-2")
    page = approval_page(reviewed.approved)["approvals.md"].decode()
    assert "GENEPT_APPROVE of run run-2 (settings, " in page
    assert "    - genes: 100 rows became 30 (−70%)" in page
    assert approvals(releases) == []
    hold_of(releases, of(30))


def test_what_settings_limited_in_another_way_is_not_compared(releases, of) -> None:
    publish(releases, of(100))
    assert review(releases, of(1).tables, limits={"max_genes": 5}).approved == ()
    hold_of(releases, of(1), limits={})


def test_a_hold_says_what_else_changed_and_what_was_to_go(
    built: Lake, releases: Releases, of: Callable[..., ReleaseCandidate]
) -> None:
    source = ReleasedSource(
        title="t", version="1", released="2026", sha256="0", licence="CC0",
        redistributable=True, citation="c",
    )  # fmt: skip
    rows = [
        store_table(built, name, declared_rows(TABLES[name], 20))
        for name in ("observations", "gene_axis", "gene_mapping", "expression", "quarantine")
    ]
    offered = with_tables(of(50), **{table.table: table for table in rows})
    releases.publish(offered)
    empty = {table.table: built.assemble(table.table, []) for table in rows}
    held = hold_of(
        releases, with_tables(offered, **empty),
        built={"collection": ["prostate"]}, sources={"gencode": source}, platform_version="2",
    )  # fmt: skip
    assert (
        "  - collection collection_id-0000: all 80 rows of gene_mapping, gene_axis, observations "
        "and 1 more tables are gone (it is not built any more: it was removed, or settings leave "
        "it out)"
    ) in str(held)
    assert (
        "Since that release also: the platform's version went from 1 to 2; source gencode is new."
    ) in str(held)
    kept = hold_of(
        releases, with_tables(offered, **empty), built={"collection": ["collection_id-0000"]}
    )
    assert "not built any more" not in str(kept)


def test_fields_of_a_later_version_are_ignored_and_another_format_is_refused(releases, of) -> None:
    publish(releases, of(100))
    hold_of(releases, of(30))
    approve(releases, by="ada", reason="meant")
    store = releases.store
    for kind, info in zip(
        (Approval, Hold), sorted(store.list(f"{releases.product}/approvals/"), key=lambda i: i.key),
        strict=True,
    ):  # fmt: skip
        body = json.loads(store.get(info.key))
        body["changes"][0]["more"] = 1
        later = json.dumps(body | {"more": 1}).encode()
        assert kind.parse(later, info.key) == kind.parse(store.get(info.key), info.key)
        with pytest.raises(StoreError, match="has format 2"):
            kind.parse(json.dumps(body | {"format": 2}).encode(), info.key)


def test_a_hold_is_recorded_once_as_long_as_it_is_the_same(releases, of) -> None:
    publish(releases, of(100))
    first = hold_of(releases, of(30), now=datetime(2026, 1, 1, tzinfo=UTC)).hold
    hold_of(releases, of(30), now=datetime(2026, 1, 2, tzinfo=UTC))
    assert current_hold(releases) == first
    last = hold_of(releases, of(20), now=datetime(2026, 1, 3, tzinfo=UTC)).hold
    assert current_hold(releases) == last
