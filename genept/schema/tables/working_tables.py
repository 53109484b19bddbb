"""Tables that stay in the lake: results that an interrupted run can reuse, and run metrics."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pyarrow as pa

from genept.schema.columns import Column, Table
from genept.schema.tables.benchmark_tables import COMPARED, CONFUSED, DIFFERENCE
from genept.schema.tables.fields import (
    ANSWERER,
    COLLECTION,
    DIAGNOSED,
    INPUT,
    INT,
    N_OBSERVATIONS,
    OBSERVATION,
    REPRESENTATION,
    SPLIT,
    TASK,
    TEXTS,
    TOTAL,
    UTC_TIME,
    count,
    flag,
    number,
    text,
)

_SHARD = (COLLECTION, TOTAL)

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
            count("n_genes", "Number of genes that are not zero.", unit="genes"),
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
            INPUT,
            number("absolute", "Sum of the absolute values."),
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
            replace(N_OBSERVATIONS, minimum=1),
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
            count("fold", "Test set of the split; scores are averaged over them."),
            text("unit", "The gene, pair or term; its `position` where genes may repeat."),
            text("partner", "Second gene of a pair; otherwise empty text."),
            text("truth", "The published label."),
            text("predicted", "The predicted label.", nullable=True),
            number("score", "Score of label 1; higher is more likely.", nullable=True),
            flag("is_control", "Whether the representation is a control."),
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
            text("run_id", "The orchestrator's id of the run."),
            text("job", "Name of the job, such as nightly."),
            text("night", "Date of the nightly run; null for other runs.", nullable=True),
            text("outcome", "How the run ended.", allowed=("success", "failure")),
            text("step", "Step of the run: an asset, a check, or several assets."),
            Column("assets", TEXTS, "Assets that the step materialized."),
            text("ended", "Final status of the step, as reported by the orchestrator."),
            text("started_at", "Start time, UTC.", pattern=UTC_TIME, nullable=True),
            number("seconds", "Duration of the step.", unit="s", minimum=0, nullable=True),
            count("rows", "Number of rows of the tables that the step made.", nullable=True),
            count(
                "bytes", "Stored size of the tables that the step made.", unit="B", nullable=True
            ),
            count(
                "tokens",
                "Upper bound of the tokens of newly embedded texts: one for every three bytes.",
                nullable=True,
            ),
            count(
                "peak_memory",
                "Peak memory of the process and its workers; null if not measured.",
                unit="B",
                nullable=True,
            ),
        ),
    ),
)

WORKING_TABLES: Final[dict[str, Table]] = {table.name: table for table in _WORKING}
"""Tables that never leave the lake: results that an interrupted run can reuse, and run metrics."""
