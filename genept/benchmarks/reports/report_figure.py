"""A figure of a report with its words, and what figures are made of.

Which figures there are is in `leaderboard_figures` and `expression_figures`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

Read = Callable[[str], pl.DataFrame]
"""Rows of a published table; a frame without columns if the release has none."""

MOST_SHOWN = 6
"""Pictures of one kind on the page, which everybody loads; the tables hold the others."""


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
