"""Tables of a collection: its axis, observations, expression, drug responses, what was kept out."""

from __future__ import annotations

import pyarrow as pa

from genept.schema.columns import Column, Table
from genept.schema.tables.fields import (
    COLLECTION,
    DRUG,
    FLAG,
    FLOAT,
    GENE,
    INT,
    OBSERVATION,
    SYMBOL,
    TEXT,
    TEXTS,
)
from genept.schema.units import UNITS

COLLECTION_TABLES: tuple[Table, ...] = (
    Table(
        name="collections",
        meaning="Every ingested collection: origin, unit, licence, citation, and what was counted.",
        group="collections",
        key=("collection_id",),
        partition=("collection_id",),
        columns=(
            COLLECTION,
            Column("title", TEXT, "What it is, in one line."),
            Column("kind", TEXT, "Single cells or bulk samples.", allowed=("single_cell", "bulk")),
            Column("unit", TEXT, "Unit of the published expression values.", allowed=UNITS),
            Column("group_axis", TEXT, "What `observations.group_id` stands for."),
            Column("sources", TEXTS, "Archives that it came from: `name version`."),
            Column("licence", TEXT, "Licence as stated by the source."),
            Column("redistributable", FLAG, "Whether the licence allows passing the data on."),
            Column("citation", TEXT, "What to cite."),
            Column("caveat", TEXT, "What to know before trusting a number.", nullable=True),
            Column("n_observations", INT, "Observations ingested.", minimum=1),
            Column("n_genes", INT, "Genes with an Ensembl id on the expression axis.", minimum=1),
            Column("n_quarantined", INT, "Rows in `quarantine` that were kept out.", minimum=0),
            Column(
                "mapped_expression", FLOAT, "Share that reached a gene.", minimum=0.6, maximum=1
            ),
        ),
    ),
    Table(
        name="gene_axis",
        meaning="The genes that `expression.gene_index` counts, per collection.",
        group="collections",
        key=("collection_id", "gene_index"),
        partition=("collection_id",),
        columns=(
            COLLECTION,
            Column("gene_index", pa.uint32(), "Position on the axis, from 0.", minimum=0),
            GENE,
            SYMBOL,
            Column("n_inputs", INT, "Input columns that were merged into this gene.", minimum=1),
            Column(
                "n_observations", INT, "Observations with a value other than zero of it.", minimum=0
            ),
            Column(
                "policy",
                TEXT,
                "How several inputs became one; empty where there was only one.",
                nullable=True,
                allowed=("sum", "highest_mean", "first"),
            ),
        ),
    ),
    Table(
        name="observations",
        meaning="Every cell and bulk sample, with its labels.",
        group="collections",
        key=("collection_id", "observation_id"),
        partition=("collection_id",),
        columns=(
            COLLECTION,
            OBSERVATION,
            Column("group_id", TEXT, "Donor, patient, lane or cell line; never split in two."),
            Column("batch", TEXT, "Technical batch.", nullable=True),
            Column("cell_type", TEXT, "Cell type as annotated by the publisher.", nullable=True),
            Column("tissue", TEXT, "Tissue of origin.", nullable=True),
            Column("tissue_subtype", TEXT, "Finer tissue of origin.", nullable=True),
            Column("diagnosis", TEXT, "Diagnosis or molecular subtype.", nullable=True),
            Column("n_genes", INT, "Genes with a value other than zero.", unit="genes", minimum=1),
            Column("total", FLOAT, "Sum of the values, in the collection's unit."),
        ),
    ),
    Table(
        name="expression",
        meaning="Expression, one row per observation; the two lists run in parallel. "
        "Arrow's list offsets are the indptr of a CSR matrix.",
        group="collections",
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
    Table(
        name="quarantine",
        meaning="What was kept out, fixed or looks odd, and why. Gene names without a gene are in "
        "`gene_mapping`.",
        group="collections",
        key=("collection_id", "item", "input_id", "reason"),
        partition=("collection_id",),
        minimum_rows=0,
        lists_missing=True,
        columns=(
            COLLECTION,
            Column(
                "item", TEXT, "Kind of thing.", allowed=("gene", "observation", "response", "file")
            ),
            Column("input_id", TEXT, "The thing, as the publisher wrote it."),
            Column("reason", TEXT, "Why, in a word."),
            Column("action", TEXT, "What became of it.", allowed=("kept_out", "fixed", "warned")),
            Column("detail", TEXT, "What was seen and what would have been accepted."),
            Column("n", INT, "Records affected.", minimum=1),
        ),
    ),
    Table(
        name="drug_responses",
        meaning="Measured response of a cell line to a drug; repeated measurements are averaged.",
        group="collections",
        key=("collection_id", "observation_id", "drug_id"),
        partition=("collection_id",),
        minimum_rows=220_000,
        columns=(
            COLLECTION,
            OBSERVATION,
            DRUG,
            Column(
                "value",
                FLOAT,
                "The response: the lower, the stronger. To be compared within a drug, not between.",
                minimum=-20,
                maximum=20,
            ),
            Column("measure", TEXT, "What was measured.", allowed=("ln_ic50",)),
            Column("unit", TEXT, "Unit of the measure.", allowed=("ln(µM)",)),
            Column("n_measured", INT, "Measurements that were averaged.", minimum=1),
        ),
    ),
)
