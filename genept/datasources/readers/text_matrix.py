"""A matrix of numbers in text, either way up, turned into rows of observations on disk.

The text is read once, in bounded memory; small tables are read whole. What stands above the table
differs by format, so each format says how its head is read; what becomes of the observations is
decided in `genept.datasources.readers.assembly`.
"""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import TypeAdapter
from scipy.sparse import csr_matrix

from genept.common import SourceError, listed
from genept.datasources.catalogue import Collection
from genept.datasources.download import Archives
from genept.datasources.formats import TextOptions
from genept.datasources.readers.orientation import Axis
from genept.datasources.readers.parsed import BLOCK_ROWS, OddGene, Quarantined, refuse_repeats
from genept.datasources.readers.spool import (
    Spool,
    spooled,
    write_gene_means,
    write_panel,
    write_turned,
)
from genept.datasources.readers.text_lines import Lines, open_lines, read_header
from genept.datasources.readers.text_numbers import Layout, numeric_rows
from genept.datasources.readers.values import Values

_KEPT: Final = TypeAdapter(
    tuple[tuple[str, ...], tuple[int, ...], bool, tuple[Quarantined, ...], dict[int, OddGene]]
)
"""Names of the number columns; panels' widths; whether it is imputed; remarks; odd genes."""


@dataclass(frozen=True)
class Head:
    """What stands above the rows, and how they are laid out.

    Parameters
    ----------
    layout
        The fields of a row; the first text field names it.
    fields
        The publisher's fields of the observations, a row per number column.
    n_rows, end
        How many rows are declared; the line that ends the table, where one does.
    remarks
        What was fixed or is worth a warning.
    """

    layout: Layout
    fields: pl.DataFrame | None = None
    n_rows: int | None = None
    end: bytes | None = None
    remarks: tuple[Quarantined, ...] = ()


@dataclass(frozen=True)
class TextMatrix:
    """Parsed text: names of its rows and columns, and its numbers as observations × genes."""

    texts: pl.DataFrame
    columns: tuple[str, ...]
    fields: pl.DataFrame
    spool: Spool
    remarks: tuple[Quarantined, ...]
    odd: dict[int, OddGene]


def table_head(lines: Lines, options: TextOptions, named: set[str] | None) -> Head:
    """Read a header line, and see whether the rows below have a name more than it (R).

    Parameters
    ----------
    lines, options
        The lines from the header on; how the options say that they are written.
    named
        The text columns beside the first and those to ignore; None: all are numbers.

    Returns
    -------
    Head
        Layout of the rows, and remarks; a table without rows is refused.
    """
    header = read_header(lines, options.delimiter)
    remarks = []
    if lines.peek() is None:
        raise SourceError(f"{lines.what}: has a header but no rows: was it cut short?")
    if header.is_shifted:
        detail = (
            "the header has a name less than the rows have values, as R writes no name over the "
            "row names: each name was moved one column to the right"
        )
        remarks.append(Quarantined("file", lines.what, "shifted_header", detail, action="fixed"))
    columns = tuple(header.columns)
    if ignored := [name for name in columns[1:] if name in options.ignore]:
        detail = f"columns that are no expression and are not used: {listed(ignored)}"
        remarks.append(Quarantined("file", lines.what, "ignored_columns", detail, len(ignored)))
    texts = (named or set()) | set(options.ignore)
    positions = tuple(at for at, name in enumerate(columns) if at == 0 or name in texts)
    return Head(
        Layout(columns, positions, header.delimiter, options.decimal), remarks=tuple(remarks)
    )


def read_text_matrix(
    archives: Archives,
    collection: Collection,
    options: TextOptions,
    *,
    genes_in: Axis,
    read_head: Callable[[Lines], Head],
    divisor: Callable[[tuple[str, ...]], NDArray[np.float64]] | None = None,
) -> TextMatrix:
    """Read a matrix once, and keep it under the hash of the files and options it came from.

    `divisor` gets the names of observations that are columns; their values are divided by what it
    returns, and rounded to whole numbers.
    """

    def shape(n_rows: int, n_numbers: int) -> tuple[int, int]:
        return (n_rows, n_numbers) if genes_in == "columns" else (n_numbers, n_rows)

    def make(folder: Path) -> None:
        path = archives.fetch(collection.sources[0])
        with open_lines(path, options.member, options.encoding) as lines:
            head = read_head(lines)
            layout = replace(head.layout, keeps_odd=options.non_numeric == "quarantine")
            head = replace(head, layout=layout)
            values = Values(options, collection.unit, lines.what, genes_in)
            if divisor is not None:
                values.divisor = divisor(layout.numbers)
            texts, widths = _written(folder, lines, head, values, genes_in)
            remarks = [*head.remarks, *values.remarks(shape(len(texts), len(layout.numbers)))]
            if lines.had_bom:
                detail = "the byte-order mark before the first name was taken off"
                bom = Quarantined("file", lines.what, "byte_order_mark", detail, action="fixed")
                remarks.append(bom)
        if (means := values.means()) is not None:
            write_gene_means(folder, means)
        kept = (layout.numbers, widths, means is not None, tuple(remarks), values.odd)
        (folder / "matrix.json").write_bytes(_KEPT.dump_json(kept))
        _texts_frame(texts, layout).write_parquet(folder / "texts.parquet")
        fields = head.fields if head.fields is not None else pl.DataFrame()
        fields.write_parquet(folder / "fields.parquet")

    folder = spooled(archives, collection, make)
    kept = (folder / "matrix.json").read_bytes()
    columns, widths, imputed, remarks, odd = _KEPT.validate_json(kept)
    texts, fields = (pl.read_parquet(folder / f"{name}.parquet") for name in ("texts", "fields"))
    spool = Spool(folder, shape(texts.height, len(columns)), widths, imputed)
    return TextMatrix(texts, columns, fields, spool, remarks, odd)


