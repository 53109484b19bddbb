"""Tables of genes: the reference, names, publishers' files, descriptions, vectors and charges."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from genept.schema.columns import VECTOR, Column, Table
from genept.schema.tables.fields import (
    COLLECTION,
    GENE,
    HGNC_ID_OR_NONE,
    INPUT,
    MEANING,
    OUTCOME,
    OUTCOMES,
    RECIPE,
    REFERENCE,
    SHA256,
    SPACE,
    SYMBOL,
    TEXTS,
    UTC_TIME,
    count,
    flag,
    number,
    share,
    text,
)

_table = partial(Table, group="nomenclature")

GENE_TABLES: tuple[Table, ...] = (
    _table(
        name="genes",
        meaning="The gene reference: every gene of GENCODE, and every other HGNC gene that has an "
        "Ensembl id.",
        key=("ensembl_gene_id",),
        minimum_rows=78_000,
        columns=(
            GENE,
            text(
                "hgnc_id",
                "HGNC accession; empty text where HGNC does not name the gene.",
                pattern=HGNC_ID_OR_NONE,
                deprecated="from schema 2.0.0 on it will be null instead of empty text; "
                "filter by `symbol_source`",
            ),
            SYMBOL,
            text(
                "symbol_source",
                "Origin of the symbol: HGNC, GENCODE, or the Ensembl id itself.",
                allowed=("hgnc", "gencode", "ensembl_id"),
            ),
            text("name", "Approved full name.", nullable=True),
            text("biotype", "Kind of gene, such as protein_coding or lncRNA."),
            text(
                "gencode_name",
                "Name in GENCODE, not always unique; null if GENCODE gives only the id or lacks "
                "the gene.",
                nullable=True,
            ),
            text("gencode_biotype", "Biotype in GENCODE.", nullable=True),
            count(
                "gene_version", "Version of the Ensembl id in GENCODE.", nullable=True, minimum=1
            ),
            count(
                "length",
                "Median length of the gene's transcripts (sum of exons) in GENCODE.",
                unit="bp",
                nullable=True,
                minimum=1,
            ),
            text("entrez_id", "NCBI Gene id.", nullable=True, pattern=r"^\d+$"),
            Column("uniprot_ids", TEXTS, "UniProt accessions of the gene's proteins."),
            Column("aliases", TEXTS, "Other symbols in use for the gene."),
            Column("previous_symbols", TEXTS, "Symbols that were formerly approved for the gene."),
            REFERENCE,
        ),
    ),
    _table(
        name="gene_names",
        meaning="Every gene name of the reference and the gene that it stands for; join gene names "
        "to it.",
        key=("name",),
        minimum_rows=200_000,
        columns=(
            text("name", "Symbol or id, spelled exactly as it is looked up."),
            text("outcome", "What kind of name it is.", allowed=OUTCOMES),
            *MEANING,
            REFERENCE,
        ),
    ),
    _table(
        name="gene_mapping",
        meaning="How each gene name of a collection was resolved, except those in `quarantine`.",
        key=("collection_id", "input_id"),
        partition=("collection_id",),
        columns=(
            COLLECTION,
            INPUT,
            OUTCOME,
            *MEANING,
            share(
                "expression_share", "Share of the collection's total expression under this name."
            ),
            REFERENCE,
        ),
    ),
)


GENE_SNAPSHOTS: Final = _table(
    name="gene_snapshots",
    meaning="Publishers' gene files at past releases, used to compare references.",
    key=("snapshot", "record"),
    partition=("snapshot",),
    columns=(
        text("snapshot", "File and release that the row is from."),
        text("record", "Accession or id of the row in the publisher's file."),
        text("format", "Publisher's format that the row was read from."),
        text("release", "Release, as named by the publisher."),
        text(
            "released",
            "Date of the release, if known.",
            nullable=True,
            pattern=r"^\d{4}-\d{2}-\d{2}$",
        ),
        replace(SYMBOL, meaning="Symbol at that release.", nullable=True),
        text("hgnc_id", "HGNC accession.", nullable=True, pattern=r"^HGNC:\d+$"),
        replace(GENE, nullable=True),
        text("version", "Version of the Ensembl id.", nullable=True),
        flag(
            "is_par_y",
            "Whether it is the chromosome Y copy of a pseudoautosomal gene.",
            nullable=True,
        ),
        text("entrez_id", "NCBI Gene id.", nullable=True, pattern=r"^\d+$"),
        text("name", "Full name.", nullable=True),
        text("biotype", "Kind of gene.", nullable=True),
        Column("uniprot_ids", TEXTS, "UniProt accessions."),
        Column("aliases", TEXTS, "Other symbols."),
        Column("previous_symbols", TEXTS, "Former symbols."),
        Column("successors", TEXTS, "HGNC accessions that replaced a withdrawn one."),
    ),
)
"""Kept in the lake and not published: the content is the publishers', and no release needs it."""

