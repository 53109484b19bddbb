"""A lease is lost by those who are gone, and by no step of a clock."""

from __future__ import annotations

import json
import threading
import time

import pytest

from genept.common.operating_system import uptime
from genept.storage import documents
from genept.storage.documents import Holder, Lease
from genept.storage.object_store import ObjectStore

WHAT = "paying for texts"


def elsewhere(lease: Lease) -> Holder:
    return lease.holder.model_copy(update={"machine": "another machine"})


@pytest.fixture
def key(store_prefix: str) -> str:
    return f"{store_prefix}/lease.json"


@pytest.mark.parametrize("where", ["here", "elsewhere"])
@pytest.mark.parametrize("step", [-365 * 86400, -1, 1, 100, 365 * 86400])
def test_a_step_of_the_clock_takes_no_lease(
    object_store: ObjectStore, key: str, monkeypatch: pytest.MonkeyPatch, where: str, step: float
) -> None:
    holder, other = Lease(object_store, key, WHAT), Lease(object_store, key, WHAT)
    if where == "elsewhere":
        holder.holder = elsewhere(holder)
    assert holder.take()
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + step)
    assert not other.take()
    assert not other.take()
    assert holder.is_held
    holder.renew()
    assert not other.take()


def test_who_holds_a_lease_elsewhere_has_to_renew_it(
    object_store: ObjectStore, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for as long as it holds since it was seen to be renewed, and a while longer."""
    holder, other = Lease(object_store, key, WHAT), Lease(object_store, key, WHAT)
    holder.holder = elsewhere(holder)
    assert holder.take()
    began = now = uptime()
    monkeypatch.setattr(documents, "uptime", lambda: now)
    assert not other.take()
    now = began + 80
    assert not other.take()
    holder.renew()
    now = began + 110
    assert not other.take(), "it was renewed since"
    now = began + 110 + 104
    assert not other.take()
    now = began + 110 + 106
    assert other.take()


def test_a_suspended_holder_on_this_machine_loses_it(
    object_store: ObjectStore, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder, other = Lease(object_store, key, WHAT), Lease(object_store, key, WHAT)
    assert holder.take()
    now = uptime() + 80
    monkeypatch.setattr(documents, "uptime", lambda: now)
    assert not holder.is_held
    assert not other.take(), "the holder stops first"
    now += 11
    assert other.take()


def test_another_process_of_the_same_number_is_not_the_holder(
    object_store: ObjectStore, key: str
) -> None:
    holder = Lease(object_store, key, WHAT)
    began = holder.holder.started - 1
    holder.holder = holder.holder.model_copy(update={"started": began})
    assert holder.take()
    assert Lease(object_store, key, WHAT).take()


@pytest.mark.parametrize("is_free", [True, False])
def test_a_lease_of_an_older_version_is_understood(
    object_store: ObjectStore, key: str, is_free: bool
) -> None:
    """What it let go of is free; what it holds is waited for."""
    until = 0.0 if is_free else time.time() - 3600
    held = {"holder": "x", "machine": "host/0", "pid": 1, "started": 1.5, "until": until}
    object_store.put_if_match(key, json.dumps(held).encode(), None)
    assert Lease(object_store, key, WHAT).take() == is_free


def test_a_lease_is_held_by_one_renewed_and_given_back(object_store: ObjectStore, key: str) -> None:
    announced: list[str] = []
    order: list[str] = []

    def second() -> None:
        with Lease(object_store, key, WHAT, announced.append):
            order.append("second")

    with Lease(object_store, key, WHAT, seconds=1.2) as first:
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(2)  # longer than the lease
        assert first.is_held
        order.append("first")
    thread.join(timeout=10)
    assert order == ["first", "second"]
    assert len(announced) == 1


def test_a_lease_of_a_dead_process_or_one_that_ran_out_is_taken(
    object_store: ObjectStore, key: str
) -> None:
    dead = Lease(object_store, key, WHAT)
    dead.holder = dead.holder.model_copy(update={"pid": 2**22 + 1})
    assert dead.take()
    with Lease(object_store, key, WHAT):
        pass
    away = Lease(object_store, key, WHAT, seconds=0.3)
    away.holder = elsewhere(away)
    assert away.take()
    began = time.time()
    with Lease(object_store, key, WHAT):
        assert time.time() - began >= 0.2
    assert not away.is_held
