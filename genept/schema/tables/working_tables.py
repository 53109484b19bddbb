"""Tables that stay in the lake: what a killed run need not count again, and what runs cost."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from genept.schema.columns import Column, Table
from genept.schema.tables.benchmark_tables import COMPARED, CONFUSED, DIFFERENCE
from genept.schema.tables.fields import (
    ANSWERER,
    COLLECTION,
    DIAGNOSED,
    FLAG,
    FLOAT,
    INT,
    OBSERVATION,
    REPRESENTATION,
    SPLIT,
    TASK,
    TEXT,
    TEXTS,
    UTC_TIME,
)

_SHARD = (COLLECTION, Column("total", FLOAT, "Sum of the values, in the collection's unit."))

_WORKING: tuple[Table, ...] = (
    Table(
        name="shadow_diagnoses",
        meaning="What challengers would say: recorded beside the champion for a night, unheard.",
        group="models",
        key=("model", "collection_id", "observation_id"),
        partition=("model", "collection_id"),
        minimum_rows=0,
        columns=DIAGNOSED,
    ),
    Table(
        name="shard_observations",
        meaning="What was counted of every observation while its shard was ingested.",
        group="collections",
        key=("collection_id", "observation_id"),
        partition=("collection_id",),
        columns=(
            *_SHARD,
            OBSERVATION,
            Column("n_genes", INT, "Genes with a value other than zero.", unit="genes", minimum=0),
            Column("profile", INT, "Hash of its genes and values; equal for equal expression."),
        ),
    ),
    Table(
        name="shard_inputs",
        meaning="What was counted of every input gene while a shard was ingested.",
        group="collections",
        key=("collection_id", "input_id"),
        partition=("collection_id",),
        columns=(
            *_SHARD,
            Column("input_id", TEXT, "The gene as the publisher wrote it."),
            Column("absolute", FLOAT, "Sum of the values without their signs."),
        ),
    ),
    Table(
        name="shard_genes",
        meaning="In how many observations of a shard each gene of the axis was seen.",
        group="collections",
        key=("collection_id", "gene_index"),
        partition=("collection_id",),
        columns=(
            COLLECTION,
            Column("gene_index", pa.uint32(), "Position on the axis, from 0.", minimum=0),
            Column("n_observations", INT, "Observations with a value other than zero.", minimum=1),
        ),
    ),
    Table(
        name="benchmark_predictions",
        meaning="What was predicted of every scored gene, pair or term, by one representation.",
        group="benchmarks",
        key=("task", "representation", "model", "split", "fold", "unit", "partner"),
        partition=("task", "representation"),
        columns=(
            TASK,
            REPRESENTATION,
            ANSWERER,
            SPLIT,
            Column("fold", INT, "Test set of the split; scores are averaged over them.", minimum=0),
            Column("unit", TEXT, "The gene, pair or term, as `position` where genes may repeat."),
            Column("partner", TEXT, "Second gene of a pair; empty for anything else."),
            Column("truth", TEXT, "The label."),
            Column("predicted", TEXT, "The predicted label.", nullable=True),
            Column("score", FLOAT, "The higher, the more likely label 1.", nullable=True),
            Column("is_control", FLAG, "Whether the representation carries no knowledge."),
        ),
    ),
    Table(
        name="benchmark_differences",
        meaning="Paired differences within one task, not yet corrected over all tasks.",
        group="benchmarks",
        key=COMPARED,
        partition=("task",),
        columns=DIFFERENCE,
    ),
    Table(
        name="benchmark_confused",
        meaning="Which label was taken for which, on one task of one data set.",
        group="benchmarks",
        key=("task", "dataset", "representation", "truth", "predicted"),
        partition=("task", "dataset"),
        columns=CONFUSED,
    ),
    Table(
        name="run_metrics",
        meaning="What every step of every run that ended cost: time, bytes, tokens, memory.",
        group="operations",
        key=("run_id", "step"),
        partition=("run_id",),
        columns=(
            Column("run_id", TEXT, "The orchestrator's id of the run."),
            Column("job", TEXT, "Name of the job, such as nightly."),
            Column("night", TEXT, "The night it was for, as a date.", nullable=True),
            Column("outcome", TEXT, "How the run ended.", allowed=("success", "failure")),
            Column("step", TEXT, "A step of the run: an asset, a check, or several assets."),
            Column("assets", TEXTS, "The assets that the step made."),
            Column("ended", TEXT, "How the step ended, in the orchestrator's words."),
            Column("started_at", TEXT, "When it started.", pattern=UTC_TIME, nullable=True),
            Column("seconds", FLOAT, "How long it took.", unit="s", minimum=0, nullable=True),
            Column("rows", INT, "Rows of the tables it made.", minimum=0, nullable=True),
            Column("bytes", INT, "Their size as stored.", unit="B", minimum=0, nullable=True),
            Column(
                "tokens",
                INT,
                "Of texts that were embedded anew: one for every three bytes, an upper bound.",
                minimum=0,
                nullable=True,
            ),
            Column(
                "peak_memory",
                INT,
                "Most memory that its process and the workers of it held, if it was measured.",
                unit="B",
                minimum=0,
                nullable=True,
            ),
        ),
    ),
)

WORKING_TABLES: Final[dict[str, Table]] = {table.name: table for table in _WORKING}
"""Tables that never leave the lake: what a killed run need not count again, and what runs cost."""
