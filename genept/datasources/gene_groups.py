"""HGNC's gene groups: which genes are a family, a complex, or share a domain.

They are columns of HGNC's complete set. Which groups are close enough to count as a family is
`genept.nomenclature.families`.
"""

from typing import Final

import polars as pl

from genept.common import SourceError, breakage_refused, listed
from genept.datasources.download import Archives, AvailableFile, Opener, available_files

GROUP_SOURCES: Final = ("hgnc-complete-set", "hgnc-complete-set-2024-10-18")
"""Sources that hold the groups, in order of preference; all optional."""

_COLUMNS: Final = ("symbol", "status", "ensembl_gene_id", "gene_group")


def gene_group_file(archives: Archives) -> AvailableFile | None:
    """Find the complete set that is cached or in a mirror's folder; makes no request.

    Parameters
    ----------
    archives
        Finds the sources.

    Returns
    -------
    AvailableFile or None
        The first one of `GROUP_SOURCES` that is available.
    """
    known = [id_ for id_ in GROUP_SOURCES if id_ in archives.catalogue.sources]
    return next(iter(available_files(archives, known).values()), None)


def read_gene_groups(opener: Opener, what: str) -> pl.DataFrame:
    """Read which approved genes are of which groups.

    Parameters
    ----------
    opener, what
        Opens the unpacked bytes of HGNC's complete set; name of the file for messages.

    Returns
    -------
    pl.DataFrame
        symbol, ensembl_gene_id (nullable), gene_group; a row for each group of a gene.

    Raises
    ------
    SourceError
        The file is damaged, lacks a column, or puts no gene into a group.
    """
    with opener() as stream, breakage_refused(what):
        table = pl.read_csv(stream.read(), separator="\t", infer_schema=False)
    if missing := [name for name in _COLUMNS if name not in table.columns]:
        raise SourceError(f"{what}: has no column {missing[0]!r}; found {listed(table.columns)}")
    groups = (
        table.filter(status="Approved")
        .select("symbol", "ensembl_gene_id", pl.col("gene_group").str.split("|"))
        .explode("gene_group", empty_as_null=True)
        .with_columns(pl.col("gene_group").str.strip_chars())
        .filter(pl.col("gene_group").fill_null("") != "")
        .unique(["symbol", "gene_group"], maintain_order=True)
    )
    if groups.is_empty():
        raise SourceError(f"{what}: puts no gene into a group; is it HGNC's complete set?")
    return groups
