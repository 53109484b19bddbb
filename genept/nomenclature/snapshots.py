"""References made of publishers' own files: HGNC, NCBI Gene, GENCODE, alone or combined.

The lake keeps one part of table `gene_snapshots` per file and release. What the names mean is
decided in `genept.nomenclature.names`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, Literal, NamedTuple

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
from genept.nomenclature import publishers
from genept.nomenclature.names import CLAIM_SCHEMA
from genept.nomenclature.reference import Reference
from genept.schema.tables import GENE_SNAPSHOTS
from genept.storage import Lake, NewPart, Origin, StoredTable, sha256_of_file

Format = Literal["hgnc", "gene_info", "gene_history", "withdrawn", "gencode", "gene_types"]


class _Layout(NamedTuple):
    """How a format is known by its columns, and read.

    `record` is the column that names its rows. `claims` returns what the file claims about names
    beyond the genes' own records.
    """

    reader: Callable[[Path], pl.DataFrame]
    columns: set[str]
    record: str
    claims: Callable[[pl.DataFrame, pl.DataFrame, str], pl.DataFrame] | None = None


_LAYOUTS: Final[dict[Format, _Layout]] = {
    "hgnc": _Layout(read_hgnc_complete_set, {"hgnc_id", "symbol", "prev_symbol"}, "hgnc_id"),
    "gene_info": _Layout(
        read_gene_info, {"#tax_id", "Symbol", "dbXrefs"}, "entrez_id", publishers.synonyms
    ),
    "gene_history": _Layout(
        read_gene_history,
        {"#tax_id", "Discontinued_GeneID"},
        "discontinued_entrez_id",
        publishers.discontinued,
    ),
    "withdrawn": _Layout(
        read_hgnc_withdrawn, {"HGNC_ID", "WITHDRAWN_SYMBOL"}, "hgnc_id", publishers.withdrawn
    ),
    "gencode": _Layout(read_gencode, {"gene_id", "gene_name"}, "gene_id"),
    "gene_types": _Layout(read_gene_types, {"ensembl_id", "gene_name"}, "ensembl_gene_id"),
}


@dataclass(frozen=True)
class GeneFile:
    """One publisher's file, as the reader of its format returns it; `name` is that in evidence."""

    format: Format
    name: str
    rows: pl.DataFrame


def read_gene_file(path: Path) -> GeneFile:
    """Parse a file, packed or not; its columns tell the format, or `SourceError` is raised."""
    format_ = _format(path)
    return GeneFile(format_, path.name, _LAYOUTS[format_].reader(path))


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
    """Build a reference, named after the files, from parsed files in order of precedence.

    The first HGNC complete set is the reference; without one, NCBI's `gene_info` is. Further ones
    are older snapshots, from which retired Ensembl ids are derived. The first GENCODE table adds
    genes that HGNC does not have; further ones, and tables without versions, are older tables that
    give the names of retired ids. `gene_info` adds synonyms; `gene_history` and HGNC's withdrawn
    entries add retired ids and symbols with their successors. Raises `SourceError` if none of the
    files lists approved genes.
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
        genes = publishers.with_missing_ids(genes, annotations[0].rows)
        further += [
            claims(annotations[0].rows, genes, annotations[0].name)
            for claims in (publishers.gencode_claims, publishers.doubled_symbols)
        ]
    further += [publishers.older_claims(file.rows, genes, file.name) for file in older]
    further += [
        claims(file.rows, genes, file.name)
        for file in files
        if (claims := _LAYOUTS[file.format].claims)
    ]
    annotation = annotations[0].rows if annotations else None
    further += [
        publishers.names_in_older_table(file.rows, genes, annotation, file.name)
        for file in (*annotations[1:], *_of(files, "gene_types"))
    ]
    release = "+".join(file.name.partition(".")[0] for file in files)
    return Reference(release, genes, pl.concat(further))


def _of(files: Sequence[GeneFile], format_: Format) -> list[GeneFile]:
    return [file for file in files if file.format == format_]


def _format(path: Path) -> Format:
    if path.name.removesuffix(".gz").endswith(".gtf"):
        return "gencode"
    columns = set(header_of(path))
    for name, layout in _LAYOUTS.items():
        if layout.columns <= columns:
            return name
    raise SourceError(
        f"{path.name}: is neither HGNC's complete set or withdrawn list, nor NCBI's gene_info or "
        f"gene_history, nor a GENCODE gene table; its columns are {sorted(columns)[:8]}"
    )


_OWN_NAMES: Final = {"discontinued_entrez_id": "record", "discontinued_symbol": "symbol"}
"""Columns of `gene_history`, and what they are called in the table."""

_NO_ROWS: Final = pl.DataFrame(GENE_SNAPSHOTS.schema().empty_table())


def build_snapshot(
    lake: Lake, name: str, path: Path, *, release: str, released: date | None
) -> StoredTable:
    """Store a publisher's file as a part of table `gene_snapshots`, unless the lake holds it.

    Parameters
    ----------
    lake
        Where the table is stored.
    name
        Name of the snapshot, which is its partition in the table, such as ``hgnc-2024-10-18``.
    path
        The file, packed or not, named as the publisher names it: that tells a GTF and packed files
        apart.
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
    origin = Origin(
        code=("genept.datasources", "genept.nomenclature", "genept.schema.tables"),
        inputs={path.name: sha256_of_file(path)},
        settings={"snapshot": name, "release": release, "released": str(released)},
    )
    parts = lake.build(
        f"snapshots/{name}",
        origin,
        lambda: [NewPart(GENE_SNAPSHOTS.name, _rows(path, name, release, released), (name,))],
    )
    return lake.assemble(GENE_SNAPSHOTS.name, parts)


def _rows(path: Path, name: str, release: str, released: date | None) -> pl.DataFrame:
    file = read_gene_file(path)
    rows = file.rows
    if file.format == "gencode":
        copy = pl.when("is_par_y").then(pl.lit("_PAR_Y")).otherwise(pl.lit(""))
        rows = rows.with_columns(pl.concat_str("ensembl_gene_id", copy).alias("gene_id"))
    record = rows[_LAYOUTS[file.format].record]
    if record.is_duplicated().any():
        doubled = record.filter(record.is_duplicated())[0]
        raise SourceError(f"{path.name}: {record.name} {doubled!r} occurs twice")
    if file.format == "gene_history":
        rows = rows.rename(_OWN_NAMES)
    rows = rows.with_columns(
        record.alias("record"),
        snapshot=pl.lit(name),
        format=pl.lit(file.format),
        release=pl.lit(release),
        released=pl.lit(str(released) if released else None, pl.String),
    )
    every_column = pl.concat([_NO_ROWS, rows], how="diagonal").select(_NO_ROWS.columns)
    return every_column.with_columns(pl.col(pl.List(pl.String)).fill_null([]))


def touched_collections(differences: pl.DataFrame, mapping: pl.DataFrame) -> pl.DataFrame:
    """Return the collections that changes of the reference concern.

    Parameters
    ----------
    differences
        As `reference_differences` returns them.
    mapping
        Table `gene_mapping`.

    Returns
    -------
    polars.DataFrame
        collection_id, change, n_inputs, and expression_share of those inputs.
    """
    ids = differences.select(
        "change", ensembl_gene_id=pl.concat_list("ensembl_before", "ensembl_after")
    ).explode("ensembl_gene_id", empty_as_null=True)
    return (
        mapping.join(ids.drop_nulls().unique(), on="ensembl_gene_id")
        .group_by("collection_id", "change")
        .agg(pl.len().alias("n_inputs"), pl.col("expression_share").sum())
        .sort("collection_id", "change")
    )
