"""Tables of a collection: its axis, observations, expression, drug responses, what was kept out."""

from __future__ import annotations

from functools import partial

import pyarrow as pa

from genept.schema.columns import Column, Table
from genept.schema.tables.fields import (
    COLLECTION,
    DRUG,
    GENE,
    N_OBSERVATIONS,
    OBSERVATION,
    SYMBOL,
    TEXTS,
    TOTAL,
    count,
    flag,
    number,
    text,
)
from genept.schema.units import UNITS

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
