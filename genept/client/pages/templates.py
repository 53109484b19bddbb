"""The templates of pages, and what they draw: plots of scores with intervals, meanings of columns.

Which pages there are is in the neighbours of this module; the templates are in `site/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from genept.client.partial_releases import limits_in_words
from genept.common import NO_SCRIPTS, byte_size, visible
from genept.release import ReleasedColumn
from genept.schema import CANARY


@cache
def templates() -> Environment:
    """The templates; every value that they insert is escaped, and its control characters shown."""
    templates = Environment(
        loader=PackageLoader("genept.client.pages", "site"),
        autoescape=True,
        finalize=lambda value: value if hasattr(value, "__html__") else visible(str(value)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["spec"] = format
    templates.globals |= {
        "CANARY": CANARY,
        "byte_size": byte_size,
        "limits_in_words": limits_in_words,
        "NO_SCRIPTS": NO_SCRIPTS,
        "interval_plot": interval_plot,
        "meaning_of": _meaning,
    }
    return templates


def part(name: str, *arguments: Any) -> str:
    """HTML of a macro of `parts.html`."""
    html: str = getattr(templates().get_template("parts.html").module, name)(*arguments)
    return html


@dataclass(frozen=True)
class PlottedScore:
    """A value with its interval, and whether it is a control that others must beat."""

    name: str
    value: float
    low: float | None
    high: float | None
    is_control: bool


def interval_plot(scores: Sequence[PlottedScore]) -> str:
    """Scores with their intervals on one axis, best first; the best control is a dashed line."""
    ordered = sorted(scores, key=lambda score: -score.value)
    ends = [
        end for score in scores for end in (score.value, score.low, score.high) if end is not None
    ]
    least, most = min(ends), max(ends)
    margin = (most - least) * 0.04 or 0.05
    best = max((score.value for score in scores if score.is_control), default=None)
    return part("interval_plot", ordered, least - margin, most + margin, best)


def _meaning(column: ReleasedColumn) -> str:
    meaning = column.meaning
    if column.allowed:
        meaning += f" One of: {', '.join(column.allowed)}."
    if column.minimum is not None or column.maximum is not None:
        ends = ("" if end is None else f"{end:g}" for end in (column.minimum, column.maximum))
        meaning += f" Bounds: {' … '.join(ends).strip()}."
    return f"{meaning} May be empty." if column.nullable else meaning
