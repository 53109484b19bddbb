"""Facts of genes: rows of publishers' files as items by Ensembl id, in the order of writing.

Which files there are, and which parts of descriptions they make, is `genept.text.knowledge`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import polars as pl

from genept.datasources import (
    read_gene_summary,
    read_interactions,
    read_phenotypes,
    read_reactome,
    read_swissprot,
)
from genept.text.composition import sentences, tidy_summary

Facts = Mapping[str, pl.DataFrame]
"""Items of genes by part: ensembl_gene_id and item, in order."""


def items_of_column(genes: pl.DataFrame, part: str) -> pl.DataFrame:
    """A column of table `genes` as items; a symbol that is only the Ensembl id tells nothing."""
    value = pl.col(part).str.replace_all("_", " ") if part == "biotype" else pl.col(part)
    if part == "symbol":
        value = pl.when(value != pl.col("ensembl_gene_id")).then(value)
    items = genes.select("ensembl_gene_id", item=value)
    return items.filter(pl.col("item").fill_null("") != "")


def by_accession(genes: pl.DataFrame) -> pl.DataFrame:
    """Genes by UniProt accession: ensembl_gene_id and uniprot_id."""
    accessions = genes.select("ensembl_gene_id", uniprot_id="uniprot_ids")
    return accessions.explode("uniprot_id", empty_as_null=True).drop_nulls()


def _by_entrez(genes: pl.DataFrame) -> pl.DataFrame:
    return genes.select("ensembl_gene_id", "entrez_id").drop_nulls()


def _items_of(rows: pl.DataFrame, *order: str) -> pl.DataFrame:
    """Distinct items of each gene, in order."""
    chosen = rows.sort("ensembl_gene_id", *order, maintain_order=True)
    return chosen.select("ensembl_gene_id", "item").unique(maintain_order=True)


def _rarest_first(rows: pl.DataFrame, column: str) -> pl.DataFrame:
    """Distinct items of each gene, those of few genes first: they are the most specific."""
    sized = rows.with_columns(n_genes=pl.col("ensembl_gene_id").n_unique().over(column))
    return _items_of(sized.rename({column: "item"}), "n_genes", "item")


def _summaries(summaries: pl.DataFrame, genes: pl.DataFrame) -> Facts:
    tidy = pl.col("summary").map_elements(tidy_summary, pl.String)
    of_genes = summaries.join(_by_entrez(genes), on="entrez_id").with_columns(tidy)
    return {"summary": _items_of(_sentences(of_genes, "summary"))}


def _swissprot(entries: pl.DataFrame, genes: pl.DataFrame) -> Facts:
    sentences_ = _sentences(entries.join(by_accession(genes), on="uniprot_id"), "text")
    return {
        topic: _items_of(sentences_.filter(topic=topic), "uniprot_id")
        for topic in ("function", "location", "disease")
    }


def _pathways(members: pl.DataFrame, genes: pl.DataFrame) -> Facts:
    """Pathways of each gene, small ones first.

    Members are counted among the genes that HGNC names, so that the second copy of a gene (on the Y
    chromosome, for example) does not make its pathways larger.
    """
    named = genes.filter(pl.col("hgnc_id") != "")
    ids = pl.concat(
        [
            by_accession(named).rename({"uniprot_id": "input_id"}),
            named.select("ensembl_gene_id", input_id="ensembl_gene_id"),
        ]
    )
    return {"pathways": _rarest_first(members.join(ids, on="input_id"), "pathway")}


def _phenotypes(annotated: pl.DataFrame, genes: pl.DataFrame) -> Facts:
    of_genes = annotated.join(_by_entrez(genes), on="entrez_id")
    return {"phenotypes": _rarest_first(of_genes, "phenotype")}


def _interactions(partners: pl.DataFrame, genes: pl.DataFrame) -> Facts:
    """Partners with most publications first."""
    ranked = partners.join(_by_entrez(genes), on="entrez_id").select(
        "ensembl_gene_id", item="partner", rank=-pl.col("publications").cast(pl.Int64)
    )
    return {"interactions": _items_of(ranked, "rank", "item")}


def _sentences(rows: pl.DataFrame, column: str) -> pl.DataFrame:
    split = pl.col(column).map_elements(sentences, pl.List(pl.String))
    return rows.with_columns(item=split).explode("item", empty_as_null=True).drop_nulls("item")


FACT_READERS: Final[Mapping[str, tuple[Callable[..., pl.DataFrame], Callable[..., Facts]]]] = {
    "ncbi-gene-summary": (read_gene_summary, _summaries),
    "uniprot-human": (read_swissprot, _swissprot),
    "reactome-genes": (read_reactome, _pathways),
    "hpo-genes": (read_phenotypes, _phenotypes),
    "biogrid": (read_interactions, _interactions),
}
"""Readers by publisher's file: its reader, and what makes facts of its rows and table `genes`."""
