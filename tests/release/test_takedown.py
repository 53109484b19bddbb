"""A release that is taken back is taken back everywhere, and who reads it is warned each time."""

from __future__ import annotations

import secrets
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from all_commands import app
from declared_rows import candidate
from fault_proxy import fault_proxy
from typer.testing import CliRunner

import genept
from genept.cli.app import main
from genept.client.release_lookup import RetractedWarning, open_releases
from genept.common.errors import StoreError
from genept.common.settings import Settings
from genept.release.manifest import Manifest
from genept.release.public import public_product
from genept.release.publish import Releases
from genept.release.retraction import retract, retract_public
from genept.release.rollback import allow, mark_stable, roll_back
from genept.release.staging import ReleaseRefusedError
from genept.storage.bucket_policy import open_as_operator
from genept.storage.connect import open_store
from genept.storage.embedded_store import EmbeddedStore
from genept.storage.lake import Lake


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    """A server of its own, whose policy these tests change."""
    embedded = EmbeddedStore(tmp_path_factory.mktemp("state") / "store")
    embedded.start()
    yield embedded
    embedded.stop()


@pytest.fixture
def settings(store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> Settings:
    made = Settings(state_dir=store.folder.parent, product=f"t-{secrets.token_hex(4)}")
    for name, value in made.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "300")
    return made


@pytest.fixture
def releases(settings: Settings) -> Releases:
    return open_releases(settings, role="publisher")


@pytest.fixture(scope="module")
def lake(store: EmbeddedStore) -> Lake:
    """One lake for all tests: each publishes from it a product of its own."""
    made = Settings(state_dir=store.folder.parent, product=f"t-{secrets.token_hex(4)}")
    return open_releases(made, role="writer").lake


@pytest.fixture
def anybody(settings: Settings, store: EmbeddedStore, tmp_path: Path) -> Settings:
    """Someone elsewhere, without keys."""
    return Settings(
        state_dir=tmp_path / "elsewhere",
        s3_endpoint=store.ensure().url,
        s3_unsigned=True,
        product=public_product(settings.product),
    )


