"""Where a stored thing comes from: the code, inputs and settings that made it.

An origin that has been seen before means that the result is already in the
lake. Code counts by what it does: comments, docstrings and formatting do not
change its version.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any


def sha256_of(*values: object) -> str:
    """SHA-256 of values as canonical JSON."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def code_version(*modules: str) -> str:
    """Version of what the named modules or packages do.

    Parameters
    ----------
    modules
        Dotted names. A package counts with all modules below it.

    Returns
    -------
    str
        SHA-256 over the names of their files and their syntax trees, docstrings removed.

    Raises
    ------
    ModuleNotFoundError
        If a module has no Python source.
    """
    return sha256_of({name: _behaviours(name) for name in modules})


def _behaviours(module: str) -> dict[str, str]:
    """Syntax trees by file name, relative to the module's own."""
    spec = importlib.util.find_spec(module)
    if spec is None or not (spec.origin or "").endswith(".py"):
        raise ModuleNotFoundError(f"no source for {module!r}: it cannot be part of a code version")
    path = Path(str(spec.origin))
    files = path.parent.rglob("*.py") if path.name == "__init__.py" else [path]
    return {file.relative_to(path.parent).as_posix(): _behaviour(file) for file in files}


@cache
def _behaviour(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return ast.dump(_WithoutDocstrings().visit(tree))


class _WithoutDocstrings(ast.NodeTransformer):
    """Removes every constant that stands alone: docstrings, those of attributes included."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        return None if isinstance(node.value, ast.Constant) else node


@dataclass(frozen=True)
class Origin:
    """What a part of a table was made from.

    Parameters
    ----------
    code
        Modules whose behaviour decides the result.
    inputs
        Data version (or checksum) of everything that was read, by name.
    settings
        Everything else that decides it; JSON values.
    libraries
        Distributions whose release may change the numbers.
    """

    code: tuple[str, ...]
    inputs: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    libraries: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The origin as it is stored beside the data."""
        return {
            "code_version": code_version(*self.code),
            "inputs": dict(self.inputs),
            "settings": dict(self.settings),
            "libraries": {name: version(name) for name in self.libraries},
        }
