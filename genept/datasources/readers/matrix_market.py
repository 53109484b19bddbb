"""Parser `tenx_mtx`: 10x Genomics' Matrix Market folders, versions 2 and 3.

Three files, gzipped or not: genes.tsv (v2) or features.tsv (v3), barcodes.tsv and
matrix.mtx (genes × cells). In a folder, a zip, a tar, or each a source of its own.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv as arrow_csv

from genept.common import SourceError, option, setting
from genept.datasources.catalogue import Collection
from genept.datasources.download import Archives, member_names
from genept.datasources.formats import TenxMtxOptions
from genept.datasources.readers.assembly import Matrix, assembled
from genept.datasources.readers.parsed import Mask, ParsedCollection, Quarantined
from genept.datasources.readers.spool import Buckets, Spool, spooled, write_panel
from genept.datasources.readers.text_lines import Lines, decoded, open_lines
from genept.datasources.readers.values import MAX_EXACT

_EXPRESSION: Final = "Gene Expression"
CHUNK: Final = 1 << 23
_NAMES: Final = {
    "matrix": ("matrix.mtx", "matrix.mtx.gz"),
    "features": ("features.tsv", "features.tsv.gz", "genes.tsv", "genes.tsv.gz"),
    "barcodes": ("barcodes.tsv", "barcodes.tsv.gz"),
}


File = tuple[Path, str | None]
"""A local file, and the name of the file in it, of an archive."""


def parse_matrix_market(archives: Archives, collection: Collection) -> ParsedCollection:
    """Read 10x Matrix Market; ids are barcodes, other features than gene expression are split out.

    Parameters
    ----------
    archives, collection
        Downloads sources and keeps the sorted matrix; entry with the options of `TenxMtxOptions`.

    Returns
    -------
    ParsedCollection
        Cells × genes.

    Raises
    ------
    SourceError
        A file is missing or irregular, the matrix does not fit the names, is not a
        general coordinate matrix of numbers, or holds counts that are none.
    """
    options = TenxMtxOptions.model_validate(collection.options)
    files = _files(archives, collection, options)
    features = _table(files["features"])
    barcodes = [row[0] for row in _table(files["barcodes"])]
    is_gene = np.array([len(row) < 3 or row[2] == _EXPRESSION for row in features], bool)
    if not is_gene.any():
        raise SourceError(f"{files['features'][0].name}: no feature is {_EXPRESSION!r}")
    shape = (len(barcodes), len(features))

    def make(folder: Path) -> None:
        with open_lines(*files["matrix"]) as lines:
            n = _header(lines, shape)
            buckets = Buckets(folder, (shape[0], int(is_gene.sum())), n)
            _sort(lines, n, shape, is_gene, buckets, collection.unit == "counts")
            write_panel(folder, 0, buckets.blocks(lines.what))

    folder = spooled(archives, collection, make)
    genes = [row for row, is_expression in zip(features, is_gene, strict=True) if is_expression]
    spool = Spool(folder, (shape[0], len(genes)), (len(genes),))
    column = {None: 0, "id": 0, "name": 1}.get(options.genes)
    if column is None or column >= len(genes[0]):
        raise SourceError(f"option genes is {options.genes!r}; expected 'id' or 'name'")
    named = Matrix(
        expression=spool,
        genes=[row[0] for row in genes],
        ids=barcodes,
        fields=pl.DataFrame({"barcode": barcodes}, schema={"barcode": pl.String}),
        stored=spool.stored(),
        symbols=[row[column] for row in genes],
        quarantined=_split_out(features),
    )
    return assembled(archives, collection, options, named)


def _files(archives: Archives, collection: Collection, options: TenxMtxOptions) -> dict[str, File]:
    if options.separate:
        sources = zip(_NAMES, collection.sources[:3], strict=True)
        return {role: (archives.fetch(source_id), None) for role, source_id in sources}
    path = archives.fetch(collection.sources[0])
    names = [PurePosixPath(name) for name in member_names(path, path.name)]
    files: dict[str, File] = {}
    for role, accepted in _NAMES.items():
        matching = [str(name) for name in names if _is_accepted(name, accepted, options.member)]
        if len(matching) != 1:
            raise SourceError(
                f"{path.name}: has {len(matching)} files {' or '.join(accepted)} "
                f"in {options.member or 'it'}{f' ({matching})' if matching else ''}; expected one: "
                "name the folder (or what their names begin with), such as "
                f"{option('member', 'filtered/')}"
            )
        files[role] = path, matching[0]
    return files


def _is_accepted(name: PurePosixPath, accepted: tuple[str, ...], member: str | None) -> bool:
    """Whether a path is one of the accepted names; GEO puts the sample's id before (``GSM1_``)."""
    if member is not None and not (
        str(name).startswith(member) or str(name.parent).endswith(member.strip("/"))
    ):
        return False
    return any(name.name == it or name.name.endswith(f"_{it}") for it in accepted)


