"""The program itself: its entry point, and what its worker processes do not import."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest

from genept.datasources.download.archives import Archives
from genept.nomenclature.reference import SOURCES

PROGRAM = """
import sys
from genept.cli.__main__ import main
from genept.common.workers import Workers

if __name__ == "__main__":
    with Workers(2) as workers:
        print(list(workers.results(eval, ["'typer' in __import__('sys').modules"] * 3)))
"""


def run(*arguments: str) -> str:
    result = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=True
    )
    return result.stdout


def test_workers_import_none_of_the_command_line(tmp_path: Path) -> None:
    program = tmp_path / "program.py"  # as an installer writes it
    program.write_text(PROGRAM)
    assert run(str(program)) == "[False, False, False]\n"


def test_the_program_is_the_command_line() -> None:
    (program,) = entry_points(group="console_scripts", name="genept")
    assert program.value == "genept.cli.__main__:main"
    assert "collections" in run("-m", "genept.cli", "--help")


def test_the_version_is_shown() -> None:
    assert run("-m", "genept.cli", "--version") == f"{version('genept-platform')}\n"


def test_help_waits_for_no_models() -> None:
    """All commands are imported for it: scikit-learn and numba made this take five seconds."""
    code = (
        "import sys; from genept.cli.app import add_commands; add_commands(); "
        "print({'sklearn', 'numba', 'dagster', 'prefect'} & set(sys.modules))"
    )
    assert run("-c", code) == "set()\n"


IMPORTED = """
import sys
from genept.cli.app import main

sys.argv = ["genept", "collections", "validate", "counts.txt"]
try:
    main()
finally:
    print("heavy:", {"anndata", "numba", "pandas", "sklearn", "skops"} & set(sys.modules))
"""


@pytest.mark.index
def test_a_file_is_validated_without_models_and_without_reading_the_archives_again(
    tmp_path: Path, real_archives: Archives
) -> None:
    """Importing scikit-learn and reading an XML file twice once made this take 15 seconds."""
    archives = tmp_path / ".genept" / "cache" / "archives"
    archives.mkdir(parents=True)
    for source in SOURCES:
        path = real_archives.fetch(source)
        (archives / path.name).symlink_to(path)
    rows = [f"ENSG{number:011d} {number} 1" for number in (139618, 141510, 12048, 146648)]
    (tmp_path / "counts.txt").write_text("\n".join(["A1 B10", *rows]) + "\n")
    (tmp_path / "program.py").write_text(IMPORTED)
    for _ in range(2):
        result = subprocess.run(
            [sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert "2 observations in 2 groups, 4 genes; 100.0%" in result.stdout
        assert "heavy: set()" in result.stdout
        for link in archives.iterdir():  # from now on the reference is read from its cache
            link.unlink()


@pytest.mark.parametrize(
    "arguments",
    [
        ("sql", "SHOW TABLES"),
        ("table", "genes"),
        ("neighbours", "FOXP3"),
        ("search", "T cells"),
        ("release", "show"),
        ("release", "list"),
        ("export", "pbmc-hao", "--out", "cells.h5ad"),
        ("store", "keys"),
        ("store", "check"),
        ("release", "gc"),
        ("release", "publish", "latest", "--withdraw"),
    ],
    ids=" ".join,
)
def test_what_needs_an_installation_says_so_where_there_is_none_and_creates_nothing(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    environment = {name: of for name, of in os.environ.items() if not name.startswith("GENEPT_")}
    command = [sys.executable, "-m", "genept.cli", *arguments]
    result = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    message = " ".join(result.stderr.split())
    assert "there is no installation here" in message
    assert str(tmp_path / ".genept") in message
    assert "Traceback" not in message
    assert list(tmp_path.iterdir()) == []
