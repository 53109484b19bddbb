"""Pages of the notebooks: executed ones with their outputs, the others as code.

`run_notebooks.py` executes them. An executed notebook of an earlier version of its source is not
shown; with ``GENEPT_NOTEBOOKS=executed`` it is an error that one is missing, as in CI.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any, Final

import jupytext
import nbformat
from nbconvert import MarkdownExporter

PROJECT: Final = Path(__file__).parents[2]
SOURCES: Final = PROJECT / "docs" / "notebooks"
EXECUTED: Final = PROJECT / ".genept" / "notebooks"
NOT_EXECUTED: Final = """\
!!! note
    Without what the cells print: `make notebooks` runs them, and the site built after it shows it.
"""


def _notebook(source: Path) -> tuple[Any, bool]:
    """The notebook, and whether it was executed as it stands."""
    kept = EXECUTED / f"{source.stem}.ipynb"
    if kept.exists():
        notebook = nbformat.read(kept, as_version=4)
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        if notebook.metadata.get("source_sha256") == digest:
            return notebook, True
    if os.environ.get("GENEPT_NOTEBOOKS") == "executed":
        raise FileNotFoundError(f"{kept}: {source.name} was not executed as it stands")
    return jupytext.read(source), False


def _shown(notebook: Any) -> Any:
    """The notebook without logs, its tables in the style of the site."""
    for cell in notebook.cells:
        outputs = cell.get("outputs", [])
        cell_outputs = [output for output in outputs if output.get("name") != "stderr"]
        for output in cell_outputs:
            if table := output.get("data", {}).get("text/html"):
                table = re.sub(r"<style>.*?</style>", "", table, flags=re.DOTALL)
                table = re.sub(r"<table[^>]*>", "<table>", table)
                output["data"]["text/html"] = re.sub(
                    r"<td>&quot;(.*?)&quot;</td>", r"<td>\1</td>", table
                )
        if outputs:
            cell["outputs"] = cell_outputs
    return notebook


def notebook_pages() -> dict[str, str | bytes]:
    """Pages and their pictures, by path."""
    pages: dict[str, str | bytes] = {}
    for source in sorted(SOURCES.glob("*.py")):
        notebook, is_executed = _notebook(source)
        resources = {"output_files_dir": f"{source.stem}_files", "unique_key": source.stem}
        page, resources = MarkdownExporter().from_notebook_node(_shown(notebook), resources)
        heading, _, rest = page.strip().partition("\n")
        remark = f"Source: `docs/notebooks/{source.name}`.\n"
        if not is_executed:
            remark = f"{NOT_EXECUTED}\n{remark}"
        pages[f"notebooks/{source.stem}.md"] = f"{heading}\n\n{remark}\n{rest}\n"
        pages |= {f"notebooks/{name}": data for name, data in resources["outputs"].items()}
    return pages
