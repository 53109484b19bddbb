"""The project as a wheel, installed into an environment of its own outside the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")


def run(*command: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(argument) for argument in command],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def installed_wheel(folder: Path, extra: str = "", *, locked: bool = False) -> Path:
    """Build the wheel and install it; return the environment's Python.

    Parameters
    ----------
    folder
        A new folder for all of it.
    extra
        An extra, such as ``[platform]``.
    locked
        Whether the requirements have the versions of the locks. Otherwise the newest that are
        allowed, as for a user.
    """
    ignored = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "tests")
    shutil.copytree(PROJECT, folder / "tree", ignore=ignored, symlinks=True)
    build = "from setuptools import build_meta as b; print(b.build_wheel('..'))"
    built = run(sys.executable, "-c", build, cwd=folder / "tree")
    assert built.returncode == 0, built.stderr[-2000:]
    created = run(UV, "venv", "--quiet", "--python", sys.executable, folder / "venv")
    assert created.returncode == 0, created.stderr
    interpreter = folder / "venv" / "bin" / "python"
    (wheel,) = folder.glob("*.whl")
    locks = (PROJECT / "requirements.lock", PROJECT / "infra" / "docs.lock") if locked else ()
    index = run(sys.executable, "-m", "pip", "config", "get", "global.index-url").stdout.strip()
    installed = run(
        *(UV, "pip", "install", "--quiet", "--compile-bytecode", "--python", interpreter),
        f"{wheel}{extra}",
        *(word for lock in locks for word in ("--constraint", lock)),
        env=os.environ | ({"UV_DEFAULT_INDEX": index} if index else {}),
    )
    assert installed.returncode == 0, installed.stderr
    return interpreter
