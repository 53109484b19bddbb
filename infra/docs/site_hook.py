"""What MkDocs calls while it builds the site: adds the pages that are made, and leads links.

The pages of `docs/` stand as they are, for those who read them in the repository. Pages of the
top folder are added with their links changed; a link from `docs/` to them, too.
"""

from __future__ import annotations

import logging
import posixpath
import re
from pathlib import Path
from typing import Any, Final

from flowcharts import drawn
from mkdocs.structure.files import File, Files
from notebook_pages import notebook_pages
from reference_pages import api_pages, command_pages, table_pages

PROJECT: Final = Path(__file__).parents[2]
TOP_PAGES: Final = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Pages of the top folder, by their place in the site."""

REPOSITORY: Final = {"README.md": "index.md", "LICENSE": "index.md"} | TOP_PAGES
"""Where links to files of the top folder lead in the site."""

LINK: Final = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)\s]*)?\)")


FLOWCHART: Final = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)

LOADED: Final = re.compile(r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=\"https?://[^>]*>")
"""What a browser would fetch from another host."""

log = logging.getLogger("mkdocs.hooks")


def _made() -> dict[str, str | bytes]:
    pages: dict[str, str | bytes] = {**table_pages(), **command_pages(), **api_pages()}
    for name, place in TOP_PAGES.items():
        page = (PROJECT / name).read_text("utf-8")
        pages[place] = LINK.sub(_from_top, page)
    return pages | notebook_pages()


def _from_top(link: re.Match[str]) -> str:
    path, anchor = link[1], link[2] or ""
    return f"]({REPOSITORY.get(path, path.removeprefix('docs/'))}{anchor})"


def on_config(config: Any) -> Any:
    """Put the pages that are made into the navigation: an entry ``folder/`` becomes its pages."""
    config["made_pages"] = made = _made()

    def expanded(entry: Any) -> Any:
        if isinstance(entry, list):
            return [expanded(part) for part in entry]
        if isinstance(entry, dict):
            return {title: expanded(part) for title, part in entry.items()}
        if not entry.endswith("/"):
            return entry
        index = f"{entry}index.md"
        written = {str(p.relative_to(PROJECT / "docs")) for p in PROJECT.glob(f"docs/{entry}*.md")}
        pages = {p for p in {*made, *written} if p.startswith(entry) and p.endswith(".md")}
        return [page for page in (index,) if page in pages] + sorted(
            pages - {index}, key=lambda page: page.removesuffix(".md")
        )

    config["nav"] = expanded(config["nav"])
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made."""
    for path, content in config["made_pages"].items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead links to the top folder to the pages of the site, and draw flowcharts."""
    folder = posixpath.dirname(page.file.src_uri)

    def led(link: re.Match[str]) -> str:
        place = posixpath.normpath(posixpath.join("docs", folder, link[1]))
        if place not in REPOSITORY:
            return link[0]
        target = posixpath.relpath(REPOSITORY[place], folder or ".")
        return f"]({target}{link[2] or ''})"

    return FLOWCHART.sub(lambda chart: drawn(chart[1]), LINK.sub(led, markdown))


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Warn of what a page loads from another host: it is to be read without a network."""
    for element in LOADED.findall(output):
        if 'rel="canonical"' not in element:
            log.warning("%s loads from another host: %s", page.file.src_uri, element)
    return output
