"""Gene names out of a file that somebody has: a list or matrix as CSV or TSV, or an h5ad.

Only the names are read. Ingesting the matrix behind them is the parsers' and
`genept.collections`' business.
"""

import csv
import gzip
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import polars as pl

from genept.common import SourceError, breakage_refused, get_again, listed, restored
from genept.datasources.readers.hdf5 import AnnotationTable, at_path, open_hdf5, refuse_foreign
from genept.datasources.readers.sandbox import Limits, Parent, limited

BATCH_NAMES: Final = 50_000
"""Names that are read at once."""

_NAMED = ("gene", "genes", "symbol", "gene_symbol", "gene_name", "gene_id", "ensembl_gene_id")


class TextTable:
    """A delimited text file with a header.

    Raises
    ------
    SourceError
        It is empty, begins like HTML, is not UTF-8, is damaged, or a row has another width than
        the header; names the line.
    """

    def __init__(self, path: Path, separator: str) -> None:
        self.path, self._separator = path, separator
        with self._rows() as rows:
            self.header = next(rows, [])
        if not self.header:
            raise SourceError(f"{path.name}: is empty")
        if self.header[0].lstrip().startswith("<"):
            raise SourceError(f"{path.name}: is a web page, not data; {get_again()}")

    def is_wider_than_long(self) -> bool:
        """Whether there are fewer rows than columns; reads no more rows than that."""
        with self._rows() as rows:
            return sum(1 for _ in zip(rows, self.header, strict=False)) - 1 < len(self.header) - 1

    def column(self, position: int) -> Iterator[str]:
        """Values of a column, without the apostrophe that exported CSV has before a formula."""
        with self._rows() as rows:
            next(rows)
            for row in rows:
                yield restored(row[position])

    @contextmanager
    def _rows(self) -> Iterator[Iterator[list[str]]]:
        """The rows, header first."""
        opener = gzip.open if self.path.suffix == ".gz" else open
        try:
            with opener(self.path, "rt", encoding="utf-8-sig", newline="") as text:
                yield self._checked(csv.reader(text, delimiter=self._separator))
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"{self.path.name}: cannot be read: {error}") from error

    def _checked(self, rows: Iterator[list[str]]) -> Iterator[list[str]]:
        width, line, header = None, 0, None
        try:
            for line, row in enumerate(rows, start=1):
                if not row and width != 1:
                    continue  # a blank line; in a list of names it is an empty name
                fields = row or [""]
                if width is None:
                    width, header = len(fields), fields
                    continue
                if header is not None:
                    if 1 < width == len(fields) - 1:  # R's: no name over the names of rows
                        width, header = width + 1, ["", *header]
                    yield header
                    header = None
                if len(fields) != width:
                    where = f"{self.path.name}: line {line}"
                    raise SourceError(f"{where} has {len(fields)} fields, the header {width}")
                yield fields
            if header is not None:
                yield header
        except UnicodeDecodeError as error:
            raise SourceError(
                f"{self.path.name}: is not UTF-8 after line {line}: {error}; save it as UTF-8"
            ) from error
        except csv.Error as error:
            raise SourceError(f"{self.path.name}: after line {line}: {error}") from error


def gene_name_batches(
    path: Path, column: str | None = None, *, size: int = BATCH_NAMES
) -> tuple[str, Iterator[list[str]]]:
    """The gene names of a file, `size` at a time, and where in the file they were found.

    `column` is the column (or field of an h5ad's `var`) with the names. Without it: the index of
    `var`; or a column with a usual name; or the first column; or, of a matrix that is wider than
    it is long, its header. Damage of a text is found, and its line named, while the batches are
    read.
    """
    suffixes = path.name.removesuffix(".gz").lower()
    names: Iterable[str]
    if suffixes.endswith(".h5ad"):
        names, where = _from_h5ad(path, column)
    elif suffixes.endswith((".csv", ".tsv", ".txt", ".tab")):
        table = TextTable(path, "," if suffixes.endswith(".csv") else "\t")
        chosen, where = _chosen(table, column)
        names = table.header[1:] if chosen is None else table.column(chosen)
    else:
        raise SourceError(f"{path.name}: expected .csv, .tsv, .txt or .h5ad")
    remaining = iter(names)
    return where, iter(lambda: list(islice(remaining, size)), [])


@dataclass(frozen=True)
class NameBatches:
    """The gene names of a file, a batch and its size at a time, to be gone through once.

    `where` is where in the file the names were found, for people; `total` the number of all.
    """

    where: str
    total: int
    batches: Iterator[tuple[list[str], int]]


@contextmanager
def limited_gene_names(
    path: Path, column: str | None, limits: Limits, *, size: int = BATCH_NAMES
) -> Iterator[NameBatches]:
    """Read the gene names of a file in a process with limits, all before the first is yielded.

    Parameters
    ----------
    path, column
        As of `gene_name_batches`; None: the column is chosen as there.
    limits
        Memory, time and disk that reading may take.
    size
        Names per batch.

    Yields
    ------
    NameBatches
        Usable while the context lasts.

    Raises
    ------
    SourceError
        As for `gene_name_batches`; or the process that read the file died or went beyond a limit.
    """
    path = path.absolute()
    with limited(_names_in_child, path, column, size, what=path.name, limits=limits) as answer:
        where, total = answer.values["where"], answer.values["total"]
        batches = answer.batches("names", {"name": pl.String})
        names = (batch["name"].to_list() for batch in batches if batch.height)
        yield NameBatches(str(where), int(total), ((part, len(part)) for part in names))


def _names_in_child(parent: Parent, path: Path, column: str | None, size: int) -> dict[str, object]:
    total = 0
    with breakage_refused(path.name):
        where, names = gene_name_batches(path, column, size=size)

        def batches() -> Iterator[pl.DataFrame]:
            nonlocal total
            yield pl.DataFrame(schema={"name": pl.String})
            for batch in names:
                total += len(batch)
                yield pl.DataFrame({"name": batch}, schema={"name": pl.String})

        parent.write_batches("names", batches())
    return {"where": where, "total": total}


def _chosen(table: TextTable, column: str | None) -> tuple[int | None, str]:
    """Position of the column with the names, None for the header; and what to call it."""
    name, header = table.path.name, table.header
    if column is not None and column not in header:
        raise SourceError(f"{name}: has no column {column!r}; found {listed(header)}")
    usual = next((name for name in header if name.lower() in _NAMED), None)
    if column is None and usual is None and len(header) > 50 and table.is_wider_than_long():
        return None, f"the header of {name}"
    chosen = column or usual or header[0]
    return header.index(chosen), f"column {chosen!r} of {name}"


def _from_h5ad(path: Path, column: str | None) -> tuple[list[str], str]:
    with open_hdf5(path) as file:
        refuse_foreign(file)
        var = AnnotationTable(at_path(file, "var"))
        chosen = column or var.index
        return var.texts(chosen).fill_null("").to_list(), f"var[{chosen!r}] of {path.name}"
