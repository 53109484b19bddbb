"""Figures whose titles and labels come from data; what is drawn is each subject's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(size: tuple[float, float], *, dpi: int) -> Figure:
    """An empty figure in which a dollar sign is a dollar sign.

    Matplotlib takes text between two of them for mathematics, and fails where it is none.

    Parameters
    ----------
    size
        Width and height in inches.
    """
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams["text.parse_math"] = False
    return Figure(figsize=size, dpi=dpi, layout="constrained")
