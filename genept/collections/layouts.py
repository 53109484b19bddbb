"""The format, packing and encoding of a local file, and the head of a table in it.

Detected from first bytes, names of members and the header. What the columns mean is
`genept.collections.axes`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.collections.user_collections import media_of
from genept.common import SourceError, listed, option, setting
from genept.datasources import Encoding
from genept.datasources.download import member_names, open_bytes, open_text
from genept.datasources.readers import (
    MISSING,
    NUMBER,
    Axis,
    Lines,
    fields_of,
    index_of,
    is_numeric,
    read_header,
    read_schema,
)
from genept.datasources.readers.hdf5 import open_hdf5, refuse_foreign

SAMPLED_ROWS: Final = 1000
_GENE_WORDS: Final = ("gene", "symbol", "ensembl", "entrez", "feature", "hugo")
_OBSERVATION_WORDS: Final = (
    *("sample", "cell", "barcode", "patient", "donor", "subject", "observation", "well"),
    *("obs", "index_cell", "cellline"),
)


@dataclass(frozen=True)
class TextColumn:
    """A column that is not all numbers in the rows that were read.

    Parameters
    ----------
    row, line, value
        The first value that is neither a number nor missing, its row name and its line.
    n_texts, n_numbers
        How many values are such texts, and how many are numbers.
    """

    row: str
    line: int
    value: str
    n_texts: int
    n_numbers: int

    @property
    def is_mostly_text(self) -> bool:
        """Whether it is a column of text, not of numbers with a mistake in it."""
        return self.n_texts > self.n_numbers


@dataclass(frozen=True)
class TableHead:
    """The head of a table: its columns, and which of them are text.

    Parameters
    ----------
    columns
        Names, in order.
    rows
        First fields of the rows that were read.
    texts
        Columns, after the first, in which some value is neither a number nor missing.
    first_is_numbers
        Whether the first column has only numbers, so that it may not hold ids.
    decimal
        Decimal mark of the numbers: a point or a comma.
    """

    columns: tuple[str, ...]
    rows: tuple[str, ...]
    texts: dict[str, TextColumn]
    first_is_numbers: bool = False
    decimal: str = "."

    @property
    def axis_hint(self) -> Axis | None:
        """The axis that names genes, by the name of the first column; None if it does not tell."""
        name = plain_name(self.columns[0])
        if any(word in name for word in _GENE_WORDS):
            return "rows"
        return "columns" if any(name.startswith(word) for word in _OBSERVATION_WORDS) else None


def plain_name(name: str) -> str:
    """A column's name as lower-case letters and digits: ``sampleid`` for ``Sample ID``."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def look_at_parquet(path: Path, id_field: str | None = None) -> TableHead:
    """Read the head of a parquet file.

    Its rows are named by the column `id_field`, else by the index of pandas or the first column.
    """
    schema = read_schema(path)
    index = id_field or index_of(schema)
    if index not in schema.names:
        raise SourceError(f"{path.name}: has no column {index!r}; found {listed(schema.names)}")
    names = pl.scan_parquet(path).select(index).head(SAMPLED_ROWS).collect().to_series()
    rows = names.cast(pl.String).fill_null("").to_list()
    types = {field.name: field.type for field in schema if field.name != index}
    others = [name for name, type_ in types.items() if not is_numeric(type_)]
    texts = {name: _parquet_texts(path, name, rows) for name in others}
    return TableHead((index, *types), tuple(rows), texts, is_numeric(schema.field(index).type))


def _parquet_texts(path: Path, name: str, rows: Sequence[str]) -> TextColumn:
    values = pl.scan_parquet(path).select(name).head(SAMPLED_ROWS).collect().to_series()
    if values.dtype.is_nested():
        return TextColumn(rows[0] if rows else "", 1, f"a value of {values.dtype}", len(values), 0)
    return _text_column(values.cast(pl.String, strict=False).fill_null(""), rows, NUMBER, 1)


