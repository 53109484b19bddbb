"""Imports from another package stop at its entry point, which names what the package offers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).parents[1]
COMPOSITION: Final = "orchestration"
"""Puts everything together, and may name any module."""

SECTION = re.compile(r"^(?P<title>[A-Z][A-Za-z ]+)\n-{3,}\n", re.MULTILINE)
NAMED: Final = r"^\*{0,2}(\w+(?:, \*{0,2}\w+)*)(?: :.*)?$"
TOPS: Final = ("genept", "validation", "assets", COMPOSITION)
FILES: Final = {
    ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__"): path
    for top in TOPS
    for path in sorted((PROJECT / top).rglob("*.py"))
}
PACKAGES: Final = {name for name, path in FILES.items() if path.name == "__init__.py"}


def package_of(module: str) -> str:
    return module if module in PACKAGES else module.rpartition(".")[0]


def reaching_past(module: str, source: str) -> Iterator[str]:
    """Modules that `module` imports although another package's entry point stands before them."""
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


def test_an_import_that_reaches_past_is_seen() -> None:
    (bucket,) = (name for name in FILES if name.endswith("storage.object_store"))
    source = f"from {bucket} import ObjectStore"
    assert list(reaching_past("genept.models.registry", source)) == [bucket]
    assert not list(reaching_past("genept.storage.lake", source))
    assert not list(reaching_past("genept.models.registry", "from genept.storage import Lake"))