def _rows(lines: Lines, head: Head) -> Iterator[bytes]:
    for line in lines:
        if head.end is not None and line == head.end:
            return
        yield line
    if head.end is not None:
        raise SourceError(f"{lines.what}: ends without {head.end.decode()!r}: it was cut short")


def _written(
    folder: Path, lines: Lines, head: Head, values: Values, genes_in: Axis
) -> tuple[list[tuple[str, ...]], tuple[int, ...]]:
    """Write the rows to panels; their texts, and how many genes each panel has."""
    texts: list[tuple[str, ...]] = []

    def clean() -> Iterator[NDArray[np.float32]]:
        for chunk in numeric_rows(_rows(lines, head), lines, head.layout):
            texts.extend(chunk.texts)
            yield values.clean(chunk, head.layout.numbers)
        if head.n_rows is not None and len(texts) != head.n_rows:
            declared = f"{lines.what}: declares {head.n_rows} rows"
            raise SourceError(f"{declared}, but has {len(texts)}: was it cut short?")

    if genes_in == "columns":
        blocks = (
            csr_matrix(part[first : first + BLOCK_ROWS])
            for part in clean()
            for first in range(0, len(part), BLOCK_ROWS)
        )
        write_panel(folder, 0, blocks)
        return texts, (len(head.layout.numbers),)
    widths = write_turned(folder, clean())
    if not widths:
        raise SourceError(f"{lines.what}: its table has no rows")
    return texts, widths


def _texts_frame(texts: list[tuple[str, ...]], layout: Layout) -> pl.DataFrame:
    """The text columns; of several with one name the first."""
    names = [layout.columns[position] for position in layout.texts]
    numbered = dict.fromkeys(map(str, range(len(names))), pl.String)
    return pl.DataFrame(texts, schema=numbered, orient="row").select(
        pl.col(str(names.index(name))).alias(name) for name in dict.fromkeys(names)
    )


class LabelledMatrix(NamedTuple):
    """Numbers with unique names on both axes; `values` is (rows, columns), float32."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: NDArray[np.float32]


def read_matrix(stream: BinaryIO, *, separator: str, what: str) -> LabelledMatrix:
    """Read a matrix whose first column names the rows and whose header names the columns.

    Parameters
    ----------
    stream, separator
        UTF-8, read into memory; the character between fields.
    what
        Name of the file for messages.

    Returns
    -------
    LabelledMatrix
        In the order of the file.

    Raises
    ------
    SourceError
        Names repeat, rows are ragged, a value is no number, or it is not UTF-8 text.
    """
    frame = _read(stream, separator, what, pl.Float32)
    named, numbers = frame.columns[0], frame.columns[1:]
    for name, count in frame.null_count().row(0, named=True).items():
        if count:
            raise SourceError(f"{what}: {count} empty values in column {name!r}; expected none")
    rows = frame[named].to_list()
    refuse_repeats(rows, f"{what}: row names")
    return LabelledMatrix(tuple(rows), tuple(numbers), frame.select(numbers).to_numpy())


def read_table(
    stream: BinaryIO, *, columns: tuple[str, ...] | None = None, what: str, whole: bool = False
) -> pl.DataFrame:
    """Read the named columns of a comma-separated table, as text; empty fields are null.

    Parameters
    ----------
    stream, what
        UTF-8, read into memory; its name for messages.
    columns
        Names; the first says what a row is about and is never empty. None: all of the file.
    whole
        Also return the other columns, after these.

    Returns
    -------
    pl.DataFrame
        The columns in this order, the rows in that of the file.

    Raises
    ------
    SourceError
        A column is missing, names repeat, a row is about nothing or too long, or no UTF-8 text.
    """
    frame = _read(stream, ",", what, pl.String)
    columns = columns or tuple(frame.columns)
    if missing := [name for name in columns if name not in frame.columns]:
        raise SourceError(f"{what}: has no column {missing[0]!r}; found {listed(frame.columns)}")
    nameless = frame[columns[0]].is_null().arg_true()
    if len(nameless):
        raise SourceError(f"{what}: row {nameless[0] + 2} has no {columns[0] or 'name'!r}")
    return frame.select(*columns, *(pl.exclude(columns) for _ in range(whole)))


def _read(stream: BinaryIO, separator: str, what: str, others: type[pl.DataType]) -> pl.DataFrame:
    data = stream.read()
    head, _, body = data.removeprefix(b"\xef\xbb\xbf").partition(b"\n")
    if not body or head.lstrip()[:1] in (b"<", b"\x1f") or b"\0" in head:
        raise SourceError(f"{what}: expected delimited text, but it begins with {data[:24]!r}")
    try:
        header = next(csv.reader([head.decode("utf-8").rstrip("\r")], delimiter=separator))
        refuse_repeats(header, f"{what}: columns")
        # The header is read here: polars would rename a repeated column without a word.
        return pl.read_csv(
            body,
            has_header=False,
            separator=separator,
            schema={
                name: others if position else pl.String for position, name in enumerate(header)
            },
        )
    except (UnicodeDecodeError, csv.Error, pl.exceptions.PolarsError) as error:
        reason = str(error).strip().splitlines()[0]
        raise SourceError(f"{what}: is not a regular table: {reason}") from error
