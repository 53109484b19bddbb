"""The pages of a release as files: whole, verified, inside their folder."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from all_commands import app
from declared_rows import candidate
from installations import settings_over
from typer.testing import CliRunner

from genept.client.pages import release_site
from genept.client.release_lookup import open_releases
from genept.common.errors import StoreError
from genept.common.settings import Settings
from genept.release.manifest import Manifest
from genept.storage.object_store import ObjectStore


@pytest.fixture
def settings(
    object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    settings = settings_over(object_store, tmp_path / "state", f"pages-{secrets.token_hex(4)}")
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return settings


def published(settings: Settings) -> Manifest:
    lake = open_releases(settings, role="writer").lake
    releases = open_releases(settings, role="publisher")
    return releases.publish(candidate(lake), pages=release_site).manifest


def test_pages_are_copied_for_a_browser(settings: Settings, tmp_path: Path) -> None:
    manifest = published(settings)
    shown = CliRunner().invoke(app, ["release", "pages", "--out", "site"])
    assert not shown.exception
    index = tmp_path / "site" / "site" / "index.html"
    assert str(index) in shown.output.replace("\n", "")
    assert manifest.release_id in index.read_text()
    copied = {str(file.relative_to(tmp_path / "site")) for file in (tmp_path / "site").rglob("*.*")}
    assert copied == set(manifest.audit)


@pytest.mark.slow
def test_a_damaged_page_is_refused(settings: Settings) -> None:
    manifest = published(settings)
    releases = open_releases(settings, role="publisher")
    key = f"{releases.folder(manifest.release_id)}/audit/site/index.html"
    releases.store.client.put_object(Bucket=releases.store.bucket, Key=key, Body=b"other")
    result = CliRunner().invoke(app, ["release", "pages"])
    assert isinstance(result.exception, StoreError)
    assert "site/index.html" in str(result.exception)
    assert "damaged" in str(result.exception)
