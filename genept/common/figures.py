"""Figures: how one is begun and made a picture, and a picture with its words."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class ReportFigure:
    """A picture with its title, and what it shows in words.

    Parameters
    ----------
    name
        For a file name: small letters and hyphens.
    title, words
        Title of the figure, and sentences that state its results.
    png
        The picture.
    """

    name: str
    title: str
    words: str
    png: bytes


def new_figure(size: tuple[float, float], *, dpi: int) -> Figure:
    """An empty figure in which a dollar sign is a dollar sign.

    Matplotlib takes text between two of them for mathematics, and fails where it is none.

    Parameters
    ----------
    size, dpi
        Width and height in inches, and pixels per inch.

    Returns
    -------
    Figure
    """
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams["text.parse_math"] = False
    return Figure(figsize=size, dpi=dpi, layout="constrained")


def png_bytes(figure: Figure) -> bytes:
    """A figure as PNG; the same figure gives the same bytes on one machine.

    Parameters
    ----------
    figure
        A finished figure.

    Returns
    -------
    bytes
    """
    png = io.BytesIO()
    figure.savefig(png, format="png", metadata={"Software": None})
    return png.getvalue()
