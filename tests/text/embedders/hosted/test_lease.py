"""A lease is lost by those who are gone, and by no step of a clock."""

from __future__ import annotations

import json
import time

import pytest

from genept.common.operating_system import uptime
from genept.storage.object_store import ObjectStore
from genept.text.embedders.hosted import budget as lease_module
from genept.text.embedders.hosted.budget import Lease


@pytest.fixture
def key(store_prefix: str) -> str:
    return f"{store_prefix}/lease.json"


@pytest.mark.parametrize("where", ["here", "elsewhere"])
@pytest.mark.parametrize("step", [-365 * 86400, -1, 1, 100, 365 * 86400])
def test_a_step_of_the_clock_takes_no_lease(
    object_store: ObjectStore, key: str, monkeypatch: pytest.MonkeyPatch, where: str, step: float
) -> None:
    holder, other = Lease(object_store, key), Lease(object_store, key)
    if where == "elsewhere":
        holder._holder["machine"] = "another machine"
    assert holder._take()
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + step)
    assert not other._take()
    assert not other._take()
    holder.confirm()
    holder._write(holder.seconds, holder._etag)
    assert not other._take()


def test_who_holds_a_lease_elsewhere_has_to_renew_it(
    object_store: ObjectStore, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for as long as it holds since it was seen to be renewed, and a while longer."""
    holder, other = Lease(object_store, key), Lease(object_store, key)
    holder._holder["machine"] = "another machine"
    assert holder._take()
    began = now = uptime()
    monkeypatch.setattr(lease_module, "uptime", lambda: now)
    assert not other._take()
    now = began + 80
    assert not other._take()
    holder._write(holder.seconds, holder._etag)
    now = began + 110
    assert not other._take(), "it was renewed since"
    now = began + 110 + 104
    assert not other._take()
    now = began + 110 + 106
    assert other._take()


def test_a_suspended_holder_on_this_machine_loses_it(
    object_store: ObjectStore, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder, other = Lease(object_store, key), Lease(object_store, key)
    assert holder._take()
    now = uptime() + 80
    monkeypatch.setattr(lease_module, "uptime", lambda: now)
    with pytest.raises(lease_module.RefusedEmbeddingError, match="suspended"):
        holder.confirm()
    assert not other._take(), "the holder stops first"
    now += 11
    assert other._take()


def test_another_process_of_the_same_number_is_not_the_holder(
    object_store: ObjectStore, key: str
) -> None:
    holder = Lease(object_store, key)
    holder._holder["started"] -= 1
    assert holder._take()
    assert Lease(object_store, key)._take()


@pytest.mark.parametrize("is_free", [True, False])
def test_a_lease_of_an_older_version_is_understood(
    object_store: ObjectStore, key: str, is_free: bool
) -> None:
    """What it let go of is free; what it holds is waited for."""
    until = 0.0 if is_free else time.time() - 3600
    held = {"holder": "x", "machine": "host/0", "pid": 1, "started": 1.5, "until": until}
    object_store.put_if_match(key, json.dumps(held).encode(), None)
    assert Lease(object_store, key)._take() == is_free
