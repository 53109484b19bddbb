"""Rows of data on a terminal: every line fits, and what is left out is named."""

from __future__ import annotations

import polars as pl
import pytest

from genept.common.data_rows import MOST_EXPANDED, rows_text


def wide(height: int) -> pl.DataFrame:
    letters = [f"column_{n}" for n in range(15)]
    return pl.DataFrame({name: [f"{name}-{row}" for row in range(height)] for name in letters})


def test_rows_that_fit_are_a_table() -> None:
    shown = rows_text(pl.DataFrame({"symbol": ["TP53"], "n": [3]}), 80)
    assert "┌" in shown
    assert "TP53" in shown


@pytest.mark.parametrize("width", [40, 80, 120])
def test_few_wide_rows_have_a_line_for_each_column(width: int) -> None:
    shown = rows_text(wide(2), width)
    lines = shown.splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) == 2 * (15 + 1)
    for name in wide(1).columns:
        for row in (0, 1):
            assert [line.split() for line in lines].count([name, f"{name}-{row}"]) == 1


@pytest.mark.parametrize("width", [40, 80, 120])
def test_of_many_wide_rows_the_columns_that_are_not_shown_are_named(width: int) -> None:
    rows = wide(MOST_EXPANDED + 1)
    *table, note = rows_text(rows, width).splitlines()
    assert max(map(len, table)) <= width
    number, names = note.split(" of 15 columns do not fit, and are not shown: ")
    n_shown = 15 - int(number)
    assert n_shown >= 1
    assert names == ", ".join(rows.columns[n_shown:])
    assert f"{rows.columns[n_shown - 1]}-{MOST_EXPANDED}" in "\n".join(table)


def test_values_of_every_kind_stay_in_their_line() -> None:
    rows = pl.DataFrame(
        {
            "text": ["two\nlines \x1b[31m" + "x" * 90], "nothing": [None], "number": [1 / 3],
            "vector": pl.Series([[0.5] * 384], dtype=pl.Array(pl.Float32, 384)),
            "names": [["a", "b"]], "few": pl.Series([[]], dtype=pl.List(pl.String)),
        }
    )  # fmt: skip
    lines = rows_text(rows, 60).splitlines()
    assert len(lines) == 1 + 6
    by_name = dict(line.split(maxsplit=1) for line in lines[1:])
    assert by_name["text"].startswith("two\\nlines ")
    assert by_name["text"].endswith("…")
    assert "\x1b" not in "".join(lines)
    assert by_name["nothing"] == "null"
    assert by_name["number"] == "0.333333"
    assert by_name["vector"] == "[0.5, 0.5, 0.5, 0.5, … 384 in all]"
    assert by_name["names"] == "[a, b]"
    assert by_name["few"] == "[]"
