"""What lies in a local file, as far as its first bytes, names and header tell: detection's eyes.

Looks, and decides nothing: which of it is proposed is said in `detection`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Final

import polars as pl
import pyarrow.parquet as pq

from genept.collections.added import media_of
from genept.sources.errors import SourceError
from genept.sources.hdf5 import open_hdf5, refuse_foreign
from genept.sources.streams import member_names, open_text
from genept.sources.text_lines import Lines, delimiter_of, fields_of

SAMPLED_ROWS: Final = 1000
_SAMPLED_BYTES: Final = 1 << 26
_MISSING: Final = frozenset({"", "NA", "NaN", "nan", "NULL", "null"})


@dataclass(frozen=True)
class TextTable:
    """The head of a delimited table: its columns, and which of them are text.

    Parameters
    ----------
    rows
        First fields of the rows that were looked at.
    texts
        Columns, after the first, of which some value is neither a number nor missing.
    """

    columns: tuple[str, ...]
    rows: tuple[str, ...]
    texts: tuple[str, ...]


def format_of(path: Path) -> tuple[str, str | None]:
    """The format of a file, and the member to read where it is an archive of one file.

    Raises
    ------
    SourceError
        It is nothing that is read, or an archive of several files.
    """
    media = media_of(path)
    if media == "h5":
        return _hdf5_format(path), None
    if media == "parquet":
        return "parquet", None
    member = None
    if media in ("zip", "tar"):
        names = member_names(path, path.name)
        if any(PurePosixPath(name).name.startswith("matrix.mtx") for name in names):
            return "tenx_mtx", None
        if len(names) != 1:
            raise SourceError(
                f"{path.name}: holds {len(names)} files ({', '.join(names[:4])} …) and none is "
                "matrix.mtx: give the file itself, or say which: options.member"
            )
        (member,) = names
    with open_text(path, member, path.name) as stream:
        first = stream.peek(64)[:64]
    if first.startswith((b"#1.2", b"#1.3")):
        return "gct", member
    return ("geo_series" if first.startswith(b"!") else "table"), member


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


def look_at_table(path: Path, member: str | None, delimiter: str | None) -> TextTable:
    """Read the head of a delimited table."""
    with open_text(path, member, path.name) as stream:
        lines = Lines(stream, path.name)
        head = lines.header("its header")
        separator = delimiter_of(lines, delimiter, head)
        header = fields_of(head, separator, path.name, 1)
        rows, texts, size = [], set(), 0
        for line in islice(lines, SAMPLED_ROWS):
            fields = fields_of(line, separator, path.name, lines.number)
            if len(fields) == len(header) + 1:  # as R writes it: the first column has no name
                header = ["", *header]
            rows.append(fields[0])
            if size < _SAMPLED_BYTES:
                pairs = zip(header[1:], fields[1:], strict=False)
                texts |= {name for name, value in pairs if not _is_number(value)}
            size += len(line)
    return TextTable(tuple(header), tuple(rows), tuple(one for one in header[1:] if one in texts))


def _is_number(value: str) -> bool:
    text = value.strip().strip('"')
    if text in _MISSING:
        return True
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


def look_at_parquet(path: Path) -> TextTable:
    """Read the columns of a parquet file; its first names the rows."""
    schema = pq.read_schema(path)
    texts = [
        field.name
        for field in list(schema)[1:]
        if not str(field.type).startswith(("int", "uint", "float", "double", "halffloat"))
    ]
    first = pl.scan_parquet(path).select(schema.names[0]).head(SAMPLED_ROWS).collect()
    rows = first.to_series().cast(pl.String).fill_null("").to_list()
    return TextTable(tuple(schema.names), tuple(rows), tuple(texts))


def geo_fields(path: Path, member: str | None) -> tuple[str, ...]:
    """Fields of the samples that a GEO series matrix describes."""
    found: dict[str, None] = {}
    with open_text(path, member, path.name) as stream:
        for line in Lines(stream, path.name):
            if line.startswith(b"!series_matrix_table_begin"):
                break
            if line.startswith(b"!Sample_"):
                name, *values = fields_of(line, b"\t", path.name, 0)
                name = name.removeprefix("!Sample_")
                keys = {value.partition(":")[0].strip() for value in values if ":" in value}
                if name.startswith("characteristics") and keys:
                    found |= {f"characteristics: {key}": None for key in sorted(keys)}
                else:
                    found[name] = None
    return tuple(found)
