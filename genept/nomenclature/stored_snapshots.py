"""Publishers' gene files in the lake: one part per file and release, loaded side by side again.

Fetching a file is its opener's business; what files mean together is `snapshots`'.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias, cast

import polars as pl

from genept.nomenclature.snapshots import Format, GeneFile, read_gene_file
from genept.sources.errors import SourceError
from genept.store.lake import Lake, NewPart, Part, StoredTable
from genept.store.provenance import Origin
from genept.tables import GENE_SNAPSHOTS

Opener: TypeAlias = Callable[[], AbstractContextManager[BinaryIO]]
"""Opens a publisher's file, packed or not, as often as it is called."""

_RECORD: Final[dict[Format, str]] = {
    "hgnc": "hgnc_id",
    "gene_info": "entrez_id",
    "gene_history": "discontinued_entrez_id",
    "withdrawn": "hgnc_id",
    "gencode": "gene_id",
    "gene_types": "ensembl_gene_id",
}
_GENE: Final = (
    *("hgnc_id", "symbol", "ensembl_gene_id", "name", "biotype", "entrez_id"),
    *("uniprot_ids", "aliases", "previous_symbols"),
)
_COLUMNS: Final[dict[Format, tuple[str, ...]]] = {
    "hgnc": _GENE,
    "gene_info": _GENE,
    "gene_history": ("record", "symbol", "entrez_id"),
    "withdrawn": ("hgnc_id", "symbol", "successors"),
    "gencode": ("ensembl_gene_id", "version", "symbol", "biotype", "is_par_y"),
    "gene_types": ("ensembl_gene_id", "symbol", "biotype"),
}
_OWN_NAMES: Final = {"record": "discontinued_entrez_id", "symbol": "discontinued_symbol"}
"""What `gene_history` calls its columns."""


def build_snapshot(
    lake: Lake, name: str, opener: Opener, *, filename: str, release: str, released: date | None
) -> StoredTable:
    """One publisher's file as table `gene_snapshots`, unless the lake holds it already.

    Parameters
    ----------
    name
        Of the snapshot; its partition in the table, such as ``hgnc-2024-10-18``.
    filename
        As the publisher names it: tells a GTF and packed files, and stands in evidence.
    release, released
        As the publisher calls it, and its date, if that is known.

    Raises
    ------
    SourceError
        The file is damaged, or none of the formats that are read; names it.
    """
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / Path(filename).name
        with opener() as stream, path.open("wb") as copy:
            shutil.copyfileobj(stream, copy)

        def compute() -> list[NewPart]:
            return [NewPart(GENE_SNAPSHOTS.name, _rows(path, name, release, released), (name,))]

        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        origin = Origin(
            code=("genept.sources", "genept.nomenclature", "genept.tables"),
            inputs={filename: content},
            settings={"snapshot": name, "release": release, "released": str(released)},
        )
        parts = lake.build(f"snapshots/{name}", origin, compute)
    return lake.assemble(GENE_SNAPSHOTS.name, parts)


def load_snapshot(lake: Lake, part: Part) -> GeneFile:
    """A file as its parser returned it, out of the lake; evidence calls it by its snapshot."""
    rows = lake.read(part)
    format_ = cast(Format, rows["format"][0])
    columns = rows.select(_COLUMNS[format_])
    if format_ == "gene_history":
        columns = columns.rename(_OWN_NAMES)
    return GeneFile(format_, part.partition[0], columns)


def _rows(path: Path, name: str, release: str, released: date | None) -> pl.DataFrame:
    file = read_gene_file(path)
    rows = file.rows
    if file.format == "gencode":
        copy = pl.when("is_par_y").then(pl.lit("_PAR_Y")).otherwise(pl.lit(""))
        rows = rows.with_columns(pl.concat_str("ensembl_gene_id", copy).alias("gene_id"))
    record = rows[_RECORD[file.format]]
    if record.is_duplicated().any():
        doubled = record.filter(record.is_duplicated())[0]
        raise SourceError(f"{path.name}: {record.name} {doubled!r} stands in it twice")
    if file.format == "gene_history":
        rows = rows.rename({own: ours for ours, own in _OWN_NAMES.items()})
    said = {
        "snapshot": name,
        "format": file.format,
        "release": release,
        "released": str(released) if released else None,
    }
    rows = rows.with_columns(
        record.alias("record"),
        *(pl.lit(value, pl.String).alias(column) for column, value in said.items()),
    )
    missing = [
        (pl.lit([], pl.List(pl.String)) if column.is_list else pl.lit(None, _TYPES[column.name]))
        .alias(column.name)
        for column in GENE_SNAPSHOTS.columns
        if column.name not in rows.columns
    ]  # fmt: skip
    return rows.with_columns(missing).select(column.name for column in GENE_SNAPSHOTS.columns)


_TYPES: Final[dict[str, type[pl.Boolean] | type[pl.String]]] = {
    column.name: pl.Boolean if column.name == "is_par_y" else pl.String
    for column in GENE_SNAPSHOTS.columns
}
