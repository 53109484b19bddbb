"""What the site's pages of reference say is what is declared."""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

import genept
from genept.common import Settings
from genept.schema.tables import TABLES

PROJECT = Path(__file__).parents[1]
SETTINGS = PROJECT / "docs" / "settings.md"


def of_the_site(module: str) -> ModuleType:
    """A module that makes pages, which is of no package."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "path", [str(PROJECT / "infra" / "docs"), *sys.path])
        return import_module(module)


def test_what_contributing_names_is_there() -> None:
    text = (PROJECT / "CONTRIBUTING.md").read_text("utf-8")
    named = set(re.findall(r"`((?:[\w-]+/)+[\w.-]+\.(?:py|toml|txt|md))`", text))
    assert len(named) > 40
    roots = (PROJECT, PROJECT / "genept" / "datasources")
    assert not sorted(name for name in named if not any((root / name).exists() for root in roots))


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    return of_the_site("reference_pages")


def test_the_page_of_settings_is_that_of_their_declaration(reference: ModuleType) -> None:
    page = SETTINGS.read_text("utf-8")
    made = reference.with_settings(page)
    if os.environ.get("GENEPT_RENEW_DOCS"):
        SETTINGS.write_text(made, "utf-8")
    assert page == made, "GENEPT_RENEW_DOCS=1 pytest -n 0 tests/test_docs_site.py renews it"


def test_every_setting_says_what_it_means_and_its_pages_exist(reference: ModuleType) -> None:
    assert not [name for name, field in Settings.model_fields.items() if not field.description]
    named = set(re.findall(r"\]\((\w+\.md)", reference.settings_table()))
    assert len(named) > 5
    assert not {page for page in named if not (PROJECT / "docs" / page).exists()}


def test_every_table_and_column_has_its_place(reference: ModuleType) -> None:
    pages = reference.table_pages()
    for table in TABLES.values():
        page = pages[f"reference/tables/{table.group}.md"]
        _, _, section = page.partition(f"## {table.name}\n")
        section = section.partition("\n## ")[0]
        assert table.meaning in section
        assert [c.name for c in table.columns if f"| `{c.name}` |" not in section] == []
    assert "[genes](nomenclature.md#genes)" in pages["reference/tables/text.md"]


def test_every_command_and_option_has_its_place(reference: ModuleType) -> None:
    pages = reference.command_pages()
    assert {"demo", "run", "genes", "release"} <= {Path(page).stem for page in pages}
    release = pages["reference/cli/release.md"]
    assert "## genept release rollback" in release
    assert "| `--reason` |" in release
    listed = pages["reference/cli/index.md"]
    assert not [page for page in pages if Path(page).name not in listed and "index" not in page]


def test_what_packages_offer_is_described_once(reference: ModuleType) -> None:
    pages = reference.api_pages()
    entries = [
        line.removeprefix("::: ")
        for page in pages.values()
        for line in page.splitlines()
        if line.startswith("::: ")
    ]
    assert len(entries) == len(set(entries)) > 500
    assert all(f"::: {getattr(genept, name).__module__}.{name}" in pages["reference/api/genept.md"]
               for name in genept.__all__)  # fmt: skip
    for entry in ("genept.text.embedders.Space", "genept.storage.lake.Lake"):
        package = ".".join(entry.split(".")[:2])
        assert f"::: {entry}\n" in pages[f"reference/api/{package}.md"]


def anchors_of(page: Path) -> set[str]:
    """Anchors of a page's headings, as its readers on GitHub and on the site have them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


def test_every_link_and_picture_of_the_readme_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#([^)]+))?\)", (PROJECT / "README.md").read_text("utf-8"))
    assert len(links) > 20
    assert not [path for path, _ in links if not (PROJECT / path).exists()]
    anchors = [(path, anchor) for path, anchor in links if anchor]
    assert not [link for link in anchors if link[1] not in anchors_of(PROJECT / link[0])]
    assert any(path.endswith(".png") for path, _ in links)


def test_pictures_are_small_and_shown() -> None:
    pages = [PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md")]
    shown = "".join(page.read_text("utf-8") for page in pages)
    pictures = list((PROJECT / "docs" / "images").glob("*.png"))
    assert pictures
    assert not [picture.name for picture in pictures if picture.stat().st_size > 200_000]
    assert not [picture.name for picture in pictures if f"images/{picture.name})" not in shown]


def test_words_of_a_cell_stay_as_they_are(reference: ModuleType) -> None:
    assert reference.text("a | b <c> `d_e` *f*") == r"a \| b \<c> `d_e` \*f\*"


def test_flowcharts_of_the_pages_are_drawn_downwards() -> None:
    flowcharts = of_the_site("flowcharts")
    pages = [page.read_text("utf-8") for page in (PROJECT / "docs").rglob("*.md")]
    sources = [chart for page in pages for chart in re.findall(r"```mermaid\n(.*?)```", page, re.S)]
    assert len(sources) >= 2
    for source in sources:
        labels, edges = flowcharts.read(source)
        rows = {
            node: at for at, row in enumerate(flowcharts.rows_of(labels, edges)) for node in row
        }
        assert set(rows) == set(labels)
        assert all(rows[tail] < rows[head] for tail, head in edges)
        svg = ElementTree.fromstring(flowcharts.drawn(source))  # noqa: S314  # our own
        assert len(svg.findall("rect")) == len(labels)
        assert len(svg.findall("path")) == len(edges)


def test_a_flowchart_beyond_what_is_read_is_refused() -> None:
    flowcharts = of_the_site("flowcharts")
    labels, edges = flowcharts.read('flowchart LR\n a --> b["two · parts"] --> c & d')
    assert labels == {"a": "a", "b": "two · parts", "c": "c", "d": "d"}
    assert edges == [("a", "b"), ("b", "c"), ("b", "d")]
    with pytest.raises(ValueError, match="is not understood"):
        flowcharts.read("flowchart LR\n a -.-> b")
    with pytest.raises(ValueError, match="leads to itself"):
        flowcharts.drawn("flowchart LR\n a --> b --> a")
