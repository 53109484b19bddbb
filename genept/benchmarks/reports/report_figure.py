"""What figures of reports are made of.

Which figures there are is in `leaderboard_figures` and `expression_figures`.
"""

from collections.abc import Callable

import polars as pl

Read = Callable[[str], pl.DataFrame]
"""Rows of a published table; a frame without columns if the release has none."""

MOST_SHOWN = 6
"""Pictures of one kind on the page, which everybody loads; the tables hold the others."""