def _text_column(
    values: pl.Series, rows: Sequence[str], number: str, first_line: int
) -> TextColumn:
    """The first value that is neither a number nor missing, and how many there are."""
    numbers = values.str.contains(f"^(?:{number})$")
    odd = ~numbers & ~values.is_in(list(MISSING))
    row = int(odd.arg_max() or 0)
    name, value = (rows[row], values[row]) if rows else ("", "")
    return TextColumn(name, first_line + row, value, int(odd.sum()), int(numbers.sum()))


_SAMPLED_BYTES: Final = 1 << 26

_SAMPLED_FIELDS: Final = 1 << 20


@dataclass(frozen=True)
class FileLayout:
    """How a file is packed and written; `member` is the file to read in an archive."""

    format: str
    member: str | None = None
    encoding: Encoding = "utf-8"


def layout_of(path: Path, member: object = None) -> FileLayout:
    """Detect the format of a file, its packing and its encoding.

    Raises `SourceError` if the format is unknown, or if the archive holds several files and
    `member` does not say which of them to read.
    """
    media = media_of(path)
    if media == "h5":
        return FileLayout(_hdf5_format(path))
    if media == "parquet":
        return FileLayout("parquet")
    inside = None
    if media in ("zip", "tar"):
        names = member_names(path, path.name)
        if any(PurePosixPath(name).name.startswith("matrix.mtx") for name in names):
            return FileLayout("tenx_mtx")
        if "[Content_Types].xml" in names:
            raise SourceError(
                f"{path.name}: is an Excel workbook: save its sheet of values as 'CSV UTF-8 "
                "(comma delimited)' and give that file; only a workbook of labels is read as it is "
                f"({setting('metadata', path.name)})"
            )
        names = [name for name in names if member in (None, name)] or names
        if len(names) != 1:
            raise SourceError(
                f"{path.name}: holds {len(names)} files ({', '.join(names[:4])} …) and none is "
                f"matrix.mtx: give the file itself, or say which: {option('member', names[0])}"
            )
        (inside,) = names
    encoding = encoding_of(path, inside)
    with open_text(path, inside, path.name, encoding=encoding) as stream:
        first = Lines(stream, path.name, encoding).peek() or b""
    if first.startswith((b"#1.2", b"#1.3")):
        return FileLayout("gct", inside, encoding)
    return FileLayout("geo_series" if first.startswith(b"!") else "table", inside, encoding)


def encoding_of(path: Path, member: str | None = None) -> Encoding:
    """UTF-16 of a text that begins with its mark, as Excel's "Unicode text" does; else UTF-8."""
    with open_bytes(path, member, path.name) as stream:
        head = stream.peek(2)[:2]
    return "utf-16" if head in (b"\xff\xfe", b"\xfe\xff") else "utf-8"


def _hdf5_format(path: Path) -> str:
    with open_hdf5(path) as file:
        refuse_foreign(file)
        names = set(file)
    if "obs" in names and "var" in names:
        return "h5ad"
    if "matrix" in names or len(names) == 1:
        return "tenx_h5"
    raise SourceError(
        f"{path.name}: is HDF5 with {', '.join(sorted(names)[:8])}: expected an h5ad (obs, var, X) "
        "or Cell Ranger's matrix"
    )