_text_table = partial(Table, group="text")

TEXT_TABLES: tuple[Table, ...] = (
    _text_table(
        name="gene_descriptions",
        meaning="Text descriptions of genes, one row per gene and recipe.",
        key=("recipe", "ensembl_gene_id"),
        partition=("recipe",),
        columns=(
            RECIPE,
            GENE,
            SYMBOL,
            text("text", "The description."),
            text("text_sha256", "SHA-256 of the UTF-8 text.", pattern=SHA256),
            count(
                "n_tokens",
                "Length of the text, counted as for the recipe's token budget.",
                unit="tokens",
                minimum=1,
            ),
            Column(
                "parts",
                TEXTS,
                "For each part of the text: name@source release, items used / items available, and "
                "what was cut, masked, cleaned or substituted.",
            ),
        ),
    ),
    _text_table(
        name="undescribed_genes",
        meaning="Genes of a recipe's biotypes that have no description, and why.",
        key=("recipe", "ensembl_gene_id"),
        partition=("recipe",),
        minimum_rows=0,
        lists_missing=True,
        columns=(
            replace(RECIPE, meaning="The recipe."),
            GENE,
            SYMBOL,
            text("reason", "What is missing, or what remained of the text."),
        ),
    ),
    _text_table(
        name="gene_embeddings",
        meaning="One vector per gene and space.",
        key=("space", "ensembl_gene_id"),
        partition=("space",),
        columns=(
            SPACE,
            GENE,
            SYMBOL,
            Column("embedding", VECTOR, "The vector, float32, unit length.", norm=1.0),
            text(
                "text_sha256",
                "SHA-256 of the embedded text; null for registered vectors.",
                pattern=SHA256,
                nullable=True,
            ),
        ),
    ),
    _text_table(
        name="embedding_ledger",
        meaning="Charges of hosted text embedders; local embedders are free and not listed.",
        key=("receipt_id",),
        minimum_rows=0,
        columns=(
            text(
                "receipt_id",
                "Id of the charge; for a batch the id of the batch.",
                subject="payment",
                lasting=False,
            ),
            text("embedder", "The hosted embedder."),
            text("paid_at", "Time at which the vectors were stored, UTC.", pattern=UTC_TIME),
            text("run_id", "Id of the run that made the requests."),
            text(
                "mode",
                "Whether single requests or the batch interface were used.",
                allowed=("request", "batch"),
            ),
            count("n_texts", "Number of texts whose vector was stored."),
            count("n_requests", "Number of requests that were answered."),
            count(
                "n_unanswered",
                "Number of requests without a complete answer; the service may have charged them.",
            ),
            count("tokens", "Number of tokens charged.", unit="tokens"),
            text(
                "tokens_from",
                "Whether `tokens` was reported by the service or estimated.",
                allowed=("usage", "estimate"),
            ),
            number("dollars", "Cost at the declared price.", unit="US$", minimum=0),
        ),
    ),
)
