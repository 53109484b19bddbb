"""Pages about checks that a release carries: Great Expectations' data docs, made to stand alone.

Data docs load styles, scripts and pictures from a dozen hosts. A page in a release
must be readable offline and must tell nobody that it was opened, so what is fetched
from elsewhere is taken out and a small style put in.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Final

from genept.store.manifest import Evidence

_FOREIGN: Final = re.compile(
    rb"<script\b[^>]*>.*?</script>|<link\b[^>]*>|<img\b[^>]*>|<footer\b.*?</footer>"
    rb"|url\(['\"]?https?:[^)]*\)",
    re.DOTALL | re.IGNORECASE,
)
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
    """A data docs page without anything that is fetched from elsewhere."""
    own = _FOREIGN.sub(b"", page.encode())
    own = re.sub(rb'href="(?!#)[^"]*"', b'href="index.html"', own)
    style = f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
    return own.replace(b"</head>", style.encode(), 1)


def index_page(evidence: Iterable[Evidence]) -> bytes:
    """What was checked of every table, what came out, and where to read more."""
    rows = "".join(
        f'<tr><td><a href="{one.table}.html">{one.table}</a></td><td>{one.expectations}</td>'
        f"<td>{_findings(one)}</td><td><code>{one.data_version[:12]}</code></td></tr>"
        for one in evidence
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Checks</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        "<h1>Checks</h1><p>Every table of this release against its declaration.</p><table><tr>"
        "<th>table</th><th>expectations</th><th>findings</th><th>data version</th></tr>"
        f"{rows}</table></body></html>"
    ).encode()


def _findings(evidence: Evidence) -> str:
    failed = [f'<span class="failed">{html.escape(one)}</span>' for one in evidence.failed]
    return "<br>".join([*failed, *map(html.escape, evidence.warnings)]) or "all hold"
