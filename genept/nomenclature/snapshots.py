"""References made of publishers' own files: HGNC, NCBI Gene, GENCODE, alone or combined.

The lake keeps one part of table `gene_snapshots` per file and release. What the names mean is
decided in `genept.nomenclature.names`.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import BinaryIO, Final, Literal, TypeAlias, cast

import polars as pl

from genept.common import SourceError
from genept.datasources import (
    header_of,
    read_gencode,
    read_gene_history,
    read_gene_info,
    read_gene_types,
    read_hgnc_complete_set,
    read_hgnc_withdrawn,
)
from genept.nomenclature.names import CLAIM_SCHEMA
from genept.nomenclature.publishers import (
    discontinued,
    doubled_symbols,
    gencode_claims,
    names_in_older_table,
    synonyms,
    with_missing_ids,
    withdrawn,
)
from genept.nomenclature.reference import Reference, older_claims
from genept.schema.tables import GENE_SNAPSHOTS
from genept.storage import Lake, NewPart, Origin, Part, StoredTable

Format = Literal["hgnc", "gene_info", "gene_history", "withdrawn", "gencode", "gene_types"]


_READERS: Final[dict[Format, Callable[[Path], pl.DataFrame]]] = {
    "hgnc": read_hgnc_complete_set,
    "gene_info": read_gene_info,
    "gene_history": read_gene_history,
    "withdrawn": read_hgnc_withdrawn,
    "gencode": read_gencode,
    "gene_types": read_gene_types,
}

_MARKS: Final[dict[Format, set[str]]] = {
    "hgnc": {"hgnc_id", "symbol", "prev_symbol"},
    "gene_info": {"#tax_id", "Symbol", "dbXrefs"},
    "gene_history": {"#tax_id", "Discontinued_GeneID"},
    "withdrawn": {"HGNC_ID", "WITHDRAWN_SYMBOL"},
    "gencode": {"gene_id", "gene_name"},
    "gene_types": {"ensembl_id", "gene_name"},
}

_FURTHER: Final[dict[Format, Callable[[pl.DataFrame, pl.DataFrame, str], pl.DataFrame]]] = {
    "gene_info": synonyms,
    "gene_history": discontinued,
    "withdrawn": withdrawn,
}
"""What a file claims about names beyond the genes' own records."""


@dataclass(frozen=True)
class GeneFile:
    """One publisher's file, parsed.

    Parameters
    ----------
    format
        Which file it is.
    name
        Its name in evidence.
    rows
        As the reader of its format in `genept.datasources.gene_files` returns them.
    """

    format: Format
    name: str
    rows: pl.DataFrame


def read_gene_file(path: Path) -> GeneFile:
    """Parse a file; its columns tell the format.

    Parameters
    ----------
    path
        The file, packed or not.

    Returns
    -------
    GeneFile
        Format, name and rows.

    Raises
    ------
    SourceError
        It has none of the known formats.
    """
    format_ = _format(path)
    return GeneFile(format_, path.name, _READERS[format_](path))


def read_snapshot(paths: Sequence[Path]) -> Reference:
    """Build a reference from files in their publishers' formats.

    Parameters
    ----------
    paths
        Files; see `reference_from` for what each contributes.

    Returns
    -------
    Reference
        Of the first file that lists approved genes, with the claims of the others.

    Raises
    ------
    SourceError
        A file has none of the known formats, or none of them lists approved genes.
    """
    return reference_from([read_gene_file(path) for path in paths])


def reference_from(files: Sequence[GeneFile]) -> Reference:
    """Build a reference from parsed files.

    The first HGNC complete set is the reference; without one, NCBI's `gene_info` is. Further ones
    are older snapshots, from which retired Ensembl ids are derived. The first GENCODE table adds
    genes that HGNC does not have; further ones, and tables without versions, are older tables that
    give the names of retired ids. `gene_info` adds synonyms; `gene_history` and HGNC's withdrawn
    entries add retired ids and symbols with their successors.

    Parameters
    ----------
    files
        Parsed files, in order of precedence.

    Returns
    -------
    Reference
        Named after the files.

    Raises
    ------
    SourceError
        None of the files lists approved genes.
    """
    snapshots = [*_of(files, "hgnc"), *_of(files, "gene_info")]
    if not snapshots:
        raise SourceError(
            f"{', '.join(file.name for file in files)}: none of them lists approved genes; give "
            "an HGNC complete set or NCBI's gene_info"
        )
    current, *older = snapshots
    genes, annotations = current.rows, _of(files, "gencode")
    further = [pl.DataFrame(schema=CLAIM_SCHEMA)]
    if annotations:
        genes = with_missing_ids(genes, annotations[0].rows)
        further += [
            claims(annotations[0].rows, genes, annotations[0].name)
            for claims in (gencode_claims, doubled_symbols)
        ]
    further += [older_claims(file.rows, genes, file.name) for file in older]
    further += [
        _FURTHER[file.format](file.rows, genes, file.name)
        for file in files
        if file.format in _FURTHER
    ]
    annotation = annotations[0].rows if annotations else None
    further += [
        names_in_older_table(file.rows, genes, annotation, file.name)
        for file in (*annotations[1:], *_of(files, "gene_types"))
    ]
    return Reference("+".join(_stem(file.name) for file in files), genes, pl.concat(further))


def _of(files: Sequence[GeneFile], format_: Format) -> list[GeneFile]:
    return [file for file in files if file.format == format_]


def _format(path: Path) -> Format:
    if path.name.removesuffix(".gz").endswith(".gtf"):
        return "gencode"
    columns = set(header_of(path))
    for name, needed in _MARKS.items():
        if needed <= columns:
            return name
    raise SourceError(
        f"{path.name}: is neither HGNC's complete set or withdrawn list, nor NCBI's gene_info or "
        f"gene_history, nor a GENCODE gene table; its columns are {sorted(columns)[:8]}"
    )


def _stem(name: str) -> str:
    return name.split(".", maxsplit=1)[0]


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
    """Store a publisher's file as a part of table `gene_snapshots`, unless the lake holds it.

    Parameters
    ----------
    lake
        Where the table is stored.
    name
        Name of the snapshot, which is its partition in the table, such as ``hgnc-2024-10-18``.
    opener
        Opens the file; may be called several times.
    filename
        As the publisher names it: it tells a GTF and packed files apart, and appears in evidence.
    release, released
        The publisher's name of the release, and its date, if known.

    Returns
    -------
    StoredTable
        The table, of this part.

    Raises
    ------
    SourceError
        The file is damaged, or has none of the known formats; names it.
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
            code=("genept.datasources", "genept.nomenclature", "genept.schema.tables"),
            inputs={filename: content},
            settings={"snapshot": name, "release": release, "released": str(released)},
        )
        parts = lake.build(f"snapshots/{name}", origin, compute)
    return lake.assemble(GENE_SNAPSHOTS.name, parts)


def load_snapshot(lake: Lake, part: Part) -> GeneFile:
    """Read a part of table `gene_snapshots` as the parser returned it, named by its snapshot."""
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
        raise SourceError(f"{path.name}: {record.name} {doubled!r} occurs twice")
    if file.format == "gene_history":
        rows = rows.rename({own: ours for ours, own in _OWN_NAMES.items()})
    constants = {
        "snapshot": name,
        "format": file.format,
        "release": release,
        "released": str(released) if released else None,
    }
    rows = rows.with_columns(
        record.alias("record"),
        *(pl.lit(value, pl.String).alias(column) for column, value in constants.items()),
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
