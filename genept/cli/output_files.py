"""Files that commands write to: whether they can be written, before any work, and tables in them.

What the rows are is in the module of each command.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import polars as pl

from genept.common import StoreError, console, replacement, without_formulas

TABLES = (".parquet", ".csv")


def writable(*endings: str) -> Callable[[Path | None], Path | None]:
    """Make the callback of an option that names a file: it refuses what cannot be written.

    It is called before the command does any work. Of a file that exists it says, on standard error,
    that it will be replaced.

    Parameters
    ----------
    *endings
        Endings that the file may have; none: any.

    Returns
    -------
    callable
        Returns the path, or raises `StoreError`: another ending, no such folder, a folder in place
        of the file, or no right to write there.
    """

    def check(path: Path | None) -> Path | None:
        if path is None:
            return None
        if endings and path.suffix not in endings:
            raise StoreError(f"{path}: its ending must be {' or '.join(endings)}")
        if not path.parent.is_dir():
            raise StoreError(f"{path}: there is no folder {path.parent}; make it first")
        if path.is_dir():
            raise StoreError(f"{path} is a folder: name a file in it")
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise StoreError(f"{path}: you may not write to {path.parent}")
        if path.exists():
            console.print(f"{path} exists, and will be replaced", markup=False, soft_wrap=True)
        return path

    return check


def write_table(rows: pl.DataFrame, path: Path) -> None:
    """Write a table as parquet or CSV, by the file's ending: whole, or not at all.

    In CSV, text that a spreadsheet would take for a formula is marked as text.
    """
    with replacement(path, 0o644) as file:
        if path.suffix == ".parquet":
            rows.write_parquet(file)
        else:
            without_formulas(rows).write_csv(file)
