"""`stable` names a release until it is taken back, of which readers see the reason."""

from __future__ import annotations

import secrets
import warnings

import pytest
from all_commands import app
from declared_rows import candidate
from typer.testing import CliRunner

import genept
from genept.client.release_lookup import RetractedWarning
from genept.common.errors import StoreError
from genept.common.settings import Settings
from genept.release.garbage import protected_releases
from genept.release.publish import Releases
from genept.release.retraction import retract
from genept.release.rollback import mark_stable, roll_back
from genept.release.staging import ReleaseRefusedError
from genept.storage.lake import Lake
from genept.storage.object_store import ObjectStore


@pytest.fixture
def settings(object_store: ObjectStore, tmp_path) -> Settings:
    access = object_store.access
    return Settings(
        state_dir=tmp_path / "state",
        s3_endpoint=access.endpoint_url,
        s3_access_key=access.access_key,
        s3_secret_key=access.secret_key,
        product=f"aliases-{secrets.token_hex(4)}",
    )


@pytest.fixture
def releases(settings: Settings, planted_lake: Lake) -> Releases:
    return Releases(planted_lake, settings.product)


def publish(releases: Releases, number: int) -> str:
    return releases.publish(candidate(releases.lake, first=number)).manifest.release_id


def first_gene(settings: Settings, release: str) -> str:
    rows = genept.load_table("genes", release=release, settings=settings).collect()
    return str(rows["ensembl_gene_id"][0])


def test_stable_is_what_was_marked_whatever_becomes_current(
    releases: Releases, settings: Settings
) -> None:
    first = publish(releases, 0)
    with pytest.raises(StoreError, match="no release is marked as stable"):
        genept.load_table("genes", release="stable", settings=settings)
    assert b'"stable"' not in releases.store.get(f"{releases.product}/current.json")
    mark_stable(releases, first)
    ids = [publish(releases, number) for number in (1, 2, 3)]
    assert first_gene(settings, "stable") == "ENSG00000000001"
    assert first_gene(settings, "latest") == "ENSG00000000004"
    assert first in protected_releases(releases)
    mark_stable(releases, ids[1])
    assert first_gene(settings, "stable") == "ENSG00000000003", "what is remembered is no answer"
    roll_back(releases, ids[0], reason="bad")
    pointer = releases.pointer()
    assert pointer is not None
    assert pointer.stable is None, "it was rolled back from"
    with pytest.raises(ReleaseRefusedError, match="taken back already: bad"):
        mark_stable(releases, ids[1])
    with pytest.raises(ReleaseRefusedError, match=f"x is no release .*{first}"):
        mark_stable(releases, "x")


def test_a_retracted_release_is_read_by_its_id_with_the_reason(
    releases: Releases, settings: Settings
) -> None:
    first, second, third = (publish(releases, number) for number in (0, 1, 2))
    mark_stable(releases, first)
    retract(releases, first, reason="a licence was misread")
    pointer = releases.pointer()
    assert pointer is not None
    assert (pointer.release_id, pointer.stable) == (third, None)
    with pytest.warns(RetractedWarning, match=f"{first} was taken back: a licence was misread"):
        assert first_gene(settings, first) == "ENSG00000000001"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert first_gene(settings, second) == "ENSG00000000002"
    with pytest.raises(ReleaseRefusedError, match="a licence was misread"):
        releases.publish(candidate(releases.lake))
    back = retract(releases, third, reason="wrong sign")
    assert (back.release_id, back.rolled_back_from) == (second, third)
    same = releases.publish(candidate(releases.lake, first=3)).manifest.release_id
    releases.publish(candidate(releases.lake, first=4))
    releases.publish(candidate(releases.lake, first=3))
    with pytest.raises(ReleaseRefusedError, match="has the content of the current release"):
        retract(releases, same, reason="x")


def test_the_commands_do_the_same(
    releases: Releases, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    shell, (first, second) = CliRunner(), (publish(releases, number) for number in (0, 1))
    assert shell.invoke(app, ["release", "stable", first]).exit_code == 0
    assert first_gene(settings, "stable") == "ENSG00000000001"
    assert "stable" in shell.invoke(app, ["release", "list"]).output
    taken = shell.invoke(app, ["release", "retract", second, "--reason", "wrong sign"])
    assert f"{first} is current" in taken.output
    assert "wrong sign" in shell.invoke(app, ["release", "list"]).output
