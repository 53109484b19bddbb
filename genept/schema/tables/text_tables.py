"""Tables of gene descriptions, their vectors, and what was paid for these."""

from __future__ import annotations

from dataclasses import replace

from genept.schema.columns import VECTOR, Column, Table
from genept.schema.tables.fields import (
    FLOAT,
    GENE,
    INT,
    RECIPE,
    SHA256,
    SPACE,
    SYMBOL,
    TEXT,
    TEXTS,
    UTC_TIME,
)

TEXT_TABLES: tuple[Table, ...] = (
    Table(
        name="gene_descriptions",
        meaning="What is known about each gene, as text, one row per recipe.",
        group="text",
        key=("recipe", "ensembl_gene_id"),
        partition=("recipe",),
        columns=(
            RECIPE,
            GENE,
            SYMBOL,
            Column("text", TEXT, "The description."),
            Column("text_sha256", TEXT, "SHA-256 of the UTF-8 text.", pattern=SHA256),
            Column(
                "n_tokens",
                INT,
                "Length in the tokens of its budget.",
                unit="tokens",
                minimum=1,
            ),
            Column(
                "parts",
                TEXTS,
                "Per part: name@source release, items in the text / items known, and what was "
                "cut, masked, cleaned or put in its place.",
            ),
        ),
    ),
    Table(
        name="undescribed_genes",
        meaning="Genes of a recipe's biotypes that it does not describe, and why.",
        group="text",
        key=("recipe", "ensembl_gene_id"),
        partition=("recipe",),
        minimum_rows=0,
        lists_missing=True,
        columns=(
            replace(RECIPE, meaning="The recipe."),
            GENE,
            SYMBOL,
            Column("reason", TEXT, "What it lacks, or what was left of its text."),
        ),
    ),
    Table(
        name="gene_embeddings",
        meaning="One vector per gene and space.",
        group="text",
        key=("space", "ensembl_gene_id"),
        partition=("space",),
        columns=(
            SPACE,
            GENE,
            SYMBOL,
            Column("embedding", VECTOR, "The vector, float32, unit length.", norm=1.0),
            Column(
                "text_sha256",
                TEXT,
                "The text that was embedded; empty for a table of vectors that was registered.",
                pattern=SHA256,
                nullable=True,
            ),
        ),
    ),
    Table(
        name="embedding_ledger",
        meaning="Every payment to a hosted text embedder; what runs locally costs nothing.",
        group="text",
        key=("receipt_id",),
        minimum_rows=0,
        columns=(
            Column(
                "receipt_id",
                TEXT,
                "The payment; a batch has the id of its batch.",
                subject="payment",
                lasting=False,
            ),
            Column("embedder", TEXT, "Who was paid."),
            Column("paid_at", TEXT, "When its vectors were kept, UTC.", pattern=UTC_TIME),
            Column("run_id", TEXT, "The run that paid."),
            Column("mode", TEXT, "How it was asked.", allowed=("request", "batch")),
            Column("n_texts", INT, "Texts that a vector was kept of.", minimum=0),
            Column("n_requests", INT, "Requests answered.", minimum=0),
            Column(
                "n_unanswered",
                INT,
                "Requests whose answer never came whole; whether they were charged, only the "
                "service's invoice says.",
                minimum=0,
            ),
            Column("tokens", INT, "Tokens charged for.", unit="tokens", minimum=0),
            Column(
                "tokens_from",
                TEXT,
                "Whether the service said so, or it is our estimate.",
                allowed=("usage", "estimate"),
            ),
            Column("dollars", FLOAT, "Price at the declared rate.", unit="US$", minimum=0),
        ),
    ),
)
