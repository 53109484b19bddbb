"""Versions change with what code does, and with nothing else."""

from __future__ import annotations

import ast
import asyncio
import importlib
import os
import shutil
import sys
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import genept
from genept.storage import code_versions
from genept.storage.code_versions import code_version

SOURCE = '''"""What it is for."""
SIZE = 3
"""How large."""


def double(x: int) -> int:
    """Twice as much."""
    # because
    return 2 * x


class Thing:
    """A thing."""

    name: str = "a"
    """Its name."""
'''

SAME = {
    "a comment": SOURCE.replace("# because", "# for another reason"),
    "formatting": SOURCE.replace("2 * x", "(2   *\n        x)"),
    "the module's docstring": SOURCE.replace("What it is for.", "What it does."),
    "a function's docstring": SOURCE.replace('    """Twice as much."""\n', ""),
    "a class's docstring": SOURCE.replace("A thing.", "Some thing."),
    "a constant's docstring": SOURCE.replace("How large.", "How big."),
    "an attribute's docstring": SOURCE.replace('    """Its name."""\n', ""),
}
OTHER = {
    "a number": SOURCE.replace("2 * x", "3 * x"),
    "an operator": SOURCE.replace("2 * x", "2 + x"),
    "a constant": SOURCE.replace("SIZE = 3", "SIZE = 4"),
    "a default": SOURCE.replace('"a"', '"b"'),
    "a text that is used": SOURCE.replace("return 2 * x", 'return len("Twice") * x'),
    "one more statement": SOURCE + "\nprint(SIZE)\n",
}


Version = Callable[..., str]


def forget() -> None:
    """What this process remembers; files beside the bytecode stay."""
    code_versions.code_version.cache_clear()
    code_versions._behaviour.cache_clear()


@pytest.fixture
def version_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Version:
    """The code version of a package that consists of the given files."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "measured", raising=False)  # that of another test

    def measure(**files: str) -> str:
        shutil.rmtree(tmp_path / "measured", ignore_errors=True)
        for name, source in {"__init__": "", **files}.items():
            path = tmp_path / "measured" / (name if "." in name else f"{name}.py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        importlib.invalidate_caches()
        forget()
        return code_version("measured")

    return measure


@pytest.mark.parametrize("changed", SAME.values(), ids=SAME)
def test_what_does_nothing_does_not_count(version_of: Version, changed: str) -> None:
    assert changed != SOURCE
    assert version_of(thing=changed) == version_of(thing=SOURCE)


@pytest.mark.parametrize("changed", OTHER.values(), ids=OTHER)
def test_behaviour_counts(version_of: Version, changed: str) -> None:
    assert changed != SOURCE
    assert version_of(thing=changed) != version_of(thing=SOURCE)


class WithoutDocstrings(ast.NodeTransformer):
    """Removes expressions that are constants."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        return None if isinstance(node.value, ast.Constant) else node


@pytest.mark.parametrize("package", [genept, asyncio, unittest], ids=lambda each: each.__name__)
def test_the_text_of_a_syntax_tree_is_that_of_the_standard_library(package: ModuleType) -> None:
    """Otherwise a comment could build every part of every lake anew."""
    for path in Path(str(package.__file__)).parent.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert code_versions._dump(tree) == ast.dump(WithoutDocstrings().visit(tree)), path


def test_a_package_counts_with_all_below_it_under_their_names(version_of: Version) -> None:
    versions = [
        version_of(thing="x = 1"),
        version_of(thing="x = 1", other=""),
        version_of(other="x = 1"),
        version_of(**{"below/__init__": "", "below/thing": "x = 1"}),
        version_of(**{"below/__init__": "", "below/thing": "x = 2"}),
    ]
    assert len(set(versions)) == len(versions)


@pytest.mark.parametrize("file", ["tables.toml", "below/gene_tasks.toml"])
def test_declarations_count_and_their_comments_do_not(version_of: Version, file: str) -> None:
    declared, commented, other = (
        version_of(**{file: text}) for text in ("n = 1", "n = 1  # rows", "n = 2")
    )
    assert declared == commented
    assert other != declared


def test_a_module_counts_alone(version_of: Version) -> None:
    version_of(thing="x = 1", other="y = 1")
    before = code_version("measured.thing")
    version_of(thing="x = 1", other="y = 2")
    assert code_version("measured.thing") == before


@pytest.mark.parametrize("name", ["sys", "math", "no_such_module"])
def test_code_without_a_source_has_no_version(name: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=f"no source for '{name}'"):
        code_version(name)


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are parsed from now on."""
    names: list[str] = []
    text_of = code_versions._text_of

    def recorded(path: Path) -> str:
        names.append(path.name)
        return text_of(path)

    monkeypatch.setattr(code_versions, "_text_of", recorded)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    return names


def test_a_file_is_parsed_once_for_all_processes(
    version_of: Version, parsed: list[str], tmp_path: Path
) -> None:
    version = version_of(thing="x = 1", **{"below/tables.toml": "n = 1"})
    assert sorted(parsed) == ["__init__.py", "tables.toml", "thing.py"]
    forget()
    assert code_version("measured") == version
    assert len(parsed) == 3

    thing = tmp_path / "measured" / "thing.py"
    status = thing.stat()
    thing.write_text("x = 2")  # as long as before
    os.utime(thing, ns=(status.st_atime_ns, status.st_mtime_ns))
    forget()
    assert code_version("measured") != version
    assert parsed[3:] == ["thing.py"]


@pytest.mark.parametrize(
    "left",
    ["", "0 0 0 0 1 3.11\n" + "0" * 64, "no hash", "\xff"],
    ids=["empty", "old", "text", "bytes"],
)
def test_what_else_lies_beside_the_bytecode_is_not_believed(
    version_of: Version, parsed: list[str], tmp_path: Path, left: str
) -> None:
    version = version_of(thing="x = 1")
    (kept,) = (tmp_path / "measured").rglob("thing.py.behaviour")
    kept.write_text(left, "latin-1")
    forget()
    assert code_version("measured") == version
    assert parsed.count("thing.py") == 2


def test_a_folder_that_may_not_be_written_to_has_versions(
    version_of: Version, parsed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(tempfile, "mkstemp", refused)
    assert version_of(thing="x = 1") != version_of(thing="x = 2")


def test_without_bytecode_nothing_is_written(
    version_of: Version, parsed: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    version_of(thing="x = 1")
    assert not list(tmp_path.rglob("*.behaviour"))


def test_the_version_of_the_schema_does_not_count_and_its_declarations_do(
    version_of: Version,
) -> None:
    """A raise says what readers find; it computes nothing, so that nothing is made anew."""
    declared = 'SCHEMA_VERSION: Final = "{}"\nN: Final = {}\n'
    first, raised, other = (
        version_of(tables=declared.format(*each))
        for each in (("1.10.0", 1), ("2.0.0", 1), ("2.0.0", 2))
    )
    assert first == raised
    assert other != raised
    elsewhere = [version_of(tables=f"def f():\n    SCHEMA_VERSION: str = '{n}'\n") for n in "12"]
    assert len(set(elsewhere)) == 2, "only the constant of a module"
