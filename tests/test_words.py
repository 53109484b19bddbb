"""One word for one thing: finds retired words, names used twice, and modules too long to read."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path
from typing import Final

import pytest

PROJECT: Final = Path(__file__).parents[1]
PATTERNS: Final = ("*.py", "*.pyi", "*.md", "*.toml")
FOLDERS: Final = ("genept", "validation", "assets", "orchestration", "docs", "infra", "tests")
RETIRED: Final = {
    r"tills?": "budget",
    r"tellers?": "the run that pays",
    r"purses?": "spending limit",
    r"receipts?": "payment, ledger",
    r"floors|rooms?": "layer, package",
    r"nights?": "nightly run",
    r"at hand": "available",
    r"mend(s|ed|ing)?": "fix, repair",
    r"told|untold": "the noun that is meant",
    r"contests?": "task inputs",
    r"exhibits?": "report figures",
    r"twins?": "duplicates",
    r"rehears(al|e|es|ed)": "dry run",
    r"tempering": "calibration",
    r"outlook": "change detection",
    r"own[ _]spaces?": "registered gene vectors",
}
SPARED: Final = re.compile(
    r"receipt_id|b\"receipts\""  # a column of `embedding_ledger`, metadata of stored vectors
    r"|\bnight\b(?=[\"'`=]|: )"  # a column of `run_metrics`
    r"|\bfloor\b"  # an option of matrices, a field of stored calibrations, numpy's function
    r"|OLD53\\t"  # a gene
)
"""Stored or published names that have the word, and text that only resembles it."""

UNREAD: Final = {"CHANGELOG.md", Path(__file__).name}
LONG: Final[set[str]] = set()
"""Modules that are to be divided; none is to be added."""

SOURCES: Final = ("genept", "validation", "assets", "orchestration")


def files() -> list[Path]:
    top = [path for pattern in PATTERNS for path in PROJECT.glob(pattern)]
    below = [
        path for part in FOLDERS for pattern in PATTERNS for path in (PROJECT / part).rglob(pattern)
    ]
    return sorted(path for path in {*top, *below} if path.name not in UNREAD)


@pytest.fixture(scope="module")
def lines() -> list[tuple[str, str]]:
    """Place and text of every line that is read."""
    return [
        (f"{path.relative_to(PROJECT)}:{number}", SPARED.sub("", line))
        for path in files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    ]


@pytest.mark.parametrize("word", RETIRED)
def test_a_retired_word_is_not_used(word: str, lines: list[tuple[str, str]]) -> None:
    pattern = re.compile(rf"(?<![A-Za-z])({word})(?![A-Za-z])", re.IGNORECASE)
    uses = [f"{place}: {line.strip()[:80]}" for place, line in lines if pattern.search(line)]
    assert not uses, f"say {RETIRED[word]!r}"


def modules() -> list[Path]:
    return sorted(path for folder in SOURCES for path in (PROJECT / folder).rglob("*.py"))


def test_no_two_modules_have_one_name() -> None:
    by_name = defaultdict(list)
    for path in modules():
        if path.stem not in {"__init__", "__main__"}:
            by_name[path.stem].append(str(path.relative_to(PROJECT)))
    assert not {name: paths for name, paths in by_name.items() if len(paths) > 1}


def test_no_two_public_classes_have_one_name() -> None:
    by_name = defaultdict(list)
    for path in modules():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                by_name[node.name].append(str(path.relative_to(PROJECT)))
    assert not {name: paths for name, paths in by_name.items() if len(paths) > 1}


def test_no_further_module_is_longer_than_300_lines() -> None:
    lengths = {
        str(path.relative_to(PROJECT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in modules()
    }
    assert {name for name, length in lengths.items() if length > 300} == LONG


def entries_of(folder: Path) -> set[str]:
    return {
        path.name for path in folder.iterdir() if path.stem not in {"__init__", "__pycache__", "py"}
    }


def test_folders_stay_small_enough_to_be_read() -> None:
    library = PROJECT / "genept"
    folders = (library, *(path.parent for path in library.rglob("__init__.py")))
    entries = {folder: len(entries_of(folder)) for folder in folders}
    assert entries[library] <= 15
    assert not {str(folder): n for folder, n in entries.items() if n > 22}
