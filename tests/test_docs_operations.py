"""The runbook's commands exist and have the documented effects; files that docs name exist."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import typer
from all_commands import app
from declared_rows import candidate, declared_rows, passing, store_table
from typer.testing import CliRunner

from genept.release.publish import Releases
from genept.schema.tables import TABLES
from genept.storage.embedded_store import EmbeddedStore
from genept.storage.lake import Lake
from genept.storage.object_store import ObjectStore

PROJECT = Path(__file__).parents[1]
RUNBOOK = PROJECT / "docs" / "runbook.md"
UNITS = {path.name for path in (PROJECT / "infra" / "systemd").glob("genept*")}
UNITS |= {path.stem for path in (PROJECT / "infra" / "systemd").glob("genept*.service")}


def sections() -> dict[str, list[str]]:
    """Commands of the runbook by heading."""
    by_heading: dict[str, list[str]] = {}
    for part in re.split(r"^## ", RUNBOOK.read_text(), flags=re.MULTILINE)[1:]:
        blocks = re.findall(r"^```console\n(.*?)^```", part, re.MULTILINE | re.DOTALL)
        lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
        by_heading[part.splitlines()[0]] = [line for line in lines if line.strip()]
    return by_heading


COMMANDS = sorted({line for lines in sections().values() for line in lines})


def words(line: str) -> list[str]:
    """The command without the settings before it."""
    parts = shlex.split(line)
    while "=" in parts[0]:
        parts.pop(0)
    return parts


@pytest.fixture(scope="module")
def commands() -> dict[str, Any]:
    """The commands of `genept` by name, with those of `orchestration`."""
    plugged = typer.Typer()
    for point in entry_points(group="genept.commands"):
        plugged.command(point.name)(point.load())
    return {**typer.main.get_command(app).commands, **typer.main.get_command(plugged).commands}  # type: ignore[attr-defined]


def parse(commands: dict[str, Any], arguments: list[str]) -> None:
    """Parse the arguments as the command does; unknown ones are an error."""
    name, *rest = arguments
    assert name in commands, f"there is no command {name!r}"
    if subcommands := getattr(commands[name], "commands", None):
        parse(subcommands, rest)
    else:
        commands[name].make_context(name, rest)


def test_the_runbook_has_every_required_heading() -> None:
    headings = " ".join(sections()).lower()
    for heading in (
        *("source changed shape", "coverage fell", "gate refused", "release is bad"),
        *("budget is spent", "store is full", "disk is lost", "run is stuck"),
        *("champion got worse", "database is gone"),
    ):
        assert heading in headings
    assert all(lines for lines in sections().values())


@pytest.mark.parametrize("line", [command for command in COMMANDS if words(command)[0] == "genept"])
def test_every_genept_command_exists(line: str, commands: dict[str, Any]) -> None:
    parse(commands, words(line)[1:])


def test_unknown_commands_and_options_are_detected(commands: dict[str, Any]) -> None:
    with pytest.raises(Exception, match="No such option: --because"):
        parse(commands, ["release", "rollback", "--because", "x"])
    with pytest.raises(AssertionError, match="no command 'undo'"):
        parse(commands, ["release", "undo"])


@pytest.mark.parametrize("line", [command for command in COMMANDS if words(command)[0] != "genept"])
def test_every_other_command_is_run_below_or_names_our_units(line: str) -> None:
    program, *arguments = words(line)
    if program in ("tar", "mkdir", "rclone"):
        assert line in sections()["The disk is lost"]
        return
    assert program in ("systemctl", "journalctl")
    named = [argument for argument in arguments if argument.startswith("genept")]
    assert named or arguments[-1] == "postgresql"
    assert set(named) <= UNITS
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    known = subprocess.run(
        [program, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"]},
    ).stdout
    for word in arguments:
        if word.startswith("--") or word in ("status", "restart"):
            assert re.search(rf"{re.escape(word)}\b", known), f"{program} does not know {word}"


@pytest.fixture
def product(object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Releases:
    """Two releases in a store, and a command line whose settings point there."""
    name = f"runbook-{secrets.token_hex(4)}"
    lake = Lake(object_store, name, tmp_path / "parts")
    releases = Releases(lake, name)
    first = candidate(lake)
    genes = store_table(lake, "genes", declared_rows(TABLES["genes"], first=1))
    tables = {**first.tables, "genes": genes}
    releases.publish(first)
    releases.publish(replace(first, tables=tables, evidence=passing(tables)))
    access = object_store.access
    settings = {
        "S3_ENDPOINT": access.endpoint_url,
        "S3_ACCESS_KEY": access.access_key,
        "S3_SECRET_KEY": access.secret_key,
        "BUCKET": access.bucket,
        "PRODUCT": name,
        "STATE_DIR": str(tmp_path / "state"),
    }
    for key, value in settings.items():
        monkeypatch.setenv(f"GENEPT_{key}", str(value))
    return releases


def run_command(line: str, releases: Releases, release: str) -> str:
    arguments = [release if word == "RELEASE" else word for word in words(line)[1:]]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, f"{line}: {result.output} {result.exception}"
    return result.output


def test_a_bad_release_is_rolled_back_by_the_commands_of_the_runbook(product: Releases) -> None:
    good, bad = product.ids()
    for line in sections()["First, always"]:
        run_command(line, product, bad)
    assert product.current_id() == bad
    rollback, *rest = sections()["A release is bad"]
    run_command(rollback, product, bad)
    assert product.current_id() == good
    listed, further, allow = rest
    assert "wrong sign in prostate" in run_command(listed, product, bad)
    refused = CliRunner().invoke(
        app, [good if word == "RELEASE" else word for word in words(further)[1:]]
    )
    assert "not an earlier release" in str(refused.exception), "there is none before it"
    run_command(allow, product, bad)
    pointer = product.pointer()
    assert pointer is not None
    assert [denial.release_id for denial in pointer.denied if denial.lifted_at is None] == []


def test_space_is_freed_by_the_commands_of_the_runbook(product: Releases) -> None:
    status, *collecting = sections()["The store is full"]
    assert status == "genept store status"
    before = product.ids()
    for line in collecting:
        run_command(line, product, before[-1])
    assert product.ids() == before, "neither the current release nor the one before is garbage"
    good, bad = before
    assert "genes" in run_command("genept release diff RELEASE", product, good)
    assert bad == product.current_id()


def objects_of(product: Releases) -> dict[str, bytes]:
    """Content of all objects of a product in the bucket, by key."""
    infos = product.store.list(f"{product.product}/")
    return {info.key: product.store.get(info.key) for info in infos}


def in_shell(line: str, environment: dict[str, str]) -> None:
    result = subprocess.run(
        ["bash", "-euc", line],
        env={"PATH": os.environ["PATH"]} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"{line}: {result.stderr}"


@pytest.fixture
def own_store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    """A store of the test's own, which the test may delete."""
    store = EmbeddedStore(tmp_path / "state" / "store")
    yield store
    store.stop()


