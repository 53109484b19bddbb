"""Texts that are harmful if they are shown without escaping."""

from __future__ import annotations

from markdown_it import MarkdownIt

HOSTILE = (
    "<svg onload=alert(1)>",
    "<scr<script></script>ipt>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "[a](javascript:alert(1))",
    "![a](https://evil.example/seen.png)",
    "<a href=javascript:alert(1)>a</a>",
    "` `` **b** _i_ ~~s~~ | x | \\",
    "&lt;b&gt; &#60;script&#62;",
    "- item",
    "1. item",
    "# heading",
    "> quoted",
    "---",
    "=====",
    "a\n\n<script>alert(1)</script>\n```\n",
    "<!-- a", "<![CDATA[ a", "<?php",
    "[a]: https://evil.example",
    "\x1b]0;title\x07\x1b[2J\u202egnp.exe",
)  # fmt: skip

PERMISSIVE = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
"""Passes HTML through, as some Markdown renderers do."""