def _table(file: File) -> list[list[str]]:
    """Rows of one of the tables of names, which have no header."""
    with open_lines(*file) as lines:
        rows = [decoded(line, lines.what, lines.number).split("\t") for line in lines]
    if len({len(row) for row in rows}) > 1:
        raise SourceError(f"{lines.what}: its rows have different numbers of fields")
    if any(not row[0] for row in rows):
        raise SourceError(f"{lines.what}: a row has no name")
    return rows


def _header(lines: Lines, shape: tuple[int, int]) -> int:
    """Check the header of a Matrix Market file; return how many values it declares."""
    banner = lines.header("its header").decode("ascii", "replace").lower().split()
    if banner[:2] != ["%%matrixmarket", "matrix"] or len(banner) != 5:
        raise SourceError(
            f"{lines.what}: is no Matrix Market file: it begins with {' '.join(banner)[:60]!r}"
        )
    if banner[2] != "coordinate" or banner[3] not in ("integer", "real") or banner[4] != "general":
        raise SourceError(
            f"{lines.what}: is a {' '.join(banner[2:])} matrix; expected coordinate, integer or "
            "real, general: write it anew with all of its values"
        )
    while (line := lines.peek()) is not None and line.startswith(b"%"):
        next(lines)
    sizes = lines.header("its sizes").split()
    if len(sizes) != 3 or not all(size.isdigit() and len(size) <= 18 for size in sizes):
        raise SourceError(
            f"{lines.what}: line {lines.number} should be its sizes, three whole numbers, not "
            f"{b' '.join(sizes)[:60]!r}"
        )
    n_features, n_barcodes, n = map(int, sizes)
    if (n_barcodes, n_features) != shape:
        raise SourceError(
            f"{lines.what}: is {n_features} × {n_barcodes}, but there are {shape[1]} features and "
            f"{shape[0]} barcodes: the three files do not belong together"
        )
    if n > n_features * n_barcodes:
        raise SourceError(
            f"{lines.what}: declares {n:,} values, its size allows {n_features * n_barcodes:,}: "
            "some would stand twice"
        )
    return n


def _sort(
    lines: Lines, n: int, shape: tuple[int, int], is_gene: Mask, buckets: Buckets, is_counts: bool
) -> None:
    position, seen, what = np.cumsum(is_gene) - 1, 0, lines.what
    for features, barcodes, values in _triplets(lines):
        for name, index, size in (("feature", features, shape[1]), ("barcode", barcodes, shape[0])):
            outside = (index < 1) | (index > size)
            if outside.any():
                at = int(outside.argmax())
                raise SourceError(
                    f"{what}: value {seen + at + 1} is of {name} {index[at]}, but there are {size}"
                )
        _refuse_values(values, is_counts, what)
        seen += len(values)
        if seen > n:  # before they are sorted, which takes space for as many as are declared
            raise SourceError(f"{what}: declares {n:,} values, but has more: is it damaged?")
        gene = is_gene[features - 1]
        buckets.add(
            barcodes[gene] - 1, position[features[gene] - 1], values[gene].astype(np.float32)
        )
    if seen != n:
        raise SourceError(f"{what}: declares {n:,} values, but has {seen:,}: was it cut short?")


def _refuse_values(values: NDArray[np.float64], is_counts: bool, what: str) -> None:
    if not np.isfinite(values).all():
        raise SourceError(f"{what}: holds NaN or infinite values")
    if is_counts:
        odd = (values != np.floor(values)) | (values < 0) | (values > MAX_EXACT)
        if odd.any():
            raise SourceError(
                f"{what}: holds {values[odd][0]:g}, which is no count (whole, from 0 to 2^24): is "
                f"it normalised? Then state its unit, such as {setting('unit', 'log1p')}"
            )


def _triplets(lines: Lines) -> Iterator[tuple[NDArray[Any], ...]]:
    """The values of the body, some megabytes at a time: feature, barcode (from 1), value.

    `scipy.io.mmread` has them all in memory at once, three columns of 8 bytes.
    """
    if not lines.stream.peek(1):
        return
    types = {"feature": pa.int64(), "barcode": pa.int64(), "value": pa.float64()}
    try:
        with arrow_csv.open_csv(
            lines.stream,
            read_options=arrow_csv.ReadOptions(
                column_names=list(types), block_size=CHUNK, use_threads=False
            ),
            parse_options=arrow_csv.ParseOptions(delimiter=" ", quote_char=False),
            convert_options=arrow_csv.ConvertOptions(column_types=types, null_values=[]),
        ) as batches:
            for batch in batches:
                yield tuple(column.to_numpy() for column in batch.columns)
    except pa.ArrowInvalid as error:
        raise SourceError(
            f"{lines.what}: has a line that is not 'feature barcode value': {error}"
        ) from error


def _split_out(features: list[list[str]]) -> tuple[Quarantined, ...]:
    """Antibodies, guides and others, which are no gene's expression."""
    return tuple(
        Quarantined("gene", row[0], "not_expression", f"is a feature of the type {row[2]!r}")
        for row in features
        if len(row) >= 3 and row[2] != _EXPRESSION
    )
