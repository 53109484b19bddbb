"""The public API of each package: it is imported from the entry point only, and documented."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).parents[1]
COMPOSITION: Final = "orchestration"
"""The composition root, which may import any module."""

SECTION = re.compile(r"^(?P<title>[A-Z][A-Za-z ]+)\n-{3,}\n", re.MULTILINE)
NAMED: Final = r"^\*{0,2}(\w+(?:, \*{0,2}\w+)*)(?: :.*)?$"
TOPS: Final = ("genept", "validation", "assets", COMPOSITION)
UNDOCUMENTED: Final = ("assets",)
"""Definitions of Dagster, which one sentence describes in its UI."""
FILES: Final = {
    ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__"): path
    for top in TOPS
    for path in sorted((PROJECT / top).rglob("*.py"))
}
PACKAGES: Final = {name for name, path in FILES.items() if path.name == "__init__.py"}


def package_of(module: str) -> str:
    return module if module in PACKAGES else module.rpartition(".")[0]


def reaching_past(module: str, source: str) -> Iterator[str]:
    """Modules that `module` imports directly instead of through their package's entry point."""
    own = package_of(module)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            named = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            named = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in named:
            package = package_of(name)
            if name not in FILES or name in PACKAGES or package == "genept":
                continue
            if own != package and not own.startswith(f"{package}."):
                yield name


def test_no_import_reaches_past_the_entry_point_of_another_package() -> None:
    reaching = {
        module: imported
        for module, path in FILES.items()
        if not module.startswith(COMPOSITION)
        and (imported := sorted(set(reaching_past(module, path.read_text()))))
    }
    assert not reaching


def test_an_import_that_reaches_past_is_detected() -> None:
    (bucket,) = (name for name in FILES if name.endswith("storage.object_store"))
    source = f"from {bucket} import ObjectStore"
    assert list(reaching_past("genept.models.registry", source)) == [bucket]
    assert not list(reaching_past("genept.storage.lake", source))
    assert not list(reaching_past("genept.models.registry", "from genept.storage import Lake"))


# --- documentation ------------------------------------------------------------------------


@dataclass(frozen=True)
class Exported:
    """A function or class that a package offers."""

    name: str
    node: ast.FunctionDef | ast.ClassDef


def exported() -> Iterator[Exported]:
    for package in sorted(PACKAGES - {*UNDOCUMENTED}):
        stub = FILES[package].with_suffix(".pyi")
        if not stub.exists():
            continue
        for statement in ast.parse(stub.read_text()).body:
            if isinstance(statement, ast.ImportFrom):
                tree = ast.parse(FILES[f"{package}.{statement.module}"].read_text())
                names = {alias.name for alias in statement.names}
                for node in tree.body:
                    if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in names:
                        yield Exported(f"{package}.{node.name}", node)


def sections(docstring: str) -> dict[str, str]:
    titles = list(SECTION.finditer(docstring))
    ends = [*(match.start() for match in titles[1:]), len(docstring)]
    return {
        match["title"]: docstring[match.end() : end]
        for match, end in zip(titles, ends, strict=False)
    }


def parameters(node: ast.FunctionDef) -> list[str]:
    listed = node.args
    every = [*listed.posonlyargs, *listed.args, *listed.kwonlyargs]
    every += [argument for argument in (listed.vararg, listed.kwarg) if argument]
    return [
        argument.arg
        for argument in every
        if argument.arg not in {"self", "cls"} and argument.arg[0] != "_"
    ]


def fields(node: ast.ClassDef) -> list[str]:
    """Parameters of a class: those of `__init__`, or the fields of a dataclass."""
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            return parameters(statement)
    if not any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        return []
    return [
        statement.target.id
        for statement in node.body
        if isinstance(statement, ast.AnnAssign)
        and isinstance(statement.target, ast.Name)
        and not statement.target.id.startswith("_")
        and "ClassVar" not in ast.unparse(statement.annotation)
        and "init=False" not in ast.unparse(statement)
    ]


def lacking(node: ast.FunctionDef | ast.ClassDef) -> list[str]:
    """What the documentation of a function or class lacks."""
    docstring = ast.get_docstring(node)
    if not docstring:
        return ["docstring"]
    by_title = sections(docstring)
    listed = by_title.get("Parameters", "")
    named = set(re.findall(NAMED, listed, re.MULTILINE))
    documented = {name.strip("* ") for line in named for name in line.split(",")}
    required = fields(node) if isinstance(node, ast.ClassDef) else parameters(node)
    missing = [name for name in required if name not in documented]
    if isinstance(node, ast.FunctionDef):
        returned = ast.unparse(node.returns) if node.returns else "None"
        if returned not in {"None", "Never", "NoReturn"} and not {"Returns", "Yields"} & set(
            by_title
        ):
            missing.append("Returns")
    else:
        missing += [
            f"{statement.name}()"
            for statement in node.body
            if isinstance(statement, ast.FunctionDef)
            and not statement.name.startswith("_")
            and not ast.get_docstring(statement)
        ]
    return missing


def test_exported_functions_and_classes_are_documented() -> None:
    undocumented = {item.name: missing for item in exported() if (missing := lacking(item.node))}
    assert not undocumented


def test_missing_documentation_is_detected() -> None:
    source = '''
def pooled(vectors, weights) -> list[float]:
    """Pool vectors.

    Parameters
    ----------
    vectors
        Observations × dimensions.
    """
'''
    (node,) = ast.parse(source).body
    assert isinstance(node, ast.FunctionDef)
    assert lacking(node) == ["weights", "Returns"]
