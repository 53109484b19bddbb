"""Tables of gene descriptions, of embeddings of genes, cells and bulk samples, and of charges."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from genept.schema.columns import VECTOR, Column, Table
from genept.schema.tables.fields import (
    COLLECTION,
    FLAG,
    FLOAT,
    GENE,
    INT,
    METHOD,
    OBSERVATION,
    RECIPE,
    SHA256,
    SPACE,
    SYMBOL,
    TEXT,
    TEXTS,
    UTC_TIME,
    share,
)


def _embeddings(name: str, what: str, group: str) -> Table:
    return Table(
        name=name,
        meaning=f"One vector per {what}, unit length: the expression-weighted mean of its genes' "
        "vectors (GenePT-w), the vector of a sentence of gene names (GenePT-s), another model's "
        "vector (outside), or a combination of several of these (ensemble).",
        group=group,
        key=("space", "method", "collection_id", "observation_id"),
        partition=("space", "method", "collection_id"),
        columns=(
            SPACE,
            METHOD,
            COLLECTION,
            OBSERVATION,
            Column("embedding", VECTOR, "The vector, float32.", norm=1.0),
            share(
                "coverage",
                "Share of the expression weight on genes that have a vector, or that the sentence "
                "names; 1 for outside vectors; for an ensemble the weighted mean of its members.",
                pa.float32(),
            ),
        ),
    )


EMBEDDING_TABLES: tuple[Table, ...] = (
    _embeddings("cell_embeddings", "cell", "embeddings"),
    _embeddings("sample_embeddings", "bulk sample", "embeddings"),
    Table(
        name="embedding_origins",
        meaning="Origin, licence and coverage of registered vectors of other models (outside) and "
        "of ensembles.",
        group="embeddings",
        key=("collection_id", "space", "method"),
        partition=("collection_id", "space"),
        minimum_rows=0,
        columns=(
            COLLECTION,
            replace(SPACE, meaning="Id of the other model's space, or of the ensemble."),
            METHOD,
            Column(
                "made_of",
                TEXTS,
                "The registered file, or the members of the ensemble with their weights.",
            ),
            Column(
                "file_sha256",
                TEXT,
                "SHA-256 of the registered file.",
                pattern=SHA256,
                nullable=True,
            ),
            Column("dimensions", INT, "Number of dimensions of a vector.", minimum=1),
            Column(
                "n_observations", INT, "Number of observations that could have a vector.", minimum=0
            ),
            Column("n_joined", INT, "Number of observations that have a vector.", minimum=0),
            Column(
                "n_strangers",
                INT,
                "Number of unused vectors, whose id is not an observation.",
                minimum=0,
            ),
            Column("shortest", FLOAT, "Length of the shortest vector of the file.", nullable=True),
            Column("longest", FLOAT, "Length of the longest vector of the file.", nullable=True),
            Column("licence", TEXT, "Licence of the vectors, as stated at registration."),
            Column("redistributable", FLAG, "Whether the licence allows passing the vectors on."),
            Column("citation", TEXT, "Publication to cite."),
            Column(
                "registered",
                TEXT,
                "Time of registration of the file, UTC.",
                pattern=UTC_TIME,
                nullable=True,
            ),
        ),
    ),
    Table(
        name="unmatched_vectors",
        meaning="Observations without a registered vector, and registered vectors without an "
        "observation.",
        group="embeddings",
        key=("collection_id", "space", "observation_id"),
        partition=("collection_id", "space"),
        minimum_rows=0,
        lists_missing=True,
        columns=(
            COLLECTION,
            replace(SPACE, meaning="Id of the other model's space."),
            replace(OBSERVATION, meaning="The observation, or the id in the registered file."),
            Column(
                "reason",
                TEXT,
                "What is missing: the vector, or an observation of that id.",
                allowed=("no_vector", "no_observation"),
            ),
        ),
    ),
)


TEXT_TABLES: tuple[Table, ...] = (
    Table(
        name="gene_descriptions",
        meaning="Text descriptions of genes, one row per gene and recipe.",
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
    Table(
        name="undescribed_genes",
        meaning="Genes of a recipe's biotypes that have no description, and why.",
        group="text",
        key=("recipe", "ensembl_gene_id"),
        partition=("recipe",),
        minimum_rows=0,
        lists_missing=True,
        columns=(
            replace(RECIPE, meaning="The recipe."),
            GENE,
            SYMBOL,
            Column("reason", TEXT, "What is missing, or what remained of the text."),
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
                "SHA-256 of the embedded text; null for registered vectors.",
                pattern=SHA256,
                nullable=True,
            ),
        ),
    ),
    Table(
        name="embedding_ledger",
        meaning="Charges of hosted text embedders; local embedders are free and not listed.",
        group="text",
        key=("receipt_id",),
        minimum_rows=0,
        columns=(
            Column(
                "receipt_id",
                TEXT,
                "Id of the charge; for a batch the id of the batch.",
                subject="payment",
                lasting=False,
            ),
            Column("embedder", TEXT, "The hosted embedder."),
            Column(
                "paid_at", TEXT, "Time at which the vectors were stored, UTC.", pattern=UTC_TIME
            ),
            Column("run_id", TEXT, "Id of the run that made the requests."),
            Column(
                "mode",
                TEXT,
                "Whether single requests or the batch interface were used.",
                allowed=("request", "batch"),
            ),
            Column("n_texts", INT, "Number of texts whose vector was stored.", minimum=0),
            Column("n_requests", INT, "Number of requests that were answered.", minimum=0),
            Column(
                "n_unanswered",
                INT,
                "Number of requests without a complete answer; the service may have charged them.",
                minimum=0,
            ),
            Column("tokens", INT, "Number of tokens charged.", unit="tokens", minimum=0),
            Column(
                "tokens_from",
                TEXT,
                "Whether `tokens` was reported by the service or estimated.",
                allowed=("usage", "estimate"),
            ),
            Column("dollars", FLOAT, "Cost at the declared price.", unit="US$", minimum=0),
        ),
    ),
)
