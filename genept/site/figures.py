"""Figures as inline SVG whose coordinates are shares of the width: sharp at any size, no script.

What is drawn is chosen in `genept.site.pages`; every figure says its numbers in words, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from genept.escaping import html_text


@dataclass(frozen=True)
class Score:
    """A value with its interval, and whether it is a control that others must beat."""

    name: str
    value: float
    low: float | None
    high: float | None
    is_control: bool


def interval_plot(scores: Sequence[Score]) -> str:
    """Scores with their intervals on one axis, best first; the best control is a dashed line."""
    ordered = sorted(scores, key=lambda one: -one.value)
    ends = [end for one in ordered for end in (one.value, one.low, one.high) if end is not None]
    least, most = min(ends), max(ends)
    margin = (most - least) * 0.04 or 0.05
    axis = (least - margin, most + margin)
    controls = [one.value for one in ordered if one.is_control]
    best = max(controls) if controls else None
    rows = "".join(_score_row(one, axis, best) for one in ordered)
    legend = "Filled: embeddings and models. Hollow: controls"
    legend += "; dashed: the best control." if best is not None else "."
    return (
        f'<div class="plot" role="list">{rows}</div><p><small>{legend} Axis from {axis[0]:.2f} to '
        f"{axis[1]:.2f}; bars are 95 % intervals.</small></p>"
    )


def _score_row(one: Score, axis: tuple[float, float], best: float | None) -> str:
    kind = " control" if one.is_control else ""
    remark = " (control)" if one.is_control else ""
    interval = f", 95 % interval {one.low:.3f} to {one.high:.3f}" if _has_interval(one) else ""
    spoken = html_text(f"{one.name}{remark}: {one.value:.3f}{interval}")
    return (
        f'<div class="row{kind}" role="listitem"><span class="name">{html_text(one.name)}{remark}'
        f'</span><svg role="img" aria-label="{spoken}"><title>{spoken}</title>'
        f'{"".join(_marks(one, axis, best))}</svg><span class="value">{one.value:.3f}</span></div>'
    )


def _marks(one: Score, axis: tuple[float, float], best: float | None) -> Iterator[str]:
    yield '<line class="track" x1="0" x2="100%" y1="10" y2="10"/>'
    if best is not None:
        at = _place(best, axis)
        yield f'<line class="best" x1="{at}" x2="{at}" y1="0" y2="20"/>'
    if one.low is not None and one.high is not None:
        low, high = _place(one.low, axis), _place(one.high, axis)
        yield f'<line class="interval" x1="{low}" x2="{high}" y1="10" y2="10"/>'
    yield f'<circle class="dot" cx="{_place(one.value, axis)}" cy="10" r="4"/>'


def share_bar(name: str, share: float) -> str:
    """A share between 0 and 1 as a bar."""
    spoken = html_text(f"{name}: {share:.1%}")
    return (
        f'<div class="row" role="listitem"><span class="name">{html_text(name)}</span>'
        f'<svg role="img" aria-label="{spoken}"><title>{spoken}</title>'
        '<rect class="bed" x="0" y="6" width="100%" height="8" rx="4"/>'
        f'<rect class="bar" x="0" y="6" width="{share:.1%}" height="8" rx="4"/></svg>'
        f'<span class="value">{share:.1%}</span></div>'
    )


def _has_interval(one: Score) -> bool:
    return one.low is not None and one.high is not None


def _place(value: float, axis: tuple[float, float]) -> str:
    return f"{(value - axis[0]) / (axis[1] - axis[0]):.2%}"
