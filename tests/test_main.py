"""The program itself: what it is called by, and what its worker processes are spared."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

PROGRAM = """
import sys
from genept.__main__ import main
from genept.processes import Workers

if __name__ == "__main__":
    with Workers(2) as workers:
        print(list(workers.results(eval, ["'typer' in __import__('sys').modules"] * 3)))
"""


def run(*arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def test_workers_import_none_of_the_command_line(tmp_path: Path) -> None:
    program = tmp_path / "program.py"  # as an installer writes it
    program.write_text(PROGRAM)
    assert run(str(program)) == "[False, False, False]\n"


def test_the_program_is_the_command_line() -> None:
    (program,) = entry_points(group="console_scripts", name="genept")
    assert program.value == "genept.__main__:main"
    assert "collections" in run("-m", "genept", "--help")
