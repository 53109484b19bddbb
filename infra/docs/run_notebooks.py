"""Run the notebooks of `docs/notebooks/`, in the folder of a demo release, by this Python.

It is run by the Python of an environment into which the wheel was installed, from outside the
checkout: ``python infra/docs/run_notebooks.py FOLDER OUT [NAME …]``. FOLDER is a new folder, or
that of an earlier run; OUT gets the executed notebooks, from which the site takes them.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

NOTEBOOKS: Final = Path(__file__).parents[2] / "docs" / "notebooks"
ORDER: Final = ("analyst", "choosing_a_model", "dagster_engineer", "own_cohort", "unseen_drug")
"""The order in which they are read, and run: a later one adds to the folder's releases."""

SETTINGS: Final = """\
product = "demo"
collections = ["pbmc-hao"]
spaces = ["wordllama-256/name-go", "lsa-384/name-go"]
"""
"""As `genept demo` has them, with a second text model to compare the first with."""

SECONDS: Final = 600


def genept(*arguments: str | Path, cwd: Path) -> None:
    """Run a command of `genept` by this Python; what it prints matters where it fails."""
    command = [sys.executable, "-P", "-m", "genept.cli", *map(str, arguments)]
    result = subprocess.run(command, check=False, cwd=cwd, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"genept {' '.join(map(str, arguments))}: {result.stdout[-3000:]}{result.stderr}")


def build(folder: Path) -> None:
    """A release in the folder, unless it has one."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "genept.toml"
    if not settings.exists():
        settings.write_text(SETTINGS, "utf-8")
        genept("demo", folder, cwd=folder.parent)


def execute(name: str, folder: Path, out: Path) -> str | None:
    """Run one notebook and keep it with what it printed; return its error, if it has one."""
    source = NOTEBOOKS / f"{name}.py"
    notebook = jupytext.read(source)
    notebook.metadata["source_sha256"] = hashlib.sha256(source.read_bytes()).hexdigest()
    client = NotebookClient(
        notebook,
        timeout=SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    error = None
    try:
        client.execute()
    except CellExecutionError as failed:
        error = str(failed)
    out.mkdir(parents=True, exist_ok=True)
    kept = out / f"{name}.ipynb"
    if error is None:
        nbformat.write(notebook, kept)
    else:
        kept.unlink(missing_ok=True)
    return error


def main() -> int:
    """Build the release, run the notebooks, stop the store; 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ORDER)}")
    given = parser.parse_args()
    if unknown := {*given.names} - {*ORDER}:
        parser.error(f"there is no notebook {', '.join(sorted(unknown))}")
    for name in [name for name in os.environ if name.startswith("GENEPT_")]:
        if name != "GENEPT_MIRRORS":  # where files are downloaded from
            del os.environ[name]
    folder, out = given.folder.resolve(), given.out.resolve()
    failed = 0
    began = time.monotonic()
    build(folder)
    genept("store", "start", cwd=folder)
    print(f"release: {time.monotonic() - began:.0f} s", flush=True)
    try:
        for name in given.names or ORDER:
            began = time.monotonic()
            error = execute(name, folder, out)
            print(f"{name}: {error or f'{time.monotonic() - began:.0f} s'}", flush=True)
            failed += error is not None
    finally:
        genept("store", "stop", cwd=folder)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