def look_at_table(path: Path, options: Mapping[str, Any]) -> TableHead:
    """Read the head of a delimited table, as the options of its format say.

    Raises `SourceError` if it is no table, or its header has several lines or no names.
    """
    encoding = options.get("encoding", "utf-8")
    with open_text(path, options.get("member"), path.name, encoding=encoding) as stream:
        lines = Lines(stream, path.name, encoding)
        header = read_header(lines, options.get("delimiter"))
        columns = header.columns
        rows, size = [], 0
        for line in islice(lines, SAMPLED_ROWS):
            fields = fields_of(line, header.delimiter, path.name, lines.number)
            rows.append((fields + [""] * len(columns))[: len(columns)])
            size += len(line)
            if size > _SAMPLED_BYTES or len(rows) * len(columns) > _SAMPLED_FIELDS:
                break
    values = pl.Series([field for row in rows for field in row], dtype=pl.String)
    decimal = options.get("decimal") or _decimal_of(values, header.delimiter)
    pattern = NUMBER.replace(r"\.", re.escape(decimal))
    numbers = values.str.contains(f"^(?:{pattern})$").to_numpy().reshape(-1, len(columns))
    missing = values.is_in(list(MISSING)).to_numpy().reshape(-1, len(columns))
    _refuse_no_names(path.name, columns, rows, numbers, pattern)
    nameless = [at for at, name in enumerate(columns) if at and not name and missing[:, at].all()]
    if nameless and "" not in options.get("ignore", ()):
        raise SourceError(
            f"{path.name}: {len(nameless)} columns, the first of them column {nameless[0] + 1}, "
            "have neither a name nor a value (Excel saves cells that were once used): delete them, "
            f"or set {option('ignore', [''])}"
        )
    names = tuple(row[0] for row in rows)
    texts = {
        columns[at]: _text_column(values[at :: len(columns)], names, pattern, header.line + 1)
        for at in np.flatnonzero((~numbers & ~missing).any(axis=0)).tolist()
        if at
    }
    return TableHead(tuple(columns), names, texts, bool(numbers[:, 0].all()), decimal)


def _decimal_of(fields: pl.Series, delimiter: bytes) -> str:
    """A comma, where numbers have one that cannot separate thousands."""
    if delimiter == b",":
        return "."
    with_comma = fields.filter(fields.str.contains(r"^[+-]?\d+,\d+(?:[eE][+-]?\d+)?$"))
    with_point = fields.str.contains(r"^[+-]?\d*\.\d+(?:[eE][+-]?\d+)?$").any()
    no_thousands = with_comma.str.contains(r"^[+-]?(?:0,|\d{4,},|\d+,(?:\d{1,2}|\d{4,})(?:[eE]|$))")
    return "," if no_thousands.any() and not with_point else "."


def _refuse_no_names(
    what: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    numbers: NDArray[np.bool_],
    pattern: str,
) -> None:
    """Refuse headers of several lines (pandas' MultiIndex) and matrices without any names."""
    if numbers.shape[1] < 2 or not len(numbers):
        return
    if not any(columns[1:]):
        raise SourceError(
            f"{what}: its first line, {columns[0][:60]!r}, names no columns: is it a title? Delete "
            "what is above the names of the columns"
        )
    body = numbers[:, 1:]
    n_head = 1 + int(np.argmax(body.any(axis=1))) if body.any() else 1
    if n_head > 1 and n_head < len(rows) and len(set(columns[1:])) < len(columns) - 1:
        raise SourceError(
            f"{what}: its header has {n_head} lines, as pandas writes columns of several levels: "
            f"lines 1 and 2 begin {list(columns[:3])} and {list(rows[0][:3])}. Make one name of "
            "them before you write it: df.columns = ['_'.join(map(str, it)) for it in df.columns]"
        )
    in_header = [re.fullmatch(pattern, name) is not None for name in columns]
    repeats = len(set(columns)) < len(columns) or any("." in name for name in columns)
    if all(in_header) and numbers.all() and repeats:
        raise SourceError(
            f"{what}: has numbers only, and no names of genes or observations, as scanpy's "
            "write_csvs writes X: write one table with names, such as "
            "adata.to_df().to_csv('counts.csv'), or adata.write_h5ad('counts.h5ad')"
        )
    if all(in_header[1:]) and numbers[:, 1:].all() and len(set(columns[1:])) < len(columns) - 1:
        raise SourceError(
            f"{what}: its first line is {list(columns[:4])}, numbers that repeat, and no names: it "
            "has no header: write the names of the columns above it, such as gene and the samples"
        )
