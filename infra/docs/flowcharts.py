"""Flowcharts of Mermaid, as the pages of `docs/` have them, drawn as SVG.

GitHub draws them itself. The site has no script that does, and would have to load one. Read are the
parts of the language that the pages use: ``a --> b & c``, ``a["label"]``, ``subgraph``; anything
else is an error. A node stands below all that lead to it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from html import escape
from itertools import pairwise
from typing import Final

HEADER: Final = re.compile(r"^(flowchart \w\w|direction \w\w|subgraph .*|end)$")
NODE: Final = re.compile(r'^(\w+)(?:\["?(.*?)"?\])?$')
SUBGRAPH: Final = re.compile(r'^subgraph (\w+)\["(.*)"\]$')
LETTER, LINE, GAP, ROW_GAP, PADDING = 7.2, 18, 24, 30, 10
LONGEST: Final = 26
"""Letters of a line of a label, about."""


def read(source: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Labels by node, and edges; what ends in a subgraph leads to it.

    Raises
    ------
    ValueError
        A line is not of the part of the language that is read.
    """
    labels: dict[str, str] = {}
    edges: list[tuple[str, str]] = []
    inside: tuple[str, int] | None = None
    for line in filter(None, map(str.strip, source.splitlines())):
        if titled := SUBGRAPH.match(line):
            labels[titled[1]] = titled[2]
            inside = (titled[1], len(edges))
        elif line == "end" and inside:
            name, first = inside
            last = {head for _, head in edges[first:]} - {tail for tail, _ in edges[first:]}
            edges += [(node, name) for node in sorted(last)]
        if HEADER.match(line):
            continue
        groups = []
        for group in line.split(" --> "):
            named = [NODE.match(node) for node in group.split(" & ")]
            if not all(named):
                raise ValueError(f"flowchart: {line!r} is not understood")
            for match in filter(None, named):
                if match[2] or match[1] not in labels:
                    labels[match[1]] = match[2] or labels.get(match[1], match[1])
            groups.append([match[1] for match in named if match])
        for tails, heads in pairwise(groups):
            edges += [(tail, head) for tail in tails for head in heads]
    return labels, edges


def rows_of(labels: dict[str, str], edges: list[tuple[str, str]]) -> list[list[str]]:
    """Nodes by row: each below all that lead to it, near the middle of those."""
    parents = defaultdict(list)
    for tail, head in edges:
        parents[head].append(tail)
    depth: dict[str, int] = {}

    def depth_of(node: str, below: tuple[str, ...] = ()) -> int:
        if node in below:
            raise ValueError(f"flowchart: {node} leads to itself")
        if node not in depth:
            depth[node] = max((depth_of(p, (*below, node)) + 1 for p in parents[node]), default=0)
        return depth[node]

    rows: list[list[str]] = [[] for _ in range(max(map(depth_of, labels)) + 1)]
    for node in labels:
        rows[depth[node]].append(node)
    place: dict[str, float] = {}
    for row in rows:
        middle = {
            node: sum(place[p] for p in parents[node]) / max(len(parents[node]), 1) for node in row
        }
        row.sort(key=middle.__getitem__)
        place |= {node: (number + 1) / (len(row) + 1) for number, node in enumerate(row)}
    return rows


def lines_of(label: str) -> list[str]:
    """A label in lines, cut between its parts."""
    lines: list[str] = []
    for part in label.split(" · "):
        if lines and len(lines[-1]) + len(part) + 3 <= LONGEST:
            lines[-1] += f" · {part}"
        else:
            lines.append(part)
    return lines


def drawn(source: str) -> str:
    """The flowchart as SVG, in the colours of the page."""
    labels, edges = read(source)
    text = {node: lines_of(label) for node, label in labels.items()}
    width = {node: max(map(len, text[node])) * LETTER + 2 * PADDING for node in labels}
    height = {node: len(text[node]) * LINE + PADDING for node in labels}
    rows = rows_of(labels, edges)
    widths = [sum(width[node] for node in row) + GAP * (len(row) - 1) for row in rows]
    whole, top = max(widths), PADDING / 2
    boxes: dict[str, tuple[float, float]] = {}
    for row, used in zip(rows, widths, strict=True):
        left = (whole - used) / 2
        for node in row:
            boxes[node] = (left, top)
            left += width[node] + GAP
        top += max(height[node] for node in row) + ROW_GAP
    parts = []
    for tail, head in edges:
        x1, y1 = boxes[tail][0] + width[tail] / 2, boxes[tail][1] + height[tail]
        x2, y2 = boxes[head][0] + width[head] / 2, boxes[head][1]
        bend = (y1 + y2) / 2
        parts.append(f'<path d="M{x1:.0f} {y1:.0f}C{x1:.0f} {bend:.0f} {x2:.0f} {bend:.0f} '
                     f'{x2:.0f} {y2:.0f}" class="edge"/>')  # fmt: skip
    for node, (left, upper) in boxes.items():
        parts.append(
            f'<rect x="{left:.0f}" y="{upper:.0f}" width="{width[node]:.0f}" '
            f'height="{height[node]:.0f}" rx="4"/>'
        )
        for number, line in enumerate(text[node]):
            x, y = left + width[node] / 2, upper + PADDING / 2 + LINE * number + 13
            parts.append(f'<text x="{x:.0f}" y="{y:.0f}">{escape(line)}</text>')
    style = (
        "text{font:12px var(--md-code-font-family,monospace);text-anchor:middle;"
        "fill:var(--md-default-fg-color)}rect{fill:var(--md-code-bg-color);"
        "stroke:var(--md-default-fg-color--light)}.edge{fill:none;opacity:.6;"
        "stroke:var(--md-default-fg-color--light)}"
    )
    size = f"-1 0 {whole + 2:.0f} {top - ROW_GAP + PADDING:.0f}"
    inner = "".join(parts)
    return (
        f'<svg class="flowchart" viewBox="{size}" role="img" style="max-width:{whole:.0f}px">'
        f"<style>.flowchart {style.replace('}', '}.flowchart ', 2)}</style>{inner}</svg>"
    )
