"""A matrix of numbers in text, either way up, turned into rows of observations on disk.

The text is read once, in bounded memory. What stands above the table differs by
format, so each format says how its head is read; what becomes of the
observations is decided in `genept.datasources.readers.assembly`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from genept.common import SourceError, listed
from genept.datasources.catalog import Collection, TextOptions
from genept.datasources.download import Archives, open_text
from genept.datasources.readers.orientation import Axis
from genept.datasources.readers.parsed import BLOCK_ROWS, OddGene, Quarantined
from genept.datasources.readers.spool import Spool, made_once, write_gene_means, write_panel
from genept.datasources.readers.text.lines import Lines, read_header
from genept.datasources.readers.text.numbers import Chunk, Layout, numeric_rows
from genept.datasources.readers.values import Values

PANEL_BYTES: Final = 1 << 25
"""Size of a panel of genes while it is turned, as float32."""
_BEHAVIOUR: Final = 2
"""Raised when what is kept on disk changes, so that nothing older is read."""


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
    ignored = [name for name in columns[1:] if name in options.ignore]
    if ignored:
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

    Parameters
    ----------
    divisor
        Of the names of observations that are columns: what each is divided by,
        rounded to whole numbers afterwards.

    Raises
    ------
    SourceError
        The file is damaged, foreign or irregular; says where.
    """
    path = archives.fetch(collection.sources[0])
    what = f"{path.name}, {options.member}" if options.member else path.name

    def make(folder: Path) -> None:
        with open_text(path, options.member, what, encoding=options.encoding) as stream:
            lines = Lines(stream, what, options.encoding)
            head = read_head(lines)
            keeps_odd = options.non_numeric == "quarantine"
            head = replace(head, layout=replace(head.layout, keeps_odd=keeps_odd))
            values = Values(options, collection.unit, what, genes_in)
            if divisor is not None:
                values.divisor = divisor(head.layout.numbers)
            chunks = numeric_rows(_rows(lines, head), lines, head.layout)
            if genes_in == "columns":
                texts, shape, widths = _upright(folder, chunks, values, head)
            else:
                texts, shape, widths = _turned(folder, chunks, values, head)
            if head.n_rows is not None and len(texts) != head.n_rows:
                raise SourceError(
                    f"{what}: declares {head.n_rows} rows, but has {len(texts)}: was it cut short?"
                )
            remarks = [*head.remarks, *values.remarks(shape)]
            if lines.had_bom:
                detail = "the byte-order mark before the first name was taken off"
                remarks.append(Quarantined("file", what, "byte_order_mark", detail, action="fixed"))
        if (means := values.means()) is not None:
            write_gene_means(folder, means)
        names = [head.layout.columns[at] for at in head.layout.texts]
        contents = {
            "names": names,
            "columns": head.layout.numbers,
            "shape": shape,
            "widths": widths,
            "imputed": means is not None,
            "remarks": [asdict(remark) for remark in remarks],
            "odd": [[gene, asdict(odd)] for gene, odd in values.odd.items()],
        }
        _keep(folder, texts, head, contents)

    return _kept(
        made_once(spool_folder(archives, collection), spool_key(archives, collection), make)
    )


def spool_folder(archives: Archives, collection: Collection) -> Path:
    """Where parsed text is kept until its collection is ingested; a killed ingest finds it.

    Parameters
    ----------
    archives, collection
        The folder lies beside the sources, and has the collection's id as its name.

    Returns
    -------
    Path
        Folder that need not exist.
    """
    return archives.folder / "spools" / collection.id


def discard_spool(archives: Archives, collection: Collection) -> None:
    """Remove whatever was kept of one collection; it is parsed anew when it is needed again.

    Parameters
    ----------
    archives, collection
        As of `spool_folder`.
    """
    shutil.rmtree(spool_folder(archives, collection), ignore_errors=True)


