"""What the process that reads a stranger's file hands over is looked at before it is stored."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from own_files import REFERENCE, counts, write_counts
from planted import a_collection

from genept.collections.dry_run import try_out
from genept.collections.ingestion import ingest
from genept.collections.sandboxed_ingest import PartReceiver, parts_in_child
from genept.collections.sidecar import validated_sidecar
from genept.collections.user_collections import local_archives
from genept.common.errors import SourceError
from genept.datasources.readers.sandbox import USUAL
from genept.storage.lake import Lake
from genept.storage.provenance import Origin

ORIGIN = Origin(code=(), inputs={}, settings={})


@pytest.fixture
def receiver(lake: Lake, tmp_path: Path) -> PartReceiver:
    (tmp_path / "own").mkdir()
    receiver = PartReceiver(lake, a_collection(), ORIGIN, tmp_path / "own")
    assert receiver.answer({"observations": 10}) == []
    return receiver


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"observations": -1},
        {"observations": "many"},
        {"observations": 10**15},
        {"shard": 1, "parts": {}},
        {"shard": "0", "parts": {}},
        {"shard": 0, "parts": []},
        {"shard": 0, "parts": {"collections": "x"}},
        {"shard": 0, "parts": {"expression": 7}},
        {"shard": 0, "parts": {"expression": "/etc/passwd"}},
        {"shard": 0, "parts": {"expression": "/nowhere"}},
        {"shard": 0, "parts": {"expression": "/dev/zero"}},
        {"shard": 0, "parts": {"expression": "a\0b"}},
        {"shard": 0, "parts": {"expression": "LINK"}},
        {"shard": 0, "parts": {"expression": "PIPE"}},
        {"shard": 0, "parts": {"expression": "OTHER"}},
    ],
)
def test_nothing_is_stored_that_is_no_shard(lake, store_prefix, receiver, tmp_path, question):
    import polars as pl

    (tmp_path / "LINK").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "PIPE")
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "OTHER")
    parts = question.get("parts")
    if isinstance(parts, dict) and str(parts.get("expression")) in ("LINK", "PIPE", "OTHER"):
        question = question | {"parts": {"expression": str(tmp_path / parts["expression"])}}
    with pytest.raises(SourceError, match="handed over what cannot be"):
        receiver.answer(question)
    assert not list(lake.store.list(f"{store_prefix}/"))


def test_a_killed_ingest_goes_on_where_it_stopped(lake, tmp_path, monkeypatch):
    write_counts(tmp_path / "mine.csv", counts())
    detected = try_out(
        tmp_path / "mine.csv", None, validated_sidecar({"id": "mine"}, "x"), REFERENCE,
        bucket="b", product="p", limits=None,
    ).detected  # fmt: skip
    archives = local_archives(detected.files, detected.sources, tmp_path)
    stored = []

    def killed(self, number, made, store=PartReceiver.store_parts):
        answer = store(self, number, made)
        stored.append(sorted(made))
        if len(stored) == 1:
            raise KeyboardInterrupt
        return answer

    monkeypatch.setattr(PartReceiver, "store_parts", killed)
    given = (lake, archives, detected.entry, lambda: REFERENCE, "reference-1")

    def in_child(*arguments):
        return parts_in_child(*arguments, allowance=USUAL)

    with pytest.raises(KeyboardInterrupt):
        ingest(*given, make=in_child)
    assert not list(lake.store.list(f"{lake.prefix}/collections/"))
    parts = ingest(*given, make=in_child)
    shard = ["expression", "shard_genes", "shard_inputs", "shard_observations"]
    assert stored == [shard], "the second time, the lake had the shard"
    other = Lake(lake.store, f"{lake.prefix}-other", lake.cache)
    plain = ingest(other, *given[1:])
    assert {it.table: it.sha256 for it in parts} == {it.table: it.sha256 for it in plain}
