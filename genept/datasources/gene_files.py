"""Gene tables in their publishers' own formats: HGNC, NCBI Gene, GENCODE.

Each reader takes a local file, gzipped or not, and returns one row per gene, or per
retired name. What the names in them mean is the business of `genept.nomenclature`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

import polars as pl

from genept.common import SourceError, listed
from genept.datasources.download import open_gzip

HUMAN = "9606"
NONE = "-"

HGNC_COLUMNS = (
    "hgnc_id", "symbol", "name", "locus_type", "status", "alias_symbol", "prev_symbol",
    "entrez_id", "ensembl_gene_id", "uniprot_ids",
)  # fmt: skip
GENE_INFO_COLUMNS = (
    "#tax_id", "GeneID", "Symbol", "Synonyms", "dbXrefs", "description", "type_of_gene",
    "Symbol_from_nomenclature_authority",
)  # fmt: skip
GENE_HISTORY_COLUMNS = ("#tax_id", "GeneID", "Discontinued_GeneID", "Discontinued_Symbol")
HGNC_WITHDRAWN_COLUMNS = ("HGNC_ID", "STATUS", "WITHDRAWN_SYMBOL")
GENCODE_COLUMNS = ("gene_id", "gene_name", "biotype")
GENE_TYPES_COLUMNS = ("ensembl_id", "gene_name", "gene_type")

_DATED = ("Modification_date", "Discontinue_Date")

_BIOTYPE = {
    "gene with protein product": "protein_coding",
    "RNA, long non-coding": "lncRNA",
    "RNA, micro": "miRNA",
    "RNA, transfer": "tRNA",
    "RNA, small nucleolar": "snoRNA",
    "RNA, small nuclear": "snRNA",
    "RNA, ribosomal": "rRNA",
    "readthrough": "readthrough",
    "pseudogene": "pseudogene",
    "immunoglobulin gene": "IG_gene",
    "immunoglobulin pseudogene": "pseudogene",
    "T cell receptor gene": "TR_gene",
    "T cell receptor pseudogene": "pseudogene",
    "protein-coding": "protein_coding",
    "pseudo": "pseudogene",
}


def header_of(path: Path) -> list[str]:
    """Read the column names of a table, which say what kind of table it is.

    Parameters
    ----------
    path
        Local file, gzipped or not; comma separated if its name contains ``.csv``, else by tabs.

    Returns
    -------
    list of str
        Names in the order of the file.
    """
    return _frame(path, "\t" if ".csv" not in path.name else ",", None, n_rows=0).columns


def newest_entry(path: Path) -> date | None:
    """Date of the newest entry of one of NCBI's files, which do not state their own.

    Parameters
    ----------
    path
        Local tab-separated file, gzipped or not.

    Returns
    -------
    date or None
        None for a table without a column of dates.
    """
    column = next((name for name in header_of(path) if name in _DATED), None)
    if column is None:
        return None
    newest = _read(path, (column,), "\t", quote=None)[column].max()
    return datetime.strptime(str(newest), "%Y%m%d").date()


def read_hgnc_complete_set(path: Path) -> pl.DataFrame:
    """HGNC's complete set (tab separated), approved genes only.

    Parameters
    ----------
    path
        Local file, gzipped or not.

    Returns
    -------
    pl.DataFrame
        hgnc_id, symbol, ensembl_gene_id, name, biotype, entrez_id (nullable), and the
        lists uniprot_ids, aliases, previous_symbols.

    Raises
    ------
    SourceError
        The file is damaged, is not this format, or repeats an HGNC id.
    """
    table = _read(path, HGNC_COLUMNS, "\t", quote='"')
    genes = table.filter(pl.col("status") == "Approved").select(
        "hgnc_id",
        "symbol",
        "ensembl_gene_id",
        "name",
        _biotype("locus_type"),
        "entrez_id",
        _listed("uniprot_ids"),
        _listed("alias_symbol").alias("aliases"),
        _listed("prev_symbol").alias("previous_symbols"),
    )
    return _unique(genes, "hgnc_id", path)


def read_hgnc_withdrawn(path: Path) -> pl.DataFrame:
    """HGNC's withdrawn entries: what became of symbols that are no longer approved.

    Parameters
    ----------
    path
        Local tab-separated file, gzipped or not.

    Returns
    -------
    pl.DataFrame
        `hgnc_id`, `symbol`, and `successors`, the HGNC ids that it was merged into or split
        among (empty if it was withdrawn for good).
    """
    merged = "MERGED_INTO_REPORT(S) (i.e HGNC_ID|SYMBOL|STATUS)"
    table = _read(path, (*HGNC_WITHDRAWN_COLUMNS, merged), "\t", quote=None)
    successors = pl.col(merged).fill_null("").str.extract_all(r"HGNC:\d+")
    return table.select(hgnc_id="HGNC_ID", symbol="WITHDRAWN_SYMBOL", successors=successors)


def read_gene_info(path: Path) -> pl.DataFrame:
    """NCBI Gene's `gene_info`, human genes that have a place in a nomenclature.

    Parameters
    ----------
    path
        Local file, gzipped or not.

    Returns
    -------
    pl.DataFrame
        The columns of `read_hgnc_complete_set`, hgnc_id nullable; `ensembl_gene_id` only where
        NCBI names exactly one.
    """
    table = _read(path, GENE_INFO_COLUMNS, "\t", quote=None)
    human = table.filter(pl.col("#tax_id") == HUMAN, pl.col("type_of_gene") != "biological-region")
    references = pl.col("dbXrefs")
    ensembl = references.str.extract_all(r"ENSG\d{11}")
    approved = pl.col("Symbol_from_nomenclature_authority")
    genes = human.select(
        references.str.extract(r"(HGNC:\d+)").alias("hgnc_id"),
        pl.coalesce(approved.replace(NONE, None), "Symbol").alias("symbol"),
        pl.when(ensembl.list.len() == 1).then(ensembl.list.first()).alias("ensembl_gene_id"),
        pl.col("description").alias("name"),
        _biotype("type_of_gene"),
        pl.col("GeneID").alias("entrez_id"),
        pl.lit([], dtype=pl.List(pl.String)).alias("uniprot_ids"),
        _listed("Synonyms").alias("aliases"),
        pl.lit([], dtype=pl.List(pl.String)).alias("previous_symbols"),
    )
    return _unique(genes, "entrez_id", path)


def read_gene_history(path: Path) -> pl.DataFrame:
    """NCBI Gene's `gene_history`, human: ids that were discontinued, and what took their place.

    Parameters
    ----------
    path
        Local file, gzipped or not.

    Returns
    -------
    pl.DataFrame
        discontinued_entrez_id, discontinued_symbol, entrez_id (null: nothing took its place).
    """
    table = _read(path, GENE_HISTORY_COLUMNS, "\t", quote=None)
    return table.filter(pl.col("#tax_id") == HUMAN).select(
        pl.col("Discontinued_GeneID").alias("discontinued_entrez_id"),
        pl.col("Discontinued_Symbol").replace(NONE, None).alias("discontinued_symbol"),
        pl.col("GeneID").replace(NONE, None).alias("entrez_id"),
    )


def read_gencode(path: Path) -> pl.DataFrame:
    """GENCODE's genes: the gene lines of a GTF, or a table `gene_id,gene_name,biotype,…`.

    Parameters
    ----------
    path
        Local file, gzipped or not; a GTF if its name ends in ``.gtf`` or ``.gtf.gz``.

    Returns
    -------
    pl.DataFrame
        ensembl_gene_id (unversioned), version, symbol, biotype, is_par_y. Genes whose name
        is only their id have a null symbol.
    """
    is_gtf = path.name.removesuffix(".gz").endswith(".gtf")
    table = _gtf_genes(path) if is_gtf else _read(path, GENCODE_COLUMNS, ",", quote='"')
    parts = pl.col("gene_id").str.extract_groups(
        r"^(?<id>ENSG\d{11})\.(?<version>\d+)(?<par>_PAR_Y)?$"
    )
    genes = table.with_columns(parts.alias("parts")).select(
        pl.col("parts").struct.field("id").alias("ensembl_gene_id"),
        pl.col("parts").struct.field("version").alias("version"),
        pl.when(~pl.col("gene_name").str.starts_with("ENSG")).then("gene_name").alias("symbol"),
        "biotype",
        pl.col("parts").struct.field("par").is_not_null().alias("is_par_y"),
    )
    if genes["ensembl_gene_id"].null_count():
        row = genes["ensembl_gene_id"].is_null().arg_true()[0]
        raise SourceError(
            f"{path.name}: {table['gene_id'][row]!r} is not a versioned human Ensembl gene id"
        )
    return genes


def read_gene_types(path: Path) -> pl.DataFrame:
    """A gene table without versions, ``ensembl_id,gene_name,gene_type``, of older releases.

    Parameters
    ----------
    path
        Local file, gzipped or not.

    Returns
    -------
    pl.DataFrame
        ensembl_gene_id, symbol (null where the name is only the id), biotype. Rows with a
        made-up id, such as ``ENSGunknown_U1``, are left out.
    """
    table = _read(path, GENE_TYPES_COLUMNS, ",", quote='"')
    genes = table.filter(pl.col("ensembl_id").str.contains(r"^ENSG\d{11}$")).select(
        pl.col("ensembl_id").alias("ensembl_gene_id"),
        pl.when(~pl.col("gene_name").str.starts_with("ENSG")).then("gene_name").alias("symbol"),
        pl.col("gene_type").alias("biotype"),
    )
    return _unique(genes, "ensembl_gene_id", path)


def _gtf_genes(path: Path) -> pl.DataFrame:
    names = ["chromosome", "source", "feature", "start", "end", "score", "strand", "frame", "text"]
    lines = _frame(path, "\t", None, header=names).filter(pl.col("feature") == "gene")

    def attribute(name: str) -> pl.Expr:
        return pl.col("text").str.extract(rf'{name} "([^"]*)"')

    return lines.select(
        gene_id=attribute("gene_id"),
        gene_name=attribute("gene_name"),
        biotype=attribute("gene_type"),
    )


def _read(path: Path, columns: Sequence[str], separator: str, quote: str | None) -> pl.DataFrame:
    table = _frame(path, separator, quote)
    if missing := [name for name in columns if name not in table.columns]:
        raise SourceError(
            f"{path.name}: has no column {missing[0]!r}; found {listed(table.columns)}"
        )
    return table.select(columns)


def _frame(
    path: Path,
    separator: str,
    quote: str | None,
    header: Sequence[str] | None = None,
    n_rows: int | None = None,
) -> pl.DataFrame:
    data = _unpacked(path)
    if not data or data.lstrip()[:1] == b"<":
        raise SourceError(f"{path.name}: expected a table, but it begins with {data[:24]!r}")
    try:
        return pl.read_csv(
            data,
            separator=separator,
            quote_char=quote,
            infer_schema=False,
            has_header=header is None,
            new_columns=list(header) if header else None,
            comment_prefix="##",
            n_rows=n_rows,
        )
    except pl.exceptions.PolarsError as error:
        raise SourceError(f"{path.name}: {str(error).strip().splitlines()[0]}") from error


def _unpacked(path: Path) -> bytes:
    try:
        if path.suffix != ".gz":
            return path.read_bytes()
        with path.open("rb") as packed, open_gzip(packed, path.name) as stream:
            return stream.read()
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error


def _listed(column: str) -> pl.Expr:
    """A `|`-separated column as a list, without blanks and dashes."""
    items = pl.col(column).fill_null("").str.split("|").list.eval(pl.element().str.strip_chars())
    return items.list.eval(pl.element().filter(~pl.element().is_in(["", NONE])))


def _biotype(column: str) -> pl.Expr:
    return pl.col(column).replace_strict(_BIOTYPE, default=pl.col(column)).alias("biotype")


def _unique(genes: pl.DataFrame, column: str, path: Path) -> pl.DataFrame:
    doubled = genes.filter(pl.col(column).is_duplicated())[column]
    if len(doubled):
        raise SourceError(f"{path.name}: {column} {doubled[0]!r} occurs more than once")
    return genes
