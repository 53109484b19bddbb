"""Files that commands write their rows to.

What the rows are is in the module of each command.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from genept.common import StoreError, replacement, without_formulas


def write_table(rows: pl.DataFrame, path: Path) -> None:
    """Write a table as parquet or CSV, by the file's ending: whole, or not at all.

    In CSV, text that a spreadsheet would take for a formula is marked as text.

    Raises
    ------
    StoreError
        For another ending.
    """
    if path.suffix not in (".parquet", ".csv"):
        raise StoreError(f"--out {path}: its ending must be .parquet or .csv")
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacement(path, 0o644) as file:
        if path.suffix == ".parquet":
            rows.write_parquet(file)
        else:
            without_formulas(rows).write_csv(file)
