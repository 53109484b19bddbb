"""Parser `gct`: GCT 1.2 and 1.3, genes × samples under a line of dimensions.

As GTEx publishes them (1.2: Name, Description; its files by tissue have an `id`
before) and as the Broad's tools do (1.3: further columns of the genes, and rows
of the samples).
"""

from __future__ import annotations

import polars as pl

from genept.sources.archives import Archives
from genept.sources.catalogue import Collection
from genept.sources.errors import SourceError
from genept.sources.formats import GctOptions
from genept.sources.parsed import ParsedCollection
from genept.sources.tables import read_genes_in_rows
from genept.sources.text_lines import Lines, fields_of
from genept.sources.text_matrix import Head
from genept.sources.text_numbers import MISSING, Layout


def parse(archives: Archives, collection: Collection) -> ParsedCollection:
    """Read the samples; rows of samples' metadata (1.3) are fields.

    Raises
    ------
    SourceError
        It is no GCT, or its table has not the dimensions that it declares.
    """
    options = GctOptions.model_validate(collection.options)
    return read_genes_in_rows(archives, collection, options, lambda lines: _head(lines, options))


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
    layout = Layout(tuple(header), texts, b"\t", options.decimal)
    return Head(layout, fields=fields, n_rows=n_rows)


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
