"""Gene tables in their publishers' own formats: HGNC, NCBI Gene, GENCODE.

Each reader takes a local file, gzipped or not, and returns one row per gene, or per
retired name. What the names in them mean is the business of `genept.nomenclature`.
"""

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from genept.common import SourceError, breakage_refused, listed
from genept.datasources.download import open_bytes

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

_DATES = {"Modification_date", "Discontinue_Date"}
_BIOTYPE = {
    "gene with protein product": "protein_coding",
    "RNA, long non-coding": "lncRNA",
    "RNA, micro": "miRNA",
    "RNA, transfer": "tRNA",
    "RNA, small nucleolar": "snoRNA",
    "RNA, small nuclear": "snRNA",
    "RNA, ribosomal": "rRNA",
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
    if not (columns := _DATES.intersection(header_of(path))):
        return None
    newest = _read(path, [*columns], "\t", quote=None).to_series().max()
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
        names_in("uniprot_ids"),
        names_in("alias_symbol").alias("aliases"),
        names_in("prev_symbol").alias("previous_symbols"),
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
    table = _read(path, ("HGNC_ID", "STATUS", "WITHDRAWN_SYMBOL", merged), "\t", quote=None)
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
        names_in("Synonyms").alias("aliases"),
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
    columns = ("#tax_id", "GeneID", "Discontinued_GeneID", "Discontinued_Symbol")
    table = _read(path, columns, "\t", quote=None)
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
        ensembl_gene_id (unversioned), version, symbol (null: none but the id), biotype, is_par_y.
    """
    is_gtf, columns = path.name.endswith((".gtf", ".gtf.gz")), ("gene_id", "gene_name", "biotype")
    table = _gtf_genes(path) if is_gtf else _read(path, columns, ",", quote='"')
    parts = pl.col("gene_id").str.extract_groups(r"^(ENSG\d{11})\.(\d+)(_PAR_Y)?$").struct
    genes = table.select(
        parts.field("1").alias("ensembl_gene_id"),
        parts.field("2").alias("version"),
        unless_id("gene_name").alias("symbol"),
        "biotype",
        parts.field("3").is_not_null().alias("is_par_y"),
    )
    wrong = table["gene_id"].filter(genes["ensembl_gene_id"].is_null())
    if len(wrong):
        raise SourceError(f"{path.name}: {wrong[0]!r} is not a versioned human Ensembl gene id")
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
    table = _read(path, ("ensembl_id", "gene_name", "gene_type"), ",", quote='"')
    genes = table.filter(pl.col("ensembl_id").str.contains(r"^ENSG\d{11}$")).select(
        pl.col("ensembl_id").alias("ensembl_gene_id"),
        unless_id("gene_name").alias("symbol"),
        pl.col("gene_type").alias("biotype"),
    )
    return _unique(genes, "ensembl_gene_id", path)


def _gtf_genes(path: Path) -> pl.DataFrame:
    names = ["chromosome", "source", "feature", "start", "end", "score", "strand", "frame", "text"]
    columns = {"gene_id": "gene_id", "gene_name": "gene_name", "biotype": "gene_type"}
    return (
        _frame(path, "\t", None, has_header=False, new_columns=names)
        .filter(pl.col("feature") == "gene")
        .select(
            pl.col("text").str.extract(rf'{attribute} "([^"]*)"').alias(name)
            for name, attribute in columns.items()
        )
    )


def _read(path: Path, columns: Sequence[str], separator: str, quote: str | None) -> pl.DataFrame:
    table = _frame(path, separator, quote)
    for name in columns:
        if name not in table.columns:
            raise SourceError(f"{path.name}: has no column {name!r}; found {listed(table.columns)}")
    return table.select(columns)


def _frame(path: Path, separator: str, quote: str | None, **options: Any) -> pl.DataFrame:
    try:
        with open_bytes(path, None, path.name) as stream:
            data = stream.read()
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error
    with breakage_refused(path.name):
        return pl.read_csv(
            data,
            separator=separator,
            quote_char=quote,
            infer_schema=False,
            comment_prefix="##",
            **options,
        )


def names_in(column: str) -> pl.Expr:
    """A `|`-separated column as a list, without blanks and dashes."""
    items = pl.col(column).fill_null("").str.split("|").list.eval(pl.element().str.strip_chars())
    return items.list.eval(pl.element().filter(~pl.element().is_in(["", NONE])))


def unless_id(column: str) -> pl.Expr:
    """A gene's name; null where it is only the Ensembl id."""
    return pl.when(~pl.col(column).str.starts_with("ENSG")).then(column)


def _biotype(column: str) -> pl.Expr:
    return pl.col(column).replace_strict(_BIOTYPE, default=pl.col(column)).alias("biotype")


def _unique(genes: pl.DataFrame, column: str, path: Path) -> pl.DataFrame:
    for value in genes.filter(pl.col(column).is_duplicated())[column]:
        raise SourceError(f"{path.name}: {column} {value!r} occurs more than once")
    return genes
