"""Tables that stay in the lake: results that an interrupted run can reuse, and run metrics."""

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
        meaning="Predictions of challengers, recorded beside the champion's and not published.",
        group="models",
        key=("model", "collection_id", "observation_id"),
        partition=("model", "collection_id"),
        minimum_rows=0,
        columns=DIAGNOSED,
    ),
    Table(
        name="shard_observations",
        meaning="Totals of each observation, counted while its shard was ingested.",
        group="collections",
        key=("collection_id", "observation_id"),
        partition=("collection_id",),
        columns=(
            *_SHARD,
            OBSERVATION,
            Column("n_genes", INT, "Number of genes that are not zero.", unit="genes", minimum=0),
            Column("profile", INT, "Hash of the expression; equal for equal expression."),
        ),
    ),
    Table(
        name="shard_inputs",
        meaning="Totals of each input gene, counted while a shard was ingested.",
        group="collections",
        key=("collection_id", "input_id"),
        partition=("collection_id",),
        columns=(
            *_SHARD,
            Column("input_id", TEXT, "The gene as the publisher wrote it."),
            Column("absolute", FLOAT, "Sum of the absolute values."),
        ),
    ),
    Table(
        name="shard_genes",
        meaning="Number of observations of a shard in which each gene of the axis is not zero.",
        group="collections",
        key=("collection_id", "gene_index"),
        partition=("collection_id",),
        columns=(
            COLLECTION,
            Column("gene_index", pa.uint32(), "Position on the axis, from 0.", minimum=0),
            Column(
                "n_observations",
                INT,
                "Number of observations in which the gene is not zero.",
                minimum=1,
            ),
        ),
    ),
    Table(
        name="benchmark_predictions",
        meaning="Predictions for each scored gene, pair or term, by one representation.",
        group="benchmarks",
        key=("task", "representation", "model", "split", "fold", "unit", "partner"),
        partition=("task", "representation"),
        columns=(
            TASK,
            REPRESENTATION,
            ANSWERER,
            SPLIT,
            Column("fold", INT, "Test set of the split; scores are averaged over them.", minimum=0),
            Column("unit", TEXT, "The gene, pair or term; its `position` where genes may repeat."),
            Column("partner", TEXT, "Second gene of a pair; otherwise empty text."),
            Column("truth", TEXT, "The published label."),
            Column("predicted", TEXT, "The predicted label.", nullable=True),
            Column("score", FLOAT, "Score of label 1; higher is more likely.", nullable=True),
            Column("is_control", FLAG, "Whether the representation is a control."),
        ),
    ),
    Table(
        name="benchmark_differences",
        meaning="Paired differences within one task, before correction over all tasks.",
        group="benchmarks",
        key=COMPARED,
        partition=("task",),
        columns=DIFFERENCE,
    ),
    Table(
        name="benchmark_confused",
        meaning="Confusion matrix of one task on one data set.",
        group="benchmarks",
        key=("task", "dataset", "representation", "truth", "predicted"),
        partition=("task", "dataset"),
        columns=CONFUSED,
    ),
    Table(
        name="run_metrics",
        meaning="Time, bytes, tokens and memory of each step of each completed run.",
        group="operations",
        key=("run_id", "step"),
        partition=("run_id",),
        columns=(
            Column("run_id", TEXT, "The orchestrator's id of the run."),
            Column("job", TEXT, "Name of the job, such as nightly."),
            Column("night", TEXT, "Date of the nightly run; null for other runs.", nullable=True),
            Column("outcome", TEXT, "How the run ended.", allowed=("success", "failure")),
            Column("step", TEXT, "Step of the run: an asset, a check, or several assets."),
            Column("assets", TEXTS, "Assets that the step materialized."),
            Column("ended", TEXT, "Final status of the step, as reported by the orchestrator."),
            Column("started_at", TEXT, "Start time, UTC.", pattern=UTC_TIME, nullable=True),
            Column("seconds", FLOAT, "Duration of the step.", unit="s", minimum=0, nullable=True),
            Column(
                "rows",
                INT,
                "Number of rows of the tables that the step made.",
                minimum=0,
                nullable=True,
            ),
            Column(
                "bytes",
                INT,
                "Stored size of the tables that the step made.",
                unit="B",
                minimum=0,
                nullable=True,
            ),
            Column(
                "tokens",
                INT,
                "Upper bound of the tokens of newly embedded texts: one for every three bytes.",
                minimum=0,
                nullable=True,
            ),
            Column(
                "peak_memory",
                INT,
                "Peak memory of the process and its workers; null if not measured.",
                unit="B",
                minimum=0,
                nullable=True,
            ),
        ),
    ),
)

WORKING_TABLES: Final[dict[str, Table]] = {table.name: table for table in _WORKING}
"""Tables that never leave the lake: results that an interrupted run can reuse, and run metrics."""
