"""How the programs of this installation are called from the working folder."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path


def program_path(name: str) -> str:
    """Return what a shell in the working folder calls a program of this installation by.

    Parameters
    ----------
    name
        `genept` or `python`.

    Returns
    -------
    str
        The name alone if the shell finds this installation's program by it; otherwise the path
        beside the running Python, relative where that is shorter; quoted for a shell. Where
        `genept` is in another folder, Python with its module.
    """
    running = Path(sys.executable)
    program = running if name == "python" else running.with_name(name)
    if not program.exists():
        return f"{program_path('python')} -m {name}.cli"
    found = shutil.which(name)
    if found and Path(found).parent.absolute() == program.parent:
        return name
    relative = os.path.join(os.path.relpath(program.parent), program.name)  # noqa: PTH118
    return shlex.quote(min(relative, str(program), key=len))