@pytest.fixture
def publish(releases: Releases, lake: Lake) -> Callable[[int], Manifest]:
    return lambda number: releases.publish(candidate(lake, first=number)).manifest


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["release", *arguments])
    if isinstance(result.exception, StoreError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def refused(request: Callable[[], Any]) -> bool:
    try:
        request()
    except StoreError as error:
        return "AccessDenied" in str(error) or "403" in str(error)
    return False


@pytest.mark.slow
def test_the_public_copy_is_taken_back_too(
    settings: Settings, anybody: Settings, publish: Callable[[int], Manifest]
) -> None:
    first = publish(0)
    run("publish", "--public")
    second = publish(1)
    run("publish", "--public")
    unsigned = open_releases(anybody)
    assert unsigned.current().release_id == second.release_id
    printed = run("retract", second.release_id, "--reason", "a licence was misread")
    assert "public copy" in printed
    assert unsigned.current().release_id == first.release_id
    assert genept.load_table("genes", settings=anybody).collect().height == 3
    folder = unsigned.folder(second.release_id)
    for path in ("manifest.json", "data/genes/part-00000.parquet", "catalog/catalog.ducklake"):
        assert refused(lambda path=path: unsigned.store.get(f"{folder}/{path}")), path
    third = publish(2)
    run("publish", "--public")
    assert unsigned.current().release_id == third.release_id
    assert refused(lambda: unsigned.store.get(f"{folder}/manifest.json")), "nor later"
    assert unsigned.manifest(first.release_id), "what was not taken back stays"
    run("retract", first.release_id, "--reason", "old and wrong")
    assert unsigned.current().release_id == third.release_id
    assert refused(lambda: unsigned.manifest(first.release_id))
    assert "taken back already" in run("retract", first.release_id, "--reason", "again")


@pytest.mark.slow
def test_the_only_public_copy_is_withdrawn(
    settings: Settings, anybody: Settings, publish: Callable[[int], Manifest]
) -> None:
    publish(0)
    second = publish(1)
    run("publish", "--public")
    assert "none is public" in run("retract", second.release_id, "--reason", "bad")
    unsigned = open_store(anybody, "reader")
    assert refused(lambda: unsigned.get(f"{anybody.product}/current.json"))
    run("allow", second.release_id)
    with pytest.raises(ReleaseRefusedError, match="public copy.*taken back.*release allow"):
        run("publish", second.release_id, "--public")
    assert refused(lambda: unsigned.get(f"{anybody.product}/current.json"))
    third = publish(2)
    run("publish", "--public")
    assert open_releases(anybody).current().release_id == third.release_id
    assert refused(lambda: open_releases(anybody).manifest(second.release_id))


def test_a_public_copy_that_was_forgotten_is_taken_back_later(
    releases: Releases, anybody: Settings, publish: Callable[[int], Manifest]
) -> None:
    publish(0)
    second = publish(1)
    run("publish", "--public")
    assert f"genept release retract {second.release_id}" in run("rollback", "--reason", "bad")
    assert open_releases(anybody).current().release_id == second.release_id
    run("retract", second.release_id, "--reason", "bad")
    assert refused(lambda: open_releases(anybody).current())


def test_who_lacks_the_rights_sees_what_to_do(
    settings: Settings, releases: Releases, anybody: Settings, publish: Callable[[int], Manifest]
) -> None:
    publish(0)
    second = publish(1)
    run("publish", "--public")
    with pytest.raises(StoreError, match=r"STILL.*without keys.*genept release publish --withdraw"):
        retract_public(
            releases,
            second.release_id,
            reason="bad",
            open_operator=lambda: open_store(settings, "publisher"),  # type: ignore[arg-type,return-value]
        )
    assert open_releases(anybody).manifest(second.release_id), "it is so"
    operator = open_as_operator(settings)
    for became in ("taken back", "closed already"):
        assert became == retract_public(
            releases, second.release_id, reason="bad", open_operator=lambda: operator
        )
        assert refused(lambda: open_releases(anybody).manifest(second.release_id))


def test_every_read_by_id_is_warned_also_offline(
    settings: Settings, store: EmbeddedStore, releases: Releases, publish, tmp_path: Path
) -> None:
    first, second = publish(0), publish(1)
    keys = store.ensure().keys("reader")
    with fault_proxy(store.ensure().url) as proxy:
        reader = Settings(
            state_dir=tmp_path / "reader", s3_endpoint=proxy.url, product=settings.product,
            s3_access_key=keys.access_key, s3_secret_key=keys.secret_key,
        )  # fmt: skip

        def read(release: Manifest) -> None:
            genept.load_table(
                "genes", release=release.release_id, keep=True, settings=reader
            ).collect()

        read(first)
        read(second)
        retract(releases, first.release_id, reason="wrong sign")
        for _ in range(2):
            with pytest.warns(RetractedWarning, match="taken back: wrong sign"):
                read(first)
    with pytest.warns(RetractedWarning, match="taken back: wrong sign"):
        read(first)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(second)


def test_what_names_a_retracted_release_says_so_first(
    publish: Callable[[int], Manifest], monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    first, second = publish(0), publish(1)
    run("retract", first.release_id, "--reason", "wrong sign")
    for command in ("show", "cite"):
        assert run(command, first.release_id).startswith("TAKEN BACK: wrong sign\n")
        assert "TAKEN BACK" not in run(command, second.release_id)
    line = next(line for line in run("list").splitlines() if line.startswith(first.release_id))
    assert line.endswith("taken back: wrong sign")
    monkeypatch.setattr(sys, "argv", ["genept", "table", "genes", "--release", first.release_id])
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        with pytest.raises(SystemExit):
            main()
    printed = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert printed == [f"release {first.release_id} was taken back: wrong sign"]


def test_going_back_passes_over_the_same_content(
    releases: Releases, publish: Callable[[int], Manifest]
) -> None:
    first, second = publish(0), publish(1)
    retract(releases, second.release_id, reason="bad")
    allow(releases, second.release_id)
    third = publish(1)
    assert retract(releases, third.release_id, reason="bad after all").release_id == (
        first.release_id
    )
    with pytest.raises(ReleaseRefusedError, match=r"no earlier release.*release allow"):
        roll_back(releases, reason="and this one")


def test_the_only_release_is_refused_with_a_way_out(publish: Callable[[int], Manifest]) -> None:
    only = publish(0).release_id
    for command in (["retract", only], ["rollback"]):
        with pytest.raises(
            StoreError,
            match=f"{only} is the only release: publish another first.*publish --withdraw",
        ):
            run(*command, "--reason", "bad")


def test_what_was_allowed_gets_a_new_id_and_aliases_are_taken(
    releases: Releases, publish: Callable[[int], Manifest]
) -> None:
    first, second = publish(0), publish(1)
    assert second.release_id in run("stable", "latest")
    run("retract", "stable", "--reason", "bad")
    with pytest.raises(StoreError, match="taken back already: bad"):
        run("retract", second.release_id, "--reason", "again")
    assert releases.current_id() == first.release_id
    printed = run("allow", second.release_id)
    assert "`genept run`" in printed
    assert "new id" in printed
    mark_stable(releases, first.release_id)


def test_withdrawing_nothing_says_so(publish: Callable[[int], Manifest]) -> None:
    publish(0)
    assert "nothing is public" in run("publish", "--withdraw")
    run("publish", "--public")
    assert "nothing is public" not in run("publish", "--withdraw")
    assert "nothing is public" in run("publish", "--withdraw")


def test_a_public_release_is_cited_and_shown_as_anybody_reads_it(
    settings: Settings,
    anybody: Settings,
    publish: Callable[[int], Manifest],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publish(0)
    assert "KEY_ID" in run("show"), "whoever has keys gives them"
    run("publish", "--public")
    for name in settings.environment():
        monkeypatch.delenv(name)
    for name, value in anybody.environment().items():
        monkeypatch.setenv(name, value)
    shown = run("show")
    assert "CREATE SECRET (TYPE s3, ENDPOINT" in shown
    assert "KEY_ID" not in shown, "of R neither"
    address = next(word for word in run("cite").split() if word.startswith("http")).rstrip(".")
    assert "anonymous = TRUE" in shown
    assert address.startswith(f"{anybody.s3_endpoint}/lake/{anybody.product}/releases/")
    answer = httpx.get(address)
    assert answer.status_code == 200
