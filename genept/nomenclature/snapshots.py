"""References made of publishers' own files: HGNC, NCBI Gene, GENCODE, side by side or together.

The starter reference, from archives, is `genept.nomenclature.reference`'s; keeping parsed files
in the lake is `stored_snapshots`'. A file is told by its columns, so that a person need only name
it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import polars as pl

from genept.nomenclature.gencode import gencode_claims, with_missing_ids
from genept.nomenclature.names import CLAIM_SCHEMA
from genept.nomenclature.publishers import (
    discontinued,
    doubled_symbols,
    names_in_older_table,
    synonyms,
    withdrawn,
)
from genept.nomenclature.reference import Reference, older_claims
from genept.sources.errors import SourceError
from genept.sources.gene_files import (
    header_of,
    read_gencode,
    read_gene_history,
    read_gene_info,
    read_gene_types,
    read_hgnc_complete_set,
    read_hgnc_withdrawn,
)

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
    name
        What evidence calls it.
    rows
        As the reader of its format in `genept.sources.gene_files` returns them.
    """

    format: Format
    name: str
    rows: pl.DataFrame


def read_gene_file(path: Path) -> GeneFile:
    """Parse a file by what its columns say it is.

    Raises
    ------
    SourceError
        It is none of the formats that are read here.
    """
    format_ = _format(path)
    return GeneFile(format_, path.name, _READERS[format_](path))


def read_snapshot(paths: Sequence[Path]) -> Reference:
    """A reference from files in their publishers' formats; see `reference_from`.

    Raises
    ------
    SourceError
        A file is none of these, or nothing among them lists approved genes.
    """
    return reference_from([read_gene_file(path) for path in paths])


def reference_from(files: Sequence[GeneFile]) -> Reference:
    """A reference from parsed files.

    The first HGNC complete set is the reference; without one, NCBI's `gene_info` is. Further
    ones are older snapshots that tell which Ensembl ids were retired. The first GENCODE table
    adds genes that HGNC does not name; further ones, and tables without versions, are older and
    tell by which name a retired id went. `gene_info` tells synonyms, `gene_history` and HGNC's
    withdrawn entries what became of retired ids and symbols.

    Raises
    ------
    SourceError
        Nothing among the files lists approved genes.
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
