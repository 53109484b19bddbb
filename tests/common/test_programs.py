"""What a shell calls this installation's programs by: run as it is printed."""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from genept.common.programs import program_path


def script(path: Path, prints: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {prints} $*\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment that runs, of which no folder is on the path; its `bin`."""
    programs = tmp_path / "an env" / "bin"
    script(programs / "genept", "genept of the environment")
    python = script(programs / "python3", "python of the environment")
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setenv("PATH", os.defpath)
    return programs


def printed(name: str) -> str:
    return subprocess.run(
        ["sh", "-c", f"{program_path(name)} --version"], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.mark.parametrize("folder", [".", "an env/demo", "a/b/c/d"])
def test_the_program_is_called_by_a_path_from_the_working_folder(
    environment: Path, tmp_path: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(tmp_path / folder)
    assert printed("genept") == "genept of the environment --version"
    assert printed("python") == "python of the environment --version"
    (shown,) = shlex.split(program_path("genept"))
    assert len(shown) <= len(str(environment / "genept"))


def test_beside_the_program_its_path_still_says_where_it_is(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(environment)
    assert printed("genept") == "genept of the environment --version"


def test_a_name_on_the_path_is_enough_unless_it_is_another_installation(
    environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{environment}:{os.defpath}")
    assert program_path("genept") == "genept"
    other = script(tmp_path / "other" / "genept", "another one").parent
    monkeypatch.setenv("PATH", f"{other}:{environment}:{os.defpath}")
    assert printed("genept") == "genept of the environment --version"


def test_without_the_program_its_module_is_run(environment: Path) -> None:
    (environment / "genept").unlink()
    assert program_path("genept") == f"{program_path('python')} -m genept.cli"
    assert printed("genept") == "python of the environment -m genept.cli --version"
