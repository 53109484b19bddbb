"""A store that does not keep conditional writes is refused before anything is written to it."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fault_proxy import fault_proxy
from faulty_s3 import Fault, faulty_s3
from typer.testing import CliRunner

from genept.cli.app import app
from genept.common.errors import StoreError
from genept.common.settings import Settings
from genept.storage.connect import open_store, properties
from genept.storage.embedded_store import REGION, EmbeddedStore
from genept.storage.object_store import ObjectStore

LACKING: dict[Fault, list[str]] = {
    "ignores If-None-Match": ["creates only where nothing is", "who create at once"],
    "ignores If-Match": ["replaces only what has the given ETag", "who replace at once"],
    "forgets earlier ETags": ["took the ETag of an earlier version", "who replace at once"],
    "checks, then writes": ["who create at once", "who replace at once"],
    "lists late": ["lists what was just written"],
    "does not know the header": ["is not understood (NotImplemented)"],
}


def settings(url: str, folder: Path) -> Settings:
    return Settings(state_dir=folder, s3_endpoint=url, s3_access_key="key", s3_secret_key="secret")


@pytest.mark.parametrize(("fault", "named"), LACKING.items())
def test_a_store_that_lacks_a_property_is_refused_and_the_property_named(
    fault: Fault, named: list[str], tmp_path: Path
) -> None:
    with faulty_s3(fault) as server:
        with pytest.raises(StoreError, match="cannot be written to safely") as refused:
            open_store(settings(server.url, tmp_path), "writer")
        for name in named:
            assert name in str(refused.value)
        assert "SeaweedFS from 4.48" in str(refused.value)
        assert server.objects == {}, "nothing is left behind"
        assert not (tmp_path / "cache" / "store_properties.json").exists()
        open_store(settings(server.url, tmp_path), "reader")


def test_a_store_that_holds_is_asked_once_a_day_and_nothing_is_left(tmp_path: Path) -> None:
    remembered = tmp_path / "cache" / "store_properties.json"
    with faulty_s3("none") as server:
        open_store(settings(server.url, tmp_path), "writer")
        puts = server.puts
        assert puts > 16
        assert server.objects == {}
        open_store(settings(server.url, tmp_path), "publisher")
        assert server.puts == puts
        assert stat.S_IMODE(remembered.stat().st_mode) == 0o600
        at = datetime.now(UTC) - timedelta(days=1, minutes=1)
        for content in (
            json.dumps(dict.fromkeys(json.loads(remembered.read_text()), at.isoformat())),
            '["damaged"]',
        ):
            remembered.write_text(content)
            before = server.puts
            open_store(settings(server.url, tmp_path), "writer")
            assert server.puts > before


def test_an_unreachable_store_is_no_verdict(tmp_path: Path) -> None:
    store = open_store(settings("http://127.0.0.1:9", tmp_path), "writer")
    assert not (tmp_path / "cache" / "store_properties.json").exists()
    with pytest.raises(StoreError, match="does not answer"):
        store.get("genept/current.json")


def test_seaweedfs_holds_even_where_answers_get_lost(embedded_store: EmbeddedStore) -> None:
    endpoint = embedded_store.ensure()
    keys = endpoint.keys("publisher")
    with fault_proxy(endpoint.url) as proxy:
        proxy.plan("PUT", "503", "409", "reset")
        with ObjectStore(proxy.url, keys.access_key, keys.secret_key, REGION, "lake") as store:
            tested = properties(store, "asked")
            assert [quality for quality in tested if not quality.holds] == []
            assert len(tested) == 5
            assert list(store.list("asked/")) == []
        assert proxy.remaining() == 0


def test_the_command_says_what_holds_and_ends_with_1_when_something_does_not(
    embedded_store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GENEPT_STATE_DIR", str(embedded_store.folder.parent))
    fine = CliRunner().invoke(app, ["store", "check"])
    assert fine.exit_code == 0
    assert fine.output.count("  yes  ") == 6
    assert "refuses every client without keys" in fine.output
    with faulty_s3("ignores If-Match") as server:
        for name, value in (("ENDPOINT", server.url), ("ACCESS_KEY", "k"), ("SECRET_KEY", "s")):
            monkeypatch.setenv(f"GENEPT_S3_{name}", value)
        refused = CliRunner().invoke(app, ["store", "check"])
    assert refused.exit_code == 1
    assert refused.output.count("  NO   ") == 2
    assert "it wrote over an object that has another ETag" in refused.output
