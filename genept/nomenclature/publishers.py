"""What each publisher's file claims about gene names, and how genes differ between two references.

Also which genes GENCODE adds to HGNC's. Reading the files is `genept.datasources.gene_files`;
deciding between claims is `genept.nomenclature.names`.
"""

from typing import Final

import polars as pl

from genept.nomenclature.names import claims_of, gene_claims, name_index

FAMILY_BIOTYPES: Final = frozenset(
    {"snoRNA", "scaRNA", "snRNA", "misc_RNA", "rRNA", "sRNA", "ribozyme", "vault_RNA"}
)
"""Biotypes whose GENCODE names may be those of RNA families: its SNORD29 on chromosome 5 is not
HGNC's on chromosome 11."""

_BIOTYPE: Final = {
    "scaRNA": "snoRNA",
    "misc_RNA": "other_ncrna",
    "sRNA": "other_ncrna",
    "ribozyme": "other_ncrna",
    "vault_RNA": "other_ncrna",
    "Mt_rRNA": "rRNA",
    "Mt_tRNA": "tRNA",
    "TEC": "unknown",
    "artifact": "other",
}
"""GENCODE's biotypes in the words that HGNC's genes have; others are the same, or a group below."""


_RETIRED: Final = (
    pl.when(pl.col("symbol").is_null())
    .then(pl.lit("withdrawn"))
    .otherwise(pl.lit("retired_successor"))
)
"""Kind of a claim on a retired name, by whether a gene took its place."""


def with_missing_ids(genes: pl.DataFrame, gencode: pl.DataFrame) -> pl.DataFrame:
    """Approved genes with the Ensembl ids that HGNC lacks, where one id of GENCODE has the symbol.

    Names of RNA families (`FAMILY_BIOTYPES`) are not used: they do not identify a single gene.
    """
    symbol = pl.when(~pl.col("biotype").is_in(list(FAMILY_BIOTYPES))).then("symbol")
    named = gencode.select(symbol, gencode_id="ensembl_gene_id").drop_nulls()
    ids_by_symbol = named.unique().filter(pl.col("symbol").is_unique())  # _PAR_Y repeats an id
    free = ~pl.col("gencode_id").is_in(genes["ensembl_gene_id"].drop_nulls().implode())
    filled = pl.coalesce("ensembl_gene_id", pl.when(free).then("gencode_id"))
    return (
        genes.join(ids_by_symbol, on="symbol", how="left", maintain_order="left")
        .with_columns(filled.alias("ensembl_gene_id"))
        .drop("gencode_id")
    )


def gencode_claims(gencode: pl.DataFrame, genes: pl.DataFrame, source: str) -> pl.DataFrame:
    """Claims of GENCODE: ids that HGNC does not have, and the names of those genes.

    A name that several of its genes carry (``Y_RNA``) is claimed for each of them, and so becomes
    ambiguous. So does a name that HGNC uses, unless a claim of HGNC is stronger. `genes` are the
    approved genes, after `with_missing_ids`.
    """
    distinct = gencode.select("ensembl_gene_id", "symbol").unique(maintain_order=True)
    named = genes["ensembl_gene_id"].drop_nulls().implode()
    others = distinct.filter(~pl.col("ensembl_gene_id").is_in(named))
    known = _names_of(genes).implode()
    names = distinct.drop_nulls("symbol").filter(
        ~pl.col("ensembl_gene_id").is_in(named) | ~pl.col("symbol").is_in(known)
    )
    n_genes = pl.len().over("symbol")
    whose = pl.when(n_genes > 1).then(pl.format("{} genes", n_genes)).otherwise("ensembl_gene_id")
    of_whom = names.with_columns(whose.alias("symbol"), pl.col("symbol").alias("name"))
    return pl.concat(
        [
            claims_of(others, "ensembl_id", "ensembl_gene_id", source),
            claims_of(of_whom, "gencode_name", "name", source),
        ]
    )


