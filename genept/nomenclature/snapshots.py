"""References made of publishers' own files: HGNC, NCBI Gene, GENCODE, side by side or together.

The starter reference, from archives, is `genept.nomenclature.reference`'s. A snapshot is told
by its columns, so that a person need only name the files.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import polars as pl

from genept.nomenclature.names import CLAIM_SCHEMA, claims_of
from genept.nomenclature.reference import Reference, older_claims
from genept.sources.errors import SourceError
from genept.sources.gene_files import (
    header_of,
    read_gencode,
    read_gene_history,
    read_gene_info,
    read_hgnc_complete_set,
    read_hgnc_withdrawn,
)


def read_snapshot(paths: Sequence[Path]) -> Reference:
    """A reference from files in their publishers' formats.

    The first HGNC complete set is the reference; without one, NCBI's `gene_info` is. Further
    ones are older snapshots that tell which Ensembl ids were retired. GENCODE adds genes that
    HGNC does not name, `gene_info` synonyms, `gene_history` and HGNC's withdrawn entries what
    became of retired ids and symbols.

    Raises
    ------
    SourceError
        A file is none of these, or nothing among them lists approved genes.
    """
    files: dict[str, list[Path]] = {}
    for path in paths:
        files.setdefault(_format(path), []).append(path)
    snapshots = [
        *((read_hgnc_complete_set(path), path.name) for path in files.get("hgnc", [])),
        *((read_gene_info(path), path.name) for path in files.get("gene_info", [])),
    ]
    if not snapshots:
        raise SourceError(
            f"{', '.join(path.name for path in paths)}: none of them lists approved genes; give "
            "an HGNC complete set or NCBI's gene_info"
        )
    (current, _), *older = snapshots
    for path in files.get("gencode", []):
        current = _with_missing_ids(current, read_gencode(path))
    further = [older_claims(before, current, source) for before, source in older]
    for format_, (read, claims) in _FURTHER.items():
        further += [claims(read(path), current, path.name) for path in files.get(format_, [])]
    return Reference(
        "+".join(_stem(path) for path in paths),
        current,
        pl.concat([pl.DataFrame(schema=CLAIM_SCHEMA), *further]),
    )


def _format(path: Path) -> str:
    if path.name.removesuffix(".gz").endswith(".gtf"):
        return "gencode"
    columns = set(header_of(path))
    marks = {
        "hgnc": {"hgnc_id", "symbol", "prev_symbol"},
        "gene_info": {"#tax_id", "Symbol", "dbXrefs"},
        "gene_history": {"#tax_id", "Discontinued_GeneID"},
        "withdrawn": {"HGNC_ID", "WITHDRAWN_SYMBOL"},
        "gencode": {"gene_id", "gene_name"},
    }
    for name, needed in marks.items():
        if needed <= columns:
            return name
    raise SourceError(
        f"{path.name}: is neither HGNC's complete set or withdrawn list, nor NCBI's gene_info or "
        f"gene_history, nor a GENCODE gene table; its columns are {sorted(columns)[:8]}"
    )


def _synonyms(info: pl.DataFrame, genes: pl.DataFrame, source: str) -> pl.DataFrame:
    """NCBI's names of genes that the reference knows by HGNC id; ids of those it does not."""
    known = genes.select("hgnc_id", "symbol", "ensembl_gene_id")
    named = info.select(
        "hgnc_id", "entrez_id", pl.concat_list("symbol", "aliases").alias("name")
    ).join(known, on="hgnc_id")
    names = named.explode("name", empty_as_null=True)
    return pl.concat(
        [
            claims_of(names, "synonym", pl.col("name"), source),
            claims_of(named, "entrez_id", pl.col("entrez_id"), source),
        ]
    )


def _discontinued(history: pl.DataFrame, genes: pl.DataFrame, source: str) -> pl.DataFrame:
    heirs = genes.select("entrez_id", "symbol", "ensembl_gene_id").drop_nulls("entrez_id")
    rows = history.join(heirs, on="entrez_id", how="left")
    kind = (
        pl.when(pl.col("symbol").is_null())
        .then(pl.lit("withdrawn"))
        .otherwise(pl.lit("retired_successor"))
    )
    return pl.concat(
        claims_of(rows, kind, pl.col(name), source)
        for name in ("discontinued_entrez_id", "discontinued_symbol")
    )


def _withdrawn(entries: pl.DataFrame, genes: pl.DataFrame, source: str) -> pl.DataFrame:
    heirs = genes.select("hgnc_id", pl.col("symbol").alias("heir"), "ensembl_gene_id")
    rows = (
        entries.explode("successors", empty_as_null=True)
        .join(heirs, left_on="successors", right_on="hgnc_id", how="left")
        .select(pl.col("symbol").alias("name"), pl.col("heir").alias("symbol"), "ensembl_gene_id")
    )
    kind = (
        pl.when(pl.col("symbol").is_null())
        .then(pl.lit("withdrawn"))
        .otherwise(pl.lit("retired_successor"))
    )
    return claims_of(rows, kind, pl.col("name"), source)


def _with_missing_ids(genes: pl.DataFrame, gencode: pl.DataFrame) -> pl.DataFrame:
    """Ensembl ids of approved genes that HGNC has none for, where one id alone has the symbol."""
    named = gencode.select("symbol", pl.col("ensembl_gene_id").alias("found")).drop_nulls()
    found = named.unique().filter(pl.col("symbol").is_unique())  # _PAR_Y repeats an id
    free = ~pl.col("found").is_in(genes["ensembl_gene_id"].drop_nulls().implode())
    filled = pl.coalesce("ensembl_gene_id", pl.when(free).then("found"))
    return (
        genes.join(found, on="symbol", how="left", maintain_order="left")
        .with_columns(filled.alias("ensembl_gene_id"))
        .drop("found")
    )


def _gencode(gencode: pl.DataFrame, genes: pl.DataFrame, source: str) -> pl.DataFrame:
    """Ids that HGNC does not name, with their names; and symbols that two coding genes carry."""
    named = genes["ensembl_gene_id"].drop_nulls().implode()
    approved = pl.col("symbol").is_in(genes["symbol"].implode())
    others = gencode.filter(~pl.col("ensembl_gene_id").is_in(named))
    coding = gencode.filter(pl.col("biotype") == "protein_coding", pl.col("symbol").is_not_null())
    doubled = coding.filter(pl.col("symbol").is_duplicated() & approved)
    return pl.concat(
        [
            claims_of(others, "ensembl_id", pl.col("ensembl_gene_id"), source),
            claims_of(others.filter(~approved), "exact", pl.col("symbol"), source),
            claims_of(doubled, "exact", pl.col("symbol"), source),
        ]
    )


_FURTHER: Final = {
    "gene_info": (read_gene_info, _synonyms),
    "gene_history": (read_gene_history, _discontinued),
    "withdrawn": (read_hgnc_withdrawn, _withdrawn),
    "gencode": (read_gencode, _gencode),
}
"""What is claimed about names beyond the genes' own records: reader and claims by format."""


def _stem(path: Path) -> str:
    return path.name.split(".")[0]
