"""Tables of models, from predictions to verdicts of the promotion gate; and metrics of runs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from genept.schema.columns import Column, Table
from genept.schema.tables.fields import (
    COLLECTION,
    DIAGNOSED,
    DRUG,
    FOLD,
    METRIC,
    MODEL,
    MODEL_VERSION,
    OBSERVATION,
    PREDICTED,
    REPRESENTATION,
    SERVED,
    SHA256,
    SPLIT,
    TEXTS,
    UTC_TIME,
    VALUE_WITH_INTERVAL,
    count,
    flag,
    number,
    share,
    text,
)

PREDICTED_RESPONSE = (
    number("prediction", "Predicted response.", unit="ln(µM)"),
    number("low", "Lower end of the 90 % prediction interval.", unit="ln(µM)"),
    number("high", "Upper end of the 90 % prediction interval.", unit="ln(µM)"),
)

_table = partial(Table, group="models")

MODEL_TABLES: tuple[Table, ...] = (
    _table(
        name="diagnosis_predictions",
        meaning="Out-of-fold diagnosis of each bulk sample, by a model trained without its group.",
        key=("model", "model_version", "collection_id", "observation_id"),
        partition=("model",),
        columns=(
            *PREDICTED,
            FOLD,
            text("label", "Published diagnosis."),
            text("prediction", "Predicted diagnosis."),
            share(
                "probability", "Probability of the prediction, calibrated by temperature scaling."
            ),
            flag("abstained", "Whether the probability is below the model's threshold."),
        ),
    ),
    _table(
        name="sample_diagnoses",
        meaning="Predictions of each champion for bulk samples outside its training and evaluation "
        "data.",
        key=("model", "collection_id", "observation_id"),
        partition=("model", "collection_id"),
        minimum_rows=0,
        columns=DIAGNOSED,
    ),
    _table(
        name="drug_response_predictions",
        meaning="Out-of-fold response of each cell line to each drug, by a model trained without "
        "the line.",
        key=("model", "model_version", "collection_id", "observation_id", "drug_id"),
        partition=("model",),
        minimum_rows=200_000,
        columns=(
            *PREDICTED,
            DRUG,
            FOLD,
            number("measured", "Measured response.", unit="ln(µM)"),
            *PREDICTED_RESPONSE,
            flag("abstained", "Whether the model abstains: too few training lines for this drug."),
        ),
    ),
    _table(
        name="unmeasured_drug_responses",
        meaning="Predictions of each champion for pairs of cell line and drug that were not "
        "measured.",
        key=("model", "collection_id", "observation_id", "drug_id"),
        partition=("model", "collection_id"),
        minimum_rows=0,
        columns=(
            *SERVED,
            DRUG,
            *PREDICTED_RESPONSE,
            number("difference", "Prediction minus the mean response to the drug.", unit="ln(µM)"),
            number(
                "distance", "Distance from the training lines; above 1 the line is unlike them."
            ),
            share("genes_measured", "Share of the model's genes that were measured."),
            flag("abstained", "Whether the model abstains."),
            text("reason", "Why the model answered or abstained."),
        ),
    ),
    _table(
        name="model_evaluations",
        meaning="Performance of each model, and of its controls, on each cohort.",
        key=("model", "model_version", "representation", "cohort", "metric"),
        partition=("model",),
        collection="cohort",
        columns=(
            MODEL,
            MODEL_VERSION,
            REPRESENTATION,
            text("cohort", "Collection that it was evaluated on.", subject="collection"),
            METRIC,
            SPLIT,
            *VALUE_WITH_INTERVAL,
        ),
    ),
    _table(
        name="model_folds",
        meaning="Frozen cross-validation folds, on which other models can be scored as well.",
        key=("model", "regime", "collection_id", "observation_id", "drug_id"),
        partition=("model",),
        columns=(
            MODEL,
            text(
                "regime", "What is held out from training, such as the cell line.", subject="regime"
            ),
            COLLECTION,
            replace(OBSERVATION, meaning="The observation; * in folds of drugs."),
            replace(DRUG, meaning="The drug; * in folds of observations."),
            text(
                "group",
                "Unit that folds keep whole: patient, line or drug, merged by near-duplicates.",
            ),
            replace(FOLD, meaning="Fold in which the group is tested."),
            flag("is_holdout", "Whether the group is in the holdout, which training never reads."),
            text("folds_sha256", "Hash of this model's folds in this regime.", pattern=SHA256),
        ),
    ),
    _table(
        name="gate_verdicts",
        meaning="Why a trained model was promoted to champion or not: each criterion of the gate.",
        key=("model", "model_version", "point"),
        partition=("model",),
        columns=(
            MODEL,
            MODEL_VERSION,
            count("point", "Number of the criterion.", minimum=1, maximum=15),
            text("name", "The criterion."),
            text("outcome", "Outcome of the criterion.", allowed=("pass", "refuse", "wait")),
            text("evidence", "What was found, and what would have been accepted."),
            COLLECTION,
            text(
                "champion_version",
                "Version of the champion at that time; null if there was none.",
                nullable=True,
            ),
        ),
    ),
)

MODEL_WORKING: tuple[Table, ...] = (
    _table(
        name="shadow_diagnoses",
        meaning="Predictions of challengers, recorded beside the champion's and not published.",
        key=("model", "collection_id", "observation_id"),
        partition=("model", "collection_id"),
        minimum_rows=0,
        columns=DIAGNOSED,
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
