"""Versions change with what code does, and with nothing else."""

from __future__ import annotations

import ast
import asyncio
import hashlib
import importlib
import shutil
import unittest
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import genept
from genept.storage import provenance
from genept.storage.provenance import Origin, code_version, sha256_of, sha256_of_file

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


@pytest.fixture
def version_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Version:
    """The code version of a package that consists of the given files."""
    monkeypatch.syspath_prepend(tmp_path)

    def measure(**files: str) -> str:
        shutil.rmtree(tmp_path / "measured", ignore_errors=True)
        for name, source in {"__init__": "", **files}.items():
            path = tmp_path / "measured" / (name if "." in name else f"{name}.py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        importlib.invalidate_caches()
        provenance.code_version.cache_clear()
        provenance._behaviour.cache_clear()
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
    """Otherwise every part of every lake would be built anew."""
    for path in Path(str(package.__file__)).parent.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert provenance._dump(tree) == ast.dump(WithoutDocstrings().visit(tree)), path


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


@given(st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), min_size=2))
def test_hashes_do_not_depend_on_the_order_of_names(values: dict[str, object]) -> None:
    assert sha256_of(values) == sha256_of(dict(reversed(values.items())))


@given(st.lists(st.text(max_size=2), max_size=3), st.lists(st.text(max_size=2), max_size=3))
def test_different_values_have_different_hashes(values: list[str], others: list[str]) -> None:
    assert (sha256_of(*values) == sha256_of(*others)) == (values == others)
    assert sha256_of(values, others) != sha256_of([*values, *others])


def test_a_file_and_its_bytes_have_one_hash(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    assert sha256_of_file(tmp_path / "file") == hashlib.sha256(b"content").hexdigest()


def test_an_origin_tells_code_inputs_settings_and_libraries() -> None:
    origin = Origin(("genept.schema.columns",), {"genes": "1"}, {"seed": 3}, ("numpy",))
    assert origin.as_dict() == {
        "code_version": code_version("genept.schema.columns"),
        "inputs": {"genes": "1"},
        "settings": {"seed": 3},
        "libraries": {"numpy": np.__version__},
    }
