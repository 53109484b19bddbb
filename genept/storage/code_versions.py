"""Versions of code: what a step computes changes with them, comments and formatting do not count.

The version of a module is the hash of its syntax tree without docstrings, that of a package also of
what it declares in files. Hashes are kept beside Python's bytecode, as parsing takes seconds.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import sys
import tempfile
import tomllib
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

from genept.storage.hashes import sha256_of

DECLARATIONS: Final = ("tables.toml", "gene_tasks.toml")
"""Files that count as code: no input and no setting of a step says what is in them."""


@cache
def code_version(*modules: str) -> str:
    """Return the version of the code of modules or packages.

    Parameters
    ----------
    modules
        Dotted names. A package includes all modules below it.

    Returns
    -------
    str
        SHA-256 of the names of their files and their syntax trees without docstrings; in a package
        also of its `DECLARATIONS`.

    Raises
    ------
    ModuleNotFoundError
        A module has no Python source.
    """
    return sha256_of({name: _behaviours(name) for name in modules})


def _behaviours(module: str) -> dict[str, str]:
    """Hashes by file name, relative to the module's own."""
    spec = importlib.util.find_spec(module)
    if spec is None or not (spec.origin or "").endswith(".py"):
        raise ModuleNotFoundError(f"no source for {module!r}: it cannot be part of a code version")
    path = Path(str(spec.origin))
    files = [path]
    if path.name == "__init__.py":
        files = [file for name in ("*.py", *DECLARATIONS) for file in path.parent.rglob(name)]
    return {file.relative_to(path.parent).as_posix(): _behaviour(file) for file in files}


@cache
def _behaviour(path: Path) -> str:
    """Hash of what a file does; read from beside its bytecode if the file is still the same."""
    status = path.stat()
    same = f"{status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {_RULES}\n"
    kept = _kept_at(path)
    with suppress(OSError, UnicodeDecodeError):
        text = kept.read_text("ascii")
        if text.startswith(same) and len(text) == len(same) + 64:
            return text.removeprefix(same)
    behaviour = hashlib.sha256(_text_of(path).encode()).hexdigest()
    if not sys.dont_write_bytecode:
        with suppress(OSError):  # a folder that may not be written to
            _replace(kept, same + behaviour)
    return behaviour


NO_BEHAVIOUR: Final = {"SCHEMA_VERSION": "1.10.0"}
"""Constants that no step computes anything with, and the value that is hashed in place of theirs:
the one that they had when they were taken out of the hashes, so that what was made before then is
not made anew. The version of the schema says what readers of a release find; what a step makes
depends on the declarations themselves."""


_RULES: Final = f"2 {sys.version_info.major}.{sys.version_info.minor}"
"""Of these hashes: another number, or another grammar of Python, makes them anew."""


def _kept_at(path: Path) -> Path:
    bytecode = Path(importlib.util.cache_from_source(os.fspath(path)))
    return bytecode.with_name(f"{path.name}.behaviour")


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, new = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
        Path(new).replace(path)
    except OSError:
        Path(new).unlink(missing_ok=True)
        raise


def _text_of(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".toml":
        return repr(tomllib.loads(text))
    tree = ast.parse(text)
    for statement in tree.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            name = statement.target.id
            if name in NO_BEHAVIOUR and isinstance(statement.value, ast.Constant):
                statement.value.value = NO_BEHAVIOUR[name]
    return _dump(tree)


def _dump(node: ast.AST) -> str:
    """Text of `ast.dump` without constant expressions (docstrings), in half the time."""
    kind = type(node)
    fields = []
    for name in kind._fields:
        value = getattr(node, name, None)
        if isinstance(value, ast.AST):
            text = _dump(value)
        elif isinstance(value, list):
            entries = [
                _dump(entry) if isinstance(entry, ast.AST) else repr(entry)
                for entry in value
                if not (isinstance(entry, ast.Expr) and isinstance(entry.value, ast.Constant))
            ]
            text = f"[{', '.join(entries)}]"
        elif value is None and getattr(kind, name, ...) is None:  # optional, and left out
            continue
        else:
            text = repr(value)
        fields.append(f"{name}={text}")
    return f"{kind.__name__}({', '.join(fields)})"
