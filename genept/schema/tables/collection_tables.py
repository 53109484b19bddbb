"""Tables of collections: axis, observations, expression, responses, vectors of observations."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pyarrow as pa

from genept.schema.columns import VECTOR, Column, Table
from genept.schema.tables.fields import (
    COLLECTION,
    DRUG,
    GENE,
    INPUT,
    INT,
    METHOD,
    N_OBSERVATIONS,
    OBSERVATION,
    SHA256,
    SPACE,
    SYMBOL,
    TEXTS,
    TOTAL,
    UNITS,
    UTC_TIME,
    count,
    flag,
    number,
    share,
    text,
)

_table = partial(Table, group="collections")

COLLECTION_TABLES: tuple[Table, ...] = (
    _table(
        name="collections",
        meaning="Every ingested collection: origin, unit, licence, citation, and what was counted.",
        key=("collection_id",),
        partition=("collection_id",),
        columns=(
            COLLECTION,
            text("title", "One-line description of the collection."),
            text(
                "kind",
                "Whether observations are single cells or bulk samples.",
                allowed=("single_cell", "bulk"),
            ),
            text("unit", "Unit of the published expression values.", allowed=UNITS),
            text("group_axis", "What `observations.group_id` stands for."),
            Column("sources", TEXTS, "Source files that it was made of, as `name version`."),
            text("licence", "Licence as stated by the source."),
            flag("redistributable", "Whether the licence allows passing the data on."),
            text("citation", "Publication to cite."),
            text("caveat", "Known limitations of the data.", nullable=True),
            count("n_observations", "Number of observations ingested.", minimum=1),
            count("n_genes", "Number of genes on the expression axis.", minimum=1),
            count("n_quarantined", "Number of rows of `quarantine` whose item was kept out."),
            number(
                "mapped_expression",
                "Share of total expression that was mapped to a gene.",
                minimum=0.6,
                maximum=1,
            ),
        ),
    ),
    _table(
        name="gene_axis",
        meaning="Genes that `expression.gene_index` refers to, per collection.",
        key=("collection_id", "gene_index"),
        partition=("collection_id",),
        columns=(
            COLLECTION,
            Column(
                "gene_index", pa.uint32(), "Position of the gene on the axis, from 0.", minimum=0
            ),
            GENE,
            SYMBOL,
            count(
                "n_inputs", "Number of input columns that were merged into this gene.", minimum=1
            ),
            N_OBSERVATIONS,
            text(
                "policy",
                "How several input columns were merged; null if there was only one.",
                nullable=True,
                allowed=("sum", "highest_mean", "first"),
            ),
        ),
    ),
    _table(
        name="observations",
        meaning="Every cell and bulk sample, with its labels.",
        key=("collection_id", "observation_id"),
        partition=("collection_id",),
        columns=(
            COLLECTION,
            OBSERVATION,
            text("group_id", "Donor, patient, lane or cell line; splits keep a group whole."),
            text("batch", "Technical batch.", nullable=True),
            text("cell_type", "Cell type as annotated by the publisher.", nullable=True),
            text("tissue", "Tissue of origin.", nullable=True),
            text("tissue_subtype", "Finer tissue of origin.", nullable=True),
            text("diagnosis", "Diagnosis or molecular subtype.", nullable=True),
            count("n_genes", "Number of genes that are not zero.", unit="genes", minimum=1),
            TOTAL,
        ),
    ),
    _table(
        name="expression",
        meaning="Expression, one row per observation, as two parallel lists. "
        "Arrow's list offsets are the indptr of a CSR matrix.",
        key=("collection_id", "observation_id"),
        partition=("collection_id",),
        columns=(
            COLLECTION,
            OBSERVATION,
            Column(
                "gene_index",
                pa.list_(pa.field("item", pa.uint32(), nullable=False)),
                "Positions on the collection's `gene_axis`, ascending; zeros are left out.",
                minimum=0,
            ),
            Column(
                "value",
                pa.list_(pa.field("item", pa.float32(), nullable=False)),
                "The values, in the collection's unit.",
            ),
        ),
    ),
    _table(
        name="quarantine",
        meaning="Items that were kept out, fixed or reported, and why. Unresolved gene names are "
        "in `gene_mapping`.",
        key=("collection_id", "item", "input_id", "reason"),
        partition=("collection_id",),
        minimum_rows=0,
        lists_missing=True,
        columns=(
            COLLECTION,
            text("item", "Kind of item.", allowed=("gene", "observation", "response", "file")),
            text("input_id", "The item, as the publisher wrote it."),
            text("reason", "Short code of the reason."),
            text("action", "What was done with the item.", allowed=("kept_out", "fixed", "warned")),
            text("detail", "What was found and what would have been accepted."),
            count("n", "Number of records affected.", minimum=1),
        ),
    ),
    _table(
        name="drug_responses",
        meaning="Measured response of a cell line to a drug; repeated measurements are averaged.",
        key=("collection_id", "observation_id", "drug_id"),
        partition=("collection_id",),
        minimum_rows=220_000,
        columns=(
            COLLECTION,
            OBSERVATION,
            DRUG,
            number(
                "value",
                "The response; lower is stronger. Comparable within a drug, not between drugs.",
                minimum=-20,
                maximum=20,
            ),
            text("measure", "Name of the measure.", allowed=("ln_ic50",)),
            text("unit", "Unit of the measure.", allowed=("ln(µM)",)),
            count("n_measured", "Number of measurements that were averaged.", minimum=1),
        ),
    ),
)

COLLECTION_WORKING: tuple[Table, ...] = (
    _table(
        name="shard_observations",
        meaning="Totals of each observation, counted while its shard was ingested.",
        key=("collection_id", "observation_id"),
        partition=("collection_id",),
        columns=(
            COLLECTION,
            TOTAL,
            OBSERVATION,
            count("n_genes", "Number of genes that are not zero.", unit="genes"),
            Column("profile", INT, "Hash of the expression; equal for equal expression."),
        ),
    ),
    _table(
        name="shard_inputs",
        meaning="Totals of each input gene, counted while a shard was ingested.",
        key=("collection_id", "input_id"),
        partition=("collection_id",),
        columns=(COLLECTION, TOTAL, INPUT, number("absolute", "Sum of the absolute values.")),
    ),
    _table(
        name="shard_genes",
        meaning="Number of observations of a shard in which each gene of the axis is not zero.",
        key=("collection_id", "gene_index"),
        partition=("collection_id",),
        columns=(
            COLLECTION,
            Column("gene_index", pa.uint32(), "Position on the axis, from 0.", minimum=0),
            replace(N_OBSERVATIONS, minimum=1),
        ),
    ),
)

_embedding_table = partial(Table, group="embeddings")


def _embeddings(name: str, what: str) -> Table:
    return _embedding_table(
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
    _embedding_table(
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
    _embedding_table(
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
