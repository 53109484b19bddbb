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
            Column("title", TEXT, "One-line description of the collection."),
            Column(
                "kind",
                TEXT,
                "Whether observations are single cells or bulk samples.",
                allowed=("single_cell", "bulk"),
            ),
            Column("unit", TEXT, "Unit of the published expression values.", allowed=UNITS),
            Column("group_axis", TEXT, "What `observations.group_id` stands for."),
            Column("sources", TEXTS, "Source files that it was made of, as `name version`."),
            Column("licence", TEXT, "Licence as stated by the source."),
            Column("redistributable", FLAG, "Whether the licence allows passing the data on."),
            Column("citation", TEXT, "Publication to cite."),
            Column("caveat", TEXT, "Known limitations of the data.", nullable=True),
            Column("n_observations", INT, "Number of observations ingested.", minimum=1),
            Column("n_genes", INT, "Number of genes on the expression axis.", minimum=1),
            Column(
                "n_quarantined",
                INT,
                "Number of rows of `quarantine` whose item was kept out.",
                minimum=0,
            ),
            Column(
                "mapped_expression",
                FLOAT,
                "Share of total expression that was mapped to a gene.",
                minimum=0.6,
                maximum=1,
            ),
        ),
    ),
    Table(
        name="gene_axis",
        meaning="Genes that `expression.gene_index` refers to, per collection.",
        group="collections",
        key=("collection_id", "gene_index"),
        partition=("collection_id",),
        columns=(
            COLLECTION,
            Column(
                "gene_index", pa.uint32(), "Position of the gene on the axis, from 0.", minimum=0
            ),
            GENE,
            SYMBOL,
            Column(
                "n_inputs",
                INT,
                "Number of input columns that were merged into this gene.",
                minimum=1,
            ),
            Column(
                "n_observations",
                INT,
                "Number of observations in which the gene is not zero.",
                minimum=0,
            ),
            Column(
                "policy",
                TEXT,
                "How several input columns were merged; null if there was only one.",
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
            Column(
                "group_id", TEXT, "Donor, patient, lane or cell line; splits keep a group whole."
            ),
            Column("batch", TEXT, "Technical batch.", nullable=True),
            Column("cell_type", TEXT, "Cell type as annotated by the publisher.", nullable=True),
            Column("tissue", TEXT, "Tissue of origin.", nullable=True),
            Column("tissue_subtype", TEXT, "Finer tissue of origin.", nullable=True),
            Column("diagnosis", TEXT, "Diagnosis or molecular subtype.", nullable=True),
            Column("n_genes", INT, "Number of genes that are not zero.", unit="genes", minimum=1),
            Column("total", FLOAT, "Sum of the values, in the collection's unit."),
        ),
    ),
    Table(
        name="expression",
        meaning="Expression, one row per observation, as two parallel lists. "
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
        meaning="Items that were kept out, fixed or reported, and why. Unresolved gene names are "
        "in `gene_mapping`.",
        group="collections",
        key=("collection_id", "item", "input_id", "reason"),
        partition=("collection_id",),
        minimum_rows=0,
        lists_missing=True,
        columns=(
            COLLECTION,
            Column(
                "item", TEXT, "Kind of item.", allowed=("gene", "observation", "response", "file")
            ),
            Column("input_id", TEXT, "The item, as the publisher wrote it."),
            Column("reason", TEXT, "Short code of the reason."),
            Column(
                "action",
                TEXT,
                "What was done with the item.",
                allowed=("kept_out", "fixed", "warned"),
            ),
            Column("detail", TEXT, "What was found and what would have been accepted."),
            Column("n", INT, "Number of records affected.", minimum=1),
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
                "The response; lower is stronger. Comparable within a drug, not between drugs.",
                minimum=-20,
                maximum=20,
            ),
            Column("measure", TEXT, "Name of the measure.", allowed=("ln_ic50",)),
            Column("unit", TEXT, "Unit of the measure.", allowed=("ln(µM)",)),
            Column("n_measured", INT, "Number of measurements that were averaged.", minimum=1),
        ),
    ),
)