def gencode_rows(gencode: pl.DataFrame, genes: pl.DataFrame) -> pl.DataFrame:
    """Rows of table `genes` for genes that HGNC does not have, without `reference_release`.

    The symbol is GENCODE's name if that name means this gene alone (see `gencode_claims`),
    otherwise the Ensembl id, so that no symbol occurs twice in the table. `genes` are the approved
    genes, after `with_missing_ids`.
    """
    name = pl.col("gencode_name")
    is_key = name.is_unique() & ~name.is_in(_names_of(genes).implode())
    no_names = pl.lit([], dtype=pl.List(pl.String))
    biotype = pl.col("gencode_biotype").str.replace("^.*pseudogene$", "pseudogene")
    biotype = biotype.str.replace("^(IG|TR)_.*gene$", "${1}_gene")  # in the words of HGNC's genes
    return gencode.select(
        "ensembl_gene_id",
        "gencode_name",
        "gencode_biotype",
        "gene_version",
        "length",
        hgnc_id=pl.lit(""),
        symbol=pl.when(is_key).then(name).otherwise("ensembl_gene_id"),
        symbol_source=pl.when(is_key).then(pl.lit("gencode")).otherwise(pl.lit("ensembl_id")),
        name=pl.lit(None, pl.String),
        biotype=biotype.replace(_BIOTYPE),
        entrez_id=pl.lit(None, pl.String),
        uniprot_ids=no_names,
        aliases=no_names,
        previous_symbols=no_names,
    ).filter(~pl.col("ensembl_gene_id").is_in(genes["ensembl_gene_id"].drop_nulls().implode()))


def _names_of(genes: pl.DataFrame) -> pl.Series:
    """Every name that HGNC uses: symbols, previous symbols, aliases."""
    listed = [genes[column].explode() for column in ("previous_symbols", "aliases")]
    return pl.concat([genes["symbol"], *listed]).drop_nulls().unique()


def synonyms(info: pl.DataFrame, genes: pl.DataFrame, source: str) -> pl.DataFrame:
    """Claims of NCBI's gene_info on genes that the reference has by HGNC id: names and ids."""
    names = pl.concat_list("symbol", "aliases")
    known = genes.select("hgnc_id", "symbol", "ensembl_gene_id")
    named = info.select("hgnc_id", "entrez_id", name=names).join(known, on="hgnc_id")
    columns = {"synonym": "name", "entrez_id": "entrez_id"}
    return pl.concat(claims_of(named, kind, name, source) for kind, name in columns.items())


def discontinued(history: pl.DataFrame, genes: pl.DataFrame, source: str) -> pl.DataFrame:
    """Claims of NCBI's gene_history: discontinued ids and symbols, and their successors."""
    heirs = genes.select("entrez_id", "symbol", "ensembl_gene_id").drop_nulls("entrez_id")
    rows = history.join(heirs, on="entrez_id", how="left")
    return pl.concat(
        claims_of(rows, _RETIRED, name, source)
        for name in ("discontinued_entrez_id", "discontinued_symbol")
    )


def withdrawn(entries: pl.DataFrame, genes: pl.DataFrame, source: str) -> pl.DataFrame:
    """Claims of HGNC's withdrawn entries: withdrawn symbols, and their successors."""
    heirs = genes.select("symbol", "ensembl_gene_id", successors="hgnc_id")
    names = entries.select("successors", name="symbol").explode("successors", empty_as_null=True)
    return claims_of(names.join(heirs, on="successors", how="left"), _RETIRED, "name", source)


def doubled_symbols(gencode: pl.DataFrame, genes: pl.DataFrame, source: str) -> pl.DataFrame:
    """Approved symbols that several protein-coding genes of GENCODE carry."""
    approved = pl.col("symbol").is_in(genes["symbol"].implode())
    coding = gencode.filter(pl.col("biotype") == "protein_coding", pl.col("symbol").is_not_null())
    doubled = coding.filter(pl.col("symbol").is_duplicated() & approved)
    return claims_of(doubled, "exact", "symbol", source)


def names_in_older_table(
    older: pl.DataFrame, genes: pl.DataFrame, annotation: pl.DataFrame | None, source: str
) -> pl.DataFrame:
    """Claims of an older gene table of Ensembl on ids and names no longer in use.

    A retired id is assigned to the gene that carries its name today, if that is one-to-one: no
    other retired id had the name, and it is either the gene's symbol, or a previous symbol and no
    other retired id is assigned to the gene. A name that one id alone had is an older name of that
    id. The ids of `annotation`, today's gene table, are in use as well.
    """
    named = genes.select("ensembl_gene_id", "symbol").drop_nulls("ensembl_gene_id")
    if annotation is not None:
        named = pl.concat([named, annotation.select("ensembl_gene_id", "symbol")])
    alive = named.unique("ensembl_gene_id", keep="first")
    once = older.select("ensembl_gene_id", name="symbol").drop_nulls("name").unique()
    in_use = once.filter(pl.col("name").is_unique()).join(alive, on="ensembl_gene_id")
    gone = (
        once.join(alive, on="ensembl_gene_id", how="anti")
        .filter(pl.col("name").is_unique())
        .rename({"ensembl_gene_id": "retired"})
        .join(_symbols_of_today_and_before(genes), on="name")
        .filter((pl.col("name") == pl.col("symbol")) | pl.col("ensembl_gene_id").is_unique())
    )
    return pl.concat(
        [
            claims_of(gone, "retired_successor", "retired", source),
            claims_of(in_use, "older_name", "name", source),
        ]
    )


