"""Parsers `table`, `xena`, `depmap` and `gct`: matrices in text, either way up.

GCT 1.2 and 1.3 have genes × samples under a line of dimensions.
"""

from collections.abc import Callable
from itertools import islice

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.common import SourceError, listed
from genept.datasources.catalogue import Collection
from genept.datasources.download import Archives
from genept.datasources.formats import GctOptions, TableOptions, TextOptions, options_of
from genept.datasources.readers.assembly import Matrix, assembled, split_gene_names
from genept.datasources.readers.observations import wanted_fields
from genept.datasources.readers.orientation import Axis, gene_axis, gene_like
from genept.datasources.readers.parsed import ParsedCollection
from genept.datasources.readers.text_lines import Lines, fields_of, open_lines
from genept.datasources.readers.text_matrix import Head, TextMatrix, read_text_matrix, table_head
from genept.datasources.readers.text_numbers import MISSING, Layout

_PEEK_ROWS = 1000

_PEEK_BYTES = 1 << 26


def parse_table(archives: Archives, collection: Collection) -> ParsedCollection:
    """Read a table whose first column names its rows.

    Where genes are columns, the columns that `options` names as labels, group or ids are taken as
    such.

    Parameters
    ----------
    archives, collection
        Downloads sources and keeps the parsed matrix; entry with the options of `TableOptions`.

    Returns
    -------
    ParsedCollection
        Observations × genes, whichever way the file has them.

    Raises
    ------
    SourceError
        It is transposed against what is declared, irregular, or not text.
    """
    options = TableOptions.model_validate(collection.options)
    declared = None if options.genes_in == "detect" else options.genes_in
    rows, columns, what = _axes(archives, collection, options)
    axis = gene_axis(rows, columns, gene_like, declared=declared, what=what)
    return _parsed(archives, collection, options, axis)


def parse_oriented(
    archives: Archives, collection: Collection, *, genes_in: Axis
) -> ParsedCollection:
    """Read a table that its publisher always writes one way up, such as Xena and DepMap.

    UCSC Xena has genes × samples, log2(x + 1) as its page says; DepMap models × genes, whose later
    releases put several columns before the genes: `observations`, `only` and `ignore` say which is
    the id, which rows count, and which to pass over.

    Parameters
    ----------
    archives, collection
        Downloads sources and keeps the parsed matrix; entry with options of a text format.
    genes_in
        The axis that genes name.

    Returns
    -------
    ParsedCollection
        Observations × genes, in the collection's unit.
    """
    options = options_of(collection.format).model_validate(collection.options)
    if not isinstance(options, TextOptions):
        raise TypeError(f"format {collection.format!r} is no text")
    return _parsed(archives, collection, options, genes_in)


def _axes(
    archives: Archives, collection: Collection, options: TableOptions
) -> tuple[list[str], list[str], str]:
    """Some of the names of the rows, and all of the columns that are numbers."""
    path = archives.fetch(collection.sources[0])
    with open_lines(path, options.member, options.encoding) as lines:
        layout = table_head(lines, options, _named(options)).layout
        names, size = [], 0
        for line in islice(lines, _PEEK_ROWS):
            names.append(line.split(layout.delimiter, 1)[0].decode("utf-8", "replace").strip('"'))
            size += len(line)
            if size > _PEEK_BYTES:
                break
    return names, list(layout.numbers), lines.what


def _named(options: TextOptions) -> set[str]:
    named = (options.genes, options.observations, *wanted_fields(options))
    field = options.responses.line_field if options.responses else None
    return {name for name in (*named, field) if name}


def _parsed(
    archives: Archives, collection: Collection, options: TextOptions, axis: Axis
) -> ParsedCollection:
    return read_expression(
        archives,
        collection,
        options,
        lambda lines: table_head(lines, options, _named(options)),
        genes_in=axis,
    )


