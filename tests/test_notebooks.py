"""The wheel with everything, from outside a checkout: a demo release, and the notebooks on it.

Executed notebooks are kept under `.genept/notebooks/`, from which `make docs` takes them.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from wheels import PROJECT, installed_wheel, run

NAMES = sorted(path.stem for path in (PROJECT / "docs" / "notebooks").glob("*.py"))
KEPT = PROJECT / ".genept" / "notebooks"
RUNNER = PROJECT / "infra" / "docs" / "run_notebooks.py"

pytestmark = [pytest.mark.index, pytest.mark.slow, pytest.mark.timeout(1800)]


@dataclass(frozen=True)
class Executed:
    """A run of all notebooks."""

    python: Path
    folder: Path
    result: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executed]:
    """All notebooks, run by the Python of a clean environment with the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    python = installed_wheel(folder, "[docs]", locked=True)
    for stale in KEPT.glob("*.ipynb"):
        stale.unlink()
    yield Executed(python, folder, run(python, "-P", RUNNER, folder / "demo", KEPT, cwd=folder))
    run(python.with_name("genept"), "store", "stop", cwd=folder / "demo")


def test_the_wheel_is_what_is_imported(executed: Executed) -> None:
    code = (
        "import genept, validation, assets, orchestration as o; print(genept.__file__, o.__file__)"
    )
    imported = run(executed.python, "-P", "-c", code, cwd=executed.folder / "demo")
    places = imported.stdout.split()
    assert len(places) == 2, imported.stderr
    assert all(str(executed.python.parents[1]) in place for place in places)


@pytest.mark.parametrize("name", NAMES)
def test_the_notebook_runs_and_what_it_asserts_is_true(executed: Executed, name: str) -> None:
    kept = KEPT / f"{name}.ipynb"
    assert kept.exists(), executed.result.stdout[-5000:] + executed.result.stderr[-2000:]
    cells = [cell for cell in json.loads(kept.read_text("utf-8"))["cells"] if cell["source"]]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] for cell in code)
    assert any(line.startswith("assert ") for cell in code for line in cell["source"])
    kinds = {output["output_type"] for cell in code for output in cell["outputs"]}
    assert kinds & {"execute_result", "display_data"}
    assert "error" not in kinds


def test_the_site_shows_what_was_printed(executed: Executed) -> None:
    code = (
        "import json, sys, notebook_pages as pages; "
        "json.dump(pages.notebook_pages(), sys.stdout, default=len)"
    )
    environment = os.environ | {"GENEPT_NOTEBOOKS": "executed"}
    made = run(executed.python, "-c", code, cwd=RUNNER.parent, env=environment)
    assert made.returncode == 0, made.stderr
    pages = json.loads(made.stdout)
    assert {f"notebooks/{name}.md" for name in NAMES} <= set(pages)
    assert "<td>IRF1</td>" in pages["notebooks/analyst.md"]
    pictures = [name for name in pages if name.endswith(".png")]
    assert pictures
    assert all(f"]({Path(name).relative_to('notebooks')})" in "".join(map(str, pages.values()))
               for name in pictures)  # fmt: skip


def test_parameters_that_are_described_together_are_taken_apart(executed: Executed) -> None:
    code = (
        "from griffe_names import apart; "
        "print(apart('Say.\\n\\nParameters\\n---\\na, b\\n    Text,\\n    more.\\nc\\n    Other.'))"
    )
    made = run(executed.python, "-c", code, cwd=RUNNER.parent)
    alone = ["a", "    Text,", "    more.", "b", "    Text,", "    more.", "c", "    Other."]
    assert made.stdout.splitlines()[4:] == alone, made.stderr