@pytest.mark.slow
def test_a_lost_disk_is_restored_from_the_copy_of_the_stores_folder(
    own_store: EmbeddedStore, tmp_path: Path
) -> None:
    state, backup = tmp_path / "state", tmp_path / "backup"
    backup.mkdir()
    lines = [line for line in sections()["The disk is lost"] if words(line)[0] in ("tar", "mkdir")]
    environment = {"GENEPT_STATE_DIR": str(state), "BACKUP": str(backup)}
    endpoint = own_store.ensure()
    with ObjectStore(
        endpoint.url, endpoint.access_key, endpoint.secret_key, "us-east-1", "lake"
    ) as objects:
        objects.put_if_absent("genept/one", b"kept" * 1000)
    own_store.stop()
    copy, *restore = lines
    in_shell(copy, environment)
    shutil.rmtree(state)
    for line in restore:
        in_shell(line, environment)
    endpoint = own_store.ensure()
    with ObjectStore(
        endpoint.url, endpoint.access_key, endpoint.secret_key, "us-east-1", "lake"
    ) as objects:
        assert objects.get("genept/one") == b"kept" * 1000


@pytest.mark.soak
def test_a_bucket_is_copied_and_restored_by_rclone(
    product: Releases, object_store: ObjectStore, tmp_path: Path
) -> None:
    if shutil.which("rclone") is None:
        pytest.skip("rclone is not installed: apt-get install rclone")
    access = object_store.access
    environment = {"COPY": str(tmp_path / "copy"), "RCLONE_CONFIG_BACKUP_TYPE": "local"}
    environment |= {"GENEPT_BUCKET": access.bucket, "HOME": str(tmp_path)}
    for key, value in {
        "TYPE": "s3",
        "PROVIDER": "Other",
        "ENDPOINT": str(access.endpoint_url),
        "ACCESS_KEY_ID": str(access.access_key),
        "SECRET_ACCESS_KEY": str(access.secret_key),
    }.items():
        environment[f"RCLONE_CONFIG_LAKE_{key}"] = value
    pointer, everything, back, pointer_back = [
        line for line in sections()["The disk is lost"] if words(line)[0] == "rclone"
    ]
    for line in (pointer, everything):
        in_shell(line, environment)
    copied = tmp_path / "copy" / product.product
    assert (copied / "current.json").is_file()
    before = objects_of(product)
    assert len(before) > 20
    object_store.delete(list(before))
    assert product.pointer() is None
    for line in (back, pointer_back):
        in_shell(line, environment)
    after = objects_of(product)
    assert after == before
    run_command("genept release verify", product, "")


@pytest.mark.parametrize("page", ["security.md", "deployment.md", "runbook.md"])
def test_every_named_file_and_page_exists(page: str) -> None:
    text = (PROJECT / "docs" / page).read_text()
    packages = "genept|orchestration|validation|assets|infra|tests"
    named = set(re.findall(rf"`((?:{packages})/[\w./-]*)`", text))
    linked = {f"docs/{name}" for name in re.findall(r"\]\(([\w/]+\.md)", text)}
    assert named | linked
    missing = [path for path in named | linked if not (PROJECT / path).exists()]
    assert not missing
