"""Tables of embeddings of cells and bulk samples, and where they come from."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from genept.schema.columns import VECTOR, Column, Table
from genept.schema.tables.fields import (
    COLLECTION,
    FLAG,
    FLOAT,
    INT,
    METHOD,
    OBSERVATION,
    SHA256,
    SPACE,
    TEXT,
    TEXTS,
    UTC_TIME,
    share,
)


def _embeddings(name: str, what: str, group: str) -> Table:
    return Table(
        name=name,
        meaning=f"One vector per {what}, unit length: the expression-weighted mean of its genes' "
        "vectors (GenePT-w), that of a sentence naming its genes (GenePT-s), another model's "
        "(outside), or several of these as one (ensemble).",
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
                "Share of its weight on genes with a vector, or that the sentence names; 1 for "
                "outside vectors, which come whole; the weighted mean of an ensemble's members.",
                pa.float32(),
            ),
        ),
    )


EMBEDDING_TABLES: tuple[Table, ...] = (
    _embeddings("cell_embeddings", "cell", "embeddings"),
    _embeddings("sample_embeddings", "bulk sample", "embeddings"),
    Table(
        name="embedding_origins",
        meaning="Outside vectors and ensembles: what they are made of, their terms, and how many "
        "observations they reach.",
        group="embeddings",
        key=("collection_id", "space", "method"),
        partition=("collection_id", "space"),
        minimum_rows=0,
        columns=(
            COLLECTION,
            replace(SPACE, meaning="Id of the other model's space, or of the ensemble."),
            METHOD,
            Column("made_of", TEXTS, "The file; or each member with its weight."),
            Column("file_sha256", TEXT, "Of the file.", pattern=SHA256, nullable=True),
            Column("dimensions", INT, "Length of a vector.", minimum=1),
            Column("n_observations", INT, "Observations that could have a vector.", minimum=0),
            Column("n_joined", INT, "Those that have one.", minimum=0),
            Column(
                "n_strangers", INT, "Vectors of ids that are no observation; not used.", minimum=0
            ),
            Column("shortest", FLOAT, "Shortest vector of the file.", nullable=True),
            Column("longest", FLOAT, "Longest vector of the file.", nullable=True),
            Column("licence", TEXT, "Licence of the vectors, as stated by who added them."),
            Column("redistributable", FLAG, "Whether it allows passing the vectors on."),
            Column("citation", TEXT, "What to cite."),
            Column(
                "registered", TEXT, "When a file was added, UTC.", pattern=UTC_TIME, nullable=True
            ),
        ),
    ),
    Table(
        name="unmatched_vectors",
        meaning="Observations that outside vectors do not reach, and vectors of nobody.",
        group="embeddings",
        key=("collection_id", "space", "observation_id"),
        partition=("collection_id", "space"),
        minimum_rows=0,
        lists_missing=True,
        columns=(
            COLLECTION,
            replace(SPACE, meaning="Id of the other model's space."),
            replace(OBSERVATION, meaning="The observation; or the id that the file gives."),
            Column(
                "reason",
                TEXT,
                "What is missing: its vector, or an observation of that id.",
                allowed=("no_vector", "no_observation"),
            ),
        ),
    ),
)