def spool_key(archives: Archives, collection: Collection) -> str:
    """Hash of everything that decides what is parsed.

    Parameters
    ----------
    archives, collection
        Bytes and names of the sources, format, options and unit are hashed.

    Returns
    -------
    str
        SHA-256, hexadecimal.
    """
    settings = json.dumps([_BEHAVIOUR, collection.format, collection.unit, collection.options])
    key = hashlib.sha256(settings.encode())
    for source_id in collection.sources:
        path = archives.fetch(source_id)
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                key.update(file.name.encode())
                with file.open("rb") as stream:
                    key.update(hashlib.file_digest(stream, "sha256").digest())
    return key.hexdigest()


def _rows(lines: Lines, head: Head) -> Iterator[bytes]:
    for line in lines:
        if head.end is not None and line == head.end:
            return
        yield line
    if head.end is not None:
        raise SourceError(f"{lines.what}: ends without {head.end.decode()!r}: it was cut short")


Texts = list[tuple[str, ...]]
Parts = tuple[Texts, tuple[int, int], tuple[int, ...]]


def _upright(folder: Path, chunks: Iterator[Chunk], values: Values, head: Head) -> Parts:
    """Observations are rows: they are appended to one panel of all genes."""
    texts: Texts = []

    def blocks() -> Iterator[csr_matrix]:
        for chunk in chunks:
            texts.extend(chunk.texts)
            clean = values.clean(chunk, head.layout.numbers)
            for first in range(0, len(clean), BLOCK_ROWS):
                yield csr_matrix(clean[first : first + BLOCK_ROWS])

    n = write_panel(folder, 0, blocks())
    width = len(head.layout.numbers)
    return texts, (n, width), (width,)


def _turned(folder: Path, chunks: Iterator[Chunk], values: Values, head: Head) -> Parts:
    """Genes are rows: as many as fit are gathered, turned over, and become a panel."""
    texts: Texts = []
    widths: list[int] = []
    waiting: list[NDArray[np.float32]] = []
    n = len(head.layout.numbers)
    at_once = max(1, PANEL_BYTES // (4 * max(n, 1)))

    def flush() -> None:
        panel = np.concatenate(waiting)
        waiting.clear()
        write_panel(folder, len(widths), [csr_matrix(panel.T)])
        widths.append(len(panel))

    for chunk in chunks:
        texts.extend(chunk.texts)
        waiting.append(values.clean(chunk, head.layout.numbers))
        if sum(map(len, waiting)) >= at_once:
            flush()
    if waiting:
        flush()
    if not widths:
        raise SourceError(f"{values.what}: its table has no rows")
    return texts, (n, len(texts)), tuple(widths)


def _keep(folder: Path, texts: Texts, head: Head, contents: dict[str, Any]) -> None:
    # Names may repeat or be empty, so the columns of the file are numbered.
    columns = list(zip(*texts, strict=True)) if texts else [()] * len(contents["names"])
    frame = {str(at): list(column) for at, column in enumerate(columns)}
    pl.DataFrame(frame, schema=dict.fromkeys(frame, pl.String)).write_parquet(
        folder / "texts.parquet"
    )
    fields = head.fields if head.fields is not None else pl.DataFrame()
    fields.write_parquet(folder / "fields.parquet")
    (folder / "matrix.json").write_text(json.dumps(contents), "utf-8")


def _kept(folder: Path) -> TextMatrix:
    contents: dict[str, Any] = json.loads((folder / "matrix.json").read_text("utf-8"))
    texts = pl.read_parquet(folder / "texts.parquet")
    first: dict[str, int] = {}
    for at, name in enumerate(contents["names"]):
        first.setdefault(name, at)
    rows, columns = contents["shape"]
    return TextMatrix(
        texts.select(pl.col(str(at)).alias(name) for name, at in first.items()),
        tuple(contents["columns"]),
        pl.read_parquet(folder / "fields.parquet"),
        Spool(folder, (rows, columns), tuple(contents["widths"]), contents["imputed"]),
        tuple(Quarantined(**remark) for remark in contents["remarks"]),
        {gene: OddGene(**odd) for gene, odd in contents["odd"]},
    )
