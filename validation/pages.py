"""Pages about checks that a release carries: Great Expectations' data docs, made to stand alone.

Data docs load styles, scripts and pictures from a dozen hosts. A page in a release
must be readable offline and must tell nobody that it was opened, so what is fetched
from elsewhere is taken out and a small style put in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html.parser import HTMLParser
from typing import Final

from genept.escaping import NO_SCRIPTS, html_text
from genept.store.manifest import Evidence

_LEFT_OUT: Final = frozenset({"script", "link", "img", "footer", "iframe", "object", "embed"})
_EMPTY: Final = frozenset({"link", "img", "embed", "br", "hr", "meta", "input", "col", "wbr"})
_FETCHED: Final = re.compile(r"url\(['\"]?https?:[^)]*\)", re.IGNORECASE)
_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; }
body { padding: 0 1rem; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; display: block; overflow-x: auto; }
td, th { border: 1px solid #8886; padding: .3rem .7rem; text-align: left; vertical-align: top; }
ol, ul { padding-left: 1.2rem; }
.failed { color: #c62828; font-weight: 600; }
.text-success::before { content: "✓"; }
.text-danger::before { content: "✗"; }
.card:has(input), .popover, .modal, .fixed-bottom, #ge-cta-footer { display: none; }
""".strip()


def standalone(page: str) -> bytes:
    """A data docs page without scripts, and without anything that is fetched from elsewhere.

    Values in it are text already (`validation.engine`): this is about the elements of the
    templates.
    """
    copy = _Standalone()
    copy.feed(page)
    copy.close()
    return "".join(copy.kept).encode()


class _Standalone(HTMLParser):
    """Writes again what it reads, but for elements and attributes that fetch or run something."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.kept: list[str] = []
        self._within: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _LEFT_OUT and tag not in _EMPTY:
            self._within.append(tag)
        if self._within or tag in _LEFT_OUT:
            return
        written = "".join(
            f" {name}" if value is None else f' {name}="{html_text(value)}"'
            for name, value in map(_own, attrs)
            if not name.startswith("on")
        )
        self.kept.append(f"<{tag}{written}>")
        if tag == "head":
            self.kept.append(NO_SCRIPTS)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _EMPTY:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._within:
            if tag == self._within[-1]:
                self._within.pop()
            return
        if tag == "head":
            self.kept.append(
                f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
            )
        if tag not in _EMPTY:
            self.kept.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        in_style = self.kept[-1:] and self.kept[-1].startswith("<style")
        self._keep(_FETCHED.sub("", data) if in_style else data)

    def handle_entityref(self, name: str) -> None:
        self._keep(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self._keep(f"&#{name};")

    def handle_decl(self, decl: str) -> None:
        self._keep(f"<!{decl}>")

    def _keep(self, text: str) -> None:
        if not self._within:
            self.kept.append(text)


def _own(attribute: tuple[str, str | None]) -> tuple[str, str | None]:
    """A link leads within the page or to the index, and a style fetches nothing."""
    name, value = attribute
    if value is not None and name in ("href", "src", "action", "formaction", "xlink:href"):
        return name, value if value.startswith("#") else "index.html"
    if value is not None and name == "style":
        return name, _FETCHED.sub("", value)
    return name, value


def index_page(evidence: Iterable[Evidence]) -> bytes:
    """What was checked of every table, what came out, and where to read more."""
    rows = "".join(
        f'<tr><td><a href="{html_text(one.table)}.html">{html_text(one.table)}</a></td>'
        f"<td>{one.expectations}</td><td>{_findings(one)}</td><td><code>{html_text(one.data_version[:12])}</code></td></tr>"
        for one in evidence
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{NO_SCRIPTS}'
        "<title>Checks</title>"
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        "<h1>Checks</h1><p>Every table of this release against its declaration.</p><table><tr>"
        "<th>table</th><th>expectations</th><th>findings</th><th>data version</th></tr>"
        f"{rows}</table></body></html>"
    ).encode()


def _findings(evidence: Evidence) -> str:
    failed = [f'<span class="failed">{html_text(one)}</span>' for one in evidence.failed]
    return "<br>".join([*failed, *map(html_text, evidence.warnings)]) or "all hold"