def read_expression(
    archives: Archives,
    collection: Collection,
    options: TextOptions,
    read_head: Callable[[Lines], Head],
    *,
    genes_in: Axis = "rows",
    divisor: Callable[[tuple[str, ...]], NDArray[np.float64]] | None = None,
) -> ParsedCollection:
    """Read a matrix in text, with whatever stands before its table.

    Parameters
    ----------
    archives, collection, options
        Downloads sources that are not cached; entry of the catalogue, and its options, validated.
    read_head
        Takes the lines before the rows, and says how the rows are laid out.
    genes_in
        The axis that genes name.
    divisor
        What the values of each observation (a column), of the given names, are divided by; they are
        rounded to whole numbers then. None: they stay as published.

    Returns
    -------
    ParsedCollection
        Observations × genes.
    """
    matrix = read_text_matrix(
        archives, collection, options, genes_in=genes_in, read_head=read_head, divisor=divisor
    )
    if genes_in == "rows":
        genes, fields, ids = _column(matrix, None, ""), matrix.fields, matrix.columns
        published, what = _column(matrix, options.genes, "options.genes"), "genes"
    else:
        genes, fields = matrix.columns, matrix.texts
        ids = _column(matrix, options.observations, "options.observations")
        published, what = genes, archives.fetch(collection.sources[0]).name
    symbols, entrez, remarks = split_gene_names(published, options.gene_pattern, what)
    named = Matrix(
        expression=matrix.spool,
        genes=genes,
        ids=ids,
        fields=fields,
        stored=matrix.spool.stored(),
        odd=matrix.odd,
        symbols=symbols,
        entrez_ids=entrez,
        remarks=(*matrix.remarks, *remarks),
    )
    return assembled(archives, collection, options, named)


def _column(matrix: TextMatrix, name: str | None, option: str) -> tuple[str, ...]:
    """A text column of a matrix, by default the first."""
    if name is not None and name not in matrix.texts.columns:
        raise SourceError(
            f"{option} names {name!r}, which is no column; found {listed(matrix.texts.columns)}"
        )
    return tuple(matrix.texts[name if name is not None else matrix.texts.columns[0]])


def parse_gct(archives: Archives, collection: Collection) -> ParsedCollection:
    """Read the samples; rows of samples' metadata (1.3) are fields.

    Parameters
    ----------
    archives, collection
        Downloads sources and keeps the parsed matrix; entry with the options of `GctOptions`.

    Returns
    -------
    ParsedCollection
        Samples × genes.

    Raises
    ------
    SourceError
        It is no GCT, or its table has not the dimensions that it declares.
    """
    options = GctOptions.model_validate(collection.options)
    return read_expression(archives, collection, options, lambda lines: _head(lines, options))


def _head(lines: Lines, options: GctOptions) -> Head:
    version = lines.header("the version").strip()
    if version not in (b"#1.2", b"#1.3"):
        raise SourceError(
            f"{lines.what}: is no GCT: its first line is {version[:40]!r}, expected #1.2 or #1.3"
        )
    sizes = lines.header("the dimensions").split()
    if len(sizes) != (2 if version == b"#1.2" else 4) or not all(map(bytes.isdigit, sizes)):
        raise SourceError(f"{lines.what}: line 2 should be the dimensions of a GCT, not {sizes!r}")
    n_rows, n_samples, *n_described = map(int, sizes)
    header = fields_of(lines.header("the column names"), b"\t", lines.what, lines.number)
    n_texts = len(header) - n_samples
    if n_texts < 1 or (n_described and n_texts != 1 + n_described[0]):
        raise SourceError(
            f"{lines.what}: declares {n_samples} samples, but its header has {len(header)} columns"
        )
    fields = _sample_rows(lines, header, n_texts, n_described[1] if n_described else 0)
    # GTEx's files of one tissue number their rows in a column `id` before the names.
    texts = tuple(range(n_texts))
    if header[:2] == ["id", "Name"]:
        texts = (1, 0, *range(2, n_texts))
    return Head(Layout(tuple(header), texts, b"\t", options.decimal), fields=fields, n_rows=n_rows)


def _sample_rows(lines: Lines, header: list[str], n_texts: int, n: int) -> pl.DataFrame:
    """The rows of a GCT 1.3 that say something of its samples, as columns."""
    fields = {}
    for _ in range(n):
        name, *values = fields_of(
            lines.header("the samples' metadata"), b"\t", lines.what, lines.number
        )
        if len(values) + 1 != len(header):
            raise SourceError(
                f"{lines.what}: line {lines.number} has {len(values) + 1} fields, "
                f"expected {len(header)}"
            )
        fields[name] = [None if it in MISSING else it for it in values[n_texts - 1 :]]
    return pl.DataFrame(fields, schema=dict.fromkeys(fields, pl.String))