def _symbols_of_today_and_before(genes: pl.DataFrame) -> pl.DataFrame:
    """Approved and previous symbols that mean one gene: name, symbol, ensembl_gene_id."""
    sure = name_index(gene_claims(genes, "")).filter(pl.col("outcome").is_in(["exact", "previous"]))
    symbols = genes.select("ensembl_gene_id", "symbol").drop_nulls().unique("ensembl_gene_id")
    return sure.select("name", "ensembl_gene_id").join(symbols, on="ensembl_gene_id")


def older_claims(before: pl.DataFrame, after: pl.DataFrame, source: str) -> pl.DataFrame:
    """Claims of an older snapshot: symbols and Ensembl ids that genes no longer have.

    A symbol that a gene had then is a previous symbol of it today, whether or not the publisher
    lists it. An id is claimed only where exactly one id replaced it.
    """
    renamed = reference_differences(before, after).filter(pl.col("change") == "renamed")
    now = renamed.select("symbol_before", symbol="symbol_after", ensembl_gene_id="ensembl_after")
    return pl.concat(
        [
            claims_of(now, "previous", "symbol_before", source),
            claims_of(retired_successors(before, after), "retired_successor", "retired", source),
        ]
    )


def reference_differences(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Compare two references, gene by gene.

    Parameters
    ----------
    before, after
        hgnc_id, symbol, ensembl_gene_id, previous_symbols, aliases; one row per approved gene.
        Genes without an HGNC id are not compared.

    Returns
    -------
    polars.DataFrame
        change (``renamed``, ``ensembl_changed``, ``merged``, ``lost`` or ``gained``), hgnc_id,
        symbol_before, symbol_after, ensembl_before, ensembl_after. A gene that is gone, and whose
        symbol exactly one gene now lists among its previous symbols or aliases, was ``merged`` into
        that gene.
    """
    columns = ["hgnc_id", "symbol", "ensembl_gene_id"]
    old, new = (genes.select(columns).drop_nulls("hgnc_id") for genes in (before, after))
    pairs = old.join(new, on="hgnc_id", how="full", coalesce=True, suffix="_after")
    was, is_now = pl.col("symbol").is_not_null(), pl.col("symbol_after").is_not_null()
    other_id = pl.col("ensembl_gene_id").ne_missing(pl.col("ensembl_gene_id_after"))
    merged = pairs.filter(~is_now).select(columns).join(_heirs(after), on="symbol", how="left")
    changes = {
        "renamed": pairs.filter(was & is_now & (pl.col("symbol") != pl.col("symbol_after"))),
        "ensembl_changed": pairs.filter(was & is_now & other_id),
        "merged": merged.filter(is_now),
        "lost": merged.filter(~is_now),
        "gained": pairs.filter(~was),
    }
    return pl.concat(
        genes.select(
            change=pl.lit(change),
            hgnc_id="hgnc_id",
            symbol_before="symbol",
            symbol_after="symbol_after",
            ensembl_before="ensembl_gene_id",
            ensembl_after="ensembl_gene_id_after",
        )
        for change, genes in changes.items()
    ).sort("change", "hgnc_id")


def retired_successors(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Ensembl ids that a gene no longer has, as `retired`, and the id that replaced each.

    Only one-to-one replacements: the gene is the same by HGNC id, no other gene had the old id or
    has it today, and neither id takes part in another replacement.
    """
    moved = reference_differences(before, after).filter(
        pl.col("change") == "ensembl_changed",
        pl.col("ensembl_before").is_not_null() & pl.col("ensembl_after").is_not_null(),
    )
    in_use = after["ensembl_gene_id"].drop_nulls().implode()
    ids = before["ensembl_gene_id"].drop_nulls()
    return moved.filter(
        ~pl.col("ensembl_before").is_in(in_use),
        ~pl.col("ensembl_before").is_in(ids.filter(ids.is_duplicated()).implode()),
        ~pl.col("ensembl_after").is_in(moved["ensembl_before"].implode()),
        pl.col("ensembl_after").is_unique(),
    ).select(retired="ensembl_before", ensembl_gene_id="ensembl_after", symbol="symbol_after")


def _heirs(genes: pl.DataFrame) -> pl.DataFrame:
    """The one gene that lists a name among its previous symbols or aliases."""
    listed = genes.select(
        symbol=pl.concat_list("previous_symbols", "aliases"),
        symbol_after="symbol",
        ensembl_gene_id_after="ensembl_gene_id",
    ).explode("symbol", empty_as_null=True)
    return listed.drop_nulls("symbol").unique().filter(pl.col("symbol").is_unique())
