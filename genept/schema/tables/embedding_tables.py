"""Tables of gene descriptions, of embeddings of genes, cells and bulk samples, and of charges."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pyarrow as pa

from genept.schema.columns import VECTOR, Column, Table
from genept.schema.tables.fields import (
    COLLECTION,
    GENE,
    METHOD,
    OBSERVATION,
    RECIPE,
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

_table = partial(Table, group="embeddings")


def _embeddings(name: str, what: str) -> Table:
    return _table(
        name=name,
        meaning=f"One vector per {what}, unit length: the expression-weighted mean of its genes' "
        "vectors (GenePT-w), the vector of a sentence of gene names (GenePT-s), another model's "
        "vector (outside), or a combination of several of these (ensemble).",
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
    _embeddings("cell_embeddings", "cell"),
    _embeddings("sample_embeddings", "bulk sample"),
    _table(
        name="embedding_origins",
        meaning="Origin, licence and coverage of registered vectors of other models (outside) and "
        "of ensembles.",
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
            text("file_sha256", "SHA-256 of the registered file.", pattern=SHA256, nullable=True),
            count("dimensions", "Number of dimensions of a vector.", minimum=1),
            count("n_observations", "Number of observations that could have a vector."),
            count("n_joined", "Number of observations that have a vector."),
            count("n_strangers", "Number of unused vectors, whose id is not an observation."),
            number("shortest", "Length of the shortest vector of the file.", nullable=True),
            number("longest", "Length of the longest vector of the file.", nullable=True),
            text("licence", "Licence of the vectors, as stated at registration."),
            flag("redistributable", "Whether the licence allows passing the vectors on."),
            text("citation", "Publication to cite."),
            text(
                "registered",
                "Time of registration of the file, UTC.",
                pattern=UTC_TIME,
                nullable=True,
            ),
        ),
    ),
    _table(
        name="unmatched_vectors",
        meaning="Observations without a registered vector, and registered vectors without an "
        "observation.",
        key=("collection_id", "space", "observation_id"),
        partition=("collection_id", "space"),
        minimum_rows=0,
        lists_missing=True,
        columns=(
            COLLECTION,
            replace(SPACE, meaning="Id of the other model's space."),
            replace(OBSERVATION, meaning="The observation, or the id in the registered file."),
            text(
                "reason",
                "What is missing: the vector, or an observation of that id.",
                allowed=("no_vector", "no_observation"),
            ),
        ),
    ),
)

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
