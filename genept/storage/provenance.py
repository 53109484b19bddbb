"""Where a stored thing comes from: the code, inputs and settings that made it; and parts of tables.

An origin that has been seen before means that the result is already in the lake. Code counts by
what it does: comments, docstrings and formatting do not change its version.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genept.common.errors import StoreError
from genept.storage.parquet import Rows, WrittenFile


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


@dataclass(frozen=True)
class NewPart:
    """Rows on their way into the lake: one partition of one table, or a numbered piece of it.

    A file that `write_parquet` wrote already, in another process perhaps, is moved in.
    """

    table: str
    rows: Rows | WrittenFile
    partition: tuple[str, ...] = ()
    dimension: int | None = None
    number: int = 0


@dataclass(frozen=True)
class Part:
    """One partition of one table, or a numbered piece of it, as it lies in the lake."""

    table: str
    partition: tuple[str, ...]
    key: str
    bytes: int
    sha256: str
    rows: int
    dimension: int | None
    origin: dict[str, Any]
    number: int = 0


@dataclass(frozen=True)
class StoredTable:
    """A whole table: the parts it consists of, in order of their partitions."""

    table: str
    parts: tuple[Part, ...]

    @property
    def rows(self) -> int:
        """Rows in all parts."""
        return sum(part.rows for part in self.parts)

    @property
    def bytes(self) -> int:
        """Size of all parts as stored."""
        return sum(part.bytes for part in self.parts)

    @property
    def data_version(self) -> str:
        """Changes when, and only when, the content does."""
        return sha256_of(self.table, [(part.partition, part.sha256) for part in self.parts])

    def part(self, *partition: str) -> Part:
        """The part of a partition that is in one piece."""
        found = [part for part in self.parts if part.partition == partition]
        if len(found) > 1:
            raise StoreError(f"{self.table}: {'/'.join(partition)!r} is in {len(found)} pieces")
        if not found:
            known = ", ".join("/".join(part.partition) for part in self.parts) or "none"
            raise StoreError(f"{self.table} has no part {'/'.join(partition)!r}; it has: {known}")
        return found[0]

    def matching(self, *prefix: str) -> list[Part]:
        """The parts whose partition starts with `prefix`."""
        return [part for part in self.parts if part.partition[: len(prefix)] == prefix]


def _body(parts: Sequence[Part]) -> bytes:
    return json.dumps([asdict(part) for part in parts], sort_keys=True).encode()


def _parts(body: bytes) -> list[Part]:
    return [Part(**{**entry, "partition": tuple(entry["partition"])}) for entry in json.loads(body)]
