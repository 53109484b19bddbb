"""Rows as text for a terminal: as a table where it fits, otherwise a line for each column.

Tables of facts about the platform are `genept.common.display.plain_table`; this is for rows of
data, with any number of columns.
"""

from __future__ import annotations

import shutil
from typing import Any, Final

import polars as pl

from genept.common.display import visible

MOST_ROWS: Final = 100
MOST_EXPANDED: Final = 20
"""Rows that are shown column by column at most; of more, columns that do not fit are left out."""

LONGEST: Final = 80
MOST_ITEMS: Final = 4


def rows_text(rows: pl.DataFrame, width: int | None = None) -> str:
    """Write rows so that no line is wider than the terminal.

    Parameters
    ----------
    rows
        Any rows.
    width
        Characters in a line; None: those of the terminal.

    Returns
    -------
    str
        A table if it fits. Otherwise up to `MOST_EXPANDED` rows have a line for each column; of
        more rows, the first columns are shown, and the names of the others. Control characters
        are made visible.
    """
    width = width or shutil.get_terminal_size().columns
    if _breadth(table := _table(rows)) <= width:
        return table
    return _expanded(rows, width) if rows.height <= MOST_EXPANDED else _narrowed(rows, width)


def _table(rows: pl.DataFrame) -> str:
    with pl.Config(
        tbl_rows=MOST_ROWS, tbl_cols=-1, tbl_width_chars=60_000, fmt_str_lengths=LONGEST,
        tbl_hide_column_data_types=True, tbl_hide_dataframe_shape=True,
    ):  # fmt: skip
        return visible(str(rows))


def _breadth(table: str) -> int:
    return max(map(len, table.splitlines()), default=0)


def _expanded(rows: pl.DataFrame, width: int) -> str:
    """One line for each column of each row."""
    longest = min(max(map(len, rows.columns)), width // 2)
    lines = []
    for number, row in enumerate(rows.iter_rows(named=True), start=1):
        lines.append(f"── row {number} ".ljust(min(width, 60), "─"))
        lines += [f"{name:<{longest}}  {_cell(value)}" for name, value in row.items()]
    return "\n".join(line if len(line) <= width else f"{line[: width - 1]}…" for line in lines)


def _cell(value: Any) -> str:
    if isinstance(value, list | tuple):
        items = [_cell(item) for item in value[:MOST_ITEMS]]
        more = [f"… {len(value):,} in all"] if len(value) > MOST_ITEMS else []
        return f"[{', '.join([*items, *more])}]"
    if value is None:
        return "null"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return visible(text).replace("\n", "\\n")


def _narrowed(rows: pl.DataFrame, width: int) -> str:
    """The first columns, as many as fit, and the names of the others."""
    n_shown = 1
    while n_shown < rows.width and _breadth(_table(rows[:, : n_shown + 1])) <= width:
        n_shown += 1
    left_out = visible(", ".join(rows.columns[n_shown:]))
    note = f"{rows.width - n_shown} of {rows.width} columns do not fit, and are not shown"
    return f"{_table(rows[:, :n_shown])}\n{note}: {left_out}" if left_out else _table(rows)
