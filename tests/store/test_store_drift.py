"""A release whose tables shrank or grew beyond reason is held until somebody approves."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from genept.store.drift import drifted, refuse_drift
from genept.store.lake import Part, StoredTable
from genept.store.staging import ReleaseRefusedError


def stored(**rows: int) -> dict[str, StoredTable]:
    parts = tuple(
        Part("observations", (one,), f"{one}.parquet", 1, "0", n, None, {})
        for one, n in rows.items()
    )
    return {"observations": StoredTable("observations", parts)}


def released(*, limits: dict[str, object] | None = None, **rows: int) -> SimpleNamespace:
    """What is current: only what is compared of it."""
    files = [SimpleNamespace(partition=(one,), rows=n) for one, n in rows.items()]
    manifest = SimpleNamespace(
        release_id="r1",
        limits=limits or {},
        left_out=(),
        tables={"observations": SimpleNamespace(files=files)},
    )
    return SimpleNamespace(current_id=lambda: "r1", current=lambda: manifest)


@pytest.mark.parametrize(
    ("now", "held"),
    [
        ({"a": 100, "b": 10}, None),
        ({"a": 79, "b": 10}, None),
        ({"a": 78, "b": 10}, "110 rows became 88 (-20%)"),
        ({"a": 154, "b": 10}, None),
        ({"a": 155, "b": 10}, "110 rows became 165 (+50%)"),
        ({"a": 100}, None),
        ({"b": 10}, "110 rows became 10 (-91%, without a)"),
        ({"a": 100, "b": 10, "new": 10_000}, None),
        ({}, "110 rows became 0 (-100%, without a, b)"),
    ],
)
def test_rows_against_the_last_release(now, held):
    found = drifted(released(a=100, b=10).current(), stored(**now))
    assert [str(one) for one in found] == ([f"observations: {held}"] if held else [])


def refuse(last, now, **more):
    told = {"limits": {}, "left_out": (), "approved": ()} | more
    refuse_drift(last, now, **told)


def test_it_is_held_until_it_is_approved():
    last, now = released(a=100), stored(a=10)
    with pytest.raises(ReleaseRefusedError, match=r"against release r1: .*\(-90%\)") as refused:
        refuse(last, now)
    assert "genept release approve observations --reason" in str(refused.value)
    with pytest.raises(ReleaseRefusedError):
        refuse(last, now, approved=["genes"])
    refuse(last, now, approved=["observations"])


def test_what_settings_limited_is_not_compared():
    refuse(released(a=100), stored(a=10), limits={"max_genes": 5})
    refuse(released(a=100), stored(a=10), left_out=["b"])
    refuse(SimpleNamespace(current_id=lambda: None), stored(a=10))
