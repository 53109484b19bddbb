"""Tables of models: predictions, evaluations, folds, verdicts of the promotion gate."""

from __future__ import annotations

from dataclasses import replace

from genept.schema.columns import Column, Table
from genept.schema.tables.fields import (
    COLLECTION,
    DIAGNOSED,
    DRUG,
    FLAG,
    FLOAT,
    FOLD,
    INT,
    METRIC,
    MODEL,
    MODEL_VERSION,
    OBSERVATION,
    PREDICTED,
    REPRESENTATION,
    SHA256,
    SPLIT,
    TEXT,
    VALUE_WITH_INTERVAL,
    share,
)

MODEL_TABLES: tuple[Table, ...] = (
    Table(
        name="diagnosis_predictions",
        meaning="Out-of-fold diagnosis of each bulk sample, by a model trained without its group.",
        group="models",
        key=("model", "model_version", "collection_id", "observation_id"),
        partition=("model",),
        columns=(
            *PREDICTED,
            FOLD,
            Column("label", TEXT, "Published diagnosis."),
            Column("prediction", TEXT, "Predicted diagnosis."),
            share(
                "probability", "Probability of the prediction, calibrated by temperature scaling."
            ),
            Column("abstained", FLAG, "Whether the probability is below the model's threshold."),
        ),
    ),
    Table(
        name="sample_diagnoses",
        meaning="Predictions of each champion for bulk samples outside its training and evaluation "
        "data.",
        group="models",
        key=("model", "collection_id", "observation_id"),
        partition=("model", "collection_id"),
        minimum_rows=0,
        columns=DIAGNOSED,
    ),
    Table(
        name="drug_response_predictions",
        meaning="Out-of-fold response of each cell line to each drug, by a model trained without "
        "the line.",
        group="models",
        key=("model", "model_version", "collection_id", "observation_id", "drug_id"),
        partition=("model",),
        minimum_rows=200_000,
        columns=(
            *PREDICTED,
            DRUG,
            FOLD,
            Column("measured", FLOAT, "Measured response.", unit="ln(µM)"),
            Column("prediction", FLOAT, "Predicted response.", unit="ln(µM)"),
            Column("low", FLOAT, "Lower end of the 90 % prediction interval.", unit="ln(µM)"),
            Column("high", FLOAT, "Upper end of the 90 % prediction interval.", unit="ln(µM)"),
            Column(
                "abstained",
                FLAG,
                "Whether the model abstains: too few training lines for this drug.",
            ),
        ),
    ),
    Table(
        name="unmeasured_drug_responses",
        meaning="Predictions of each champion for pairs of cell line and drug that were not "
        "measured.",
        group="models",
        key=("model", "collection_id", "observation_id", "drug_id"),
        partition=("model", "collection_id"),
        minimum_rows=0,
        columns=(
            MODEL,
            MODEL_VERSION,
            COLLECTION,
            OBSERVATION,
            DRUG,
            Column("prediction", FLOAT, "Predicted response.", unit="ln(µM)"),
            Column("low", FLOAT, "Lower end of the 90 % prediction interval.", unit="ln(µM)"),
            Column("high", FLOAT, "Upper end of the 90 % prediction interval.", unit="ln(µM)"),
            Column(
                "difference",
                FLOAT,
                "Prediction minus the mean response to the drug.",
                unit="ln(µM)",
            ),
            Column(
                "distance",
                FLOAT,
                "Distance from the training lines; above 1 the line is unlike them.",
            ),
            share("genes_measured", "Share of the model's genes that were measured."),
            Column("abstained", FLAG, "Whether the model abstains."),
            Column("reason", TEXT, "Why the model answered or abstained."),
        ),
    ),
    Table(
        name="model_evaluations",
        meaning="Performance of each model, and of its controls, on each cohort.",
        group="models",
        key=("model", "model_version", "representation", "cohort", "metric"),
        partition=("model",),
        collection="cohort",
        columns=(
            MODEL,
            MODEL_VERSION,
            REPRESENTATION,
            Column("cohort", TEXT, "Collection that it was evaluated on.", subject="collection"),
            METRIC,
            SPLIT,
            *VALUE_WITH_INTERVAL,
        ),
    ),
    Table(
        name="model_folds",
        meaning="Frozen cross-validation folds, on which other models can be scored as well.",
        group="models",
        key=("model", "regime", "collection_id", "observation_id", "drug_id"),
        partition=("model",),
        columns=(
            MODEL,
            Column(
                "regime",
                TEXT,
                "What is held out from training, such as the cell line.",
                subject="regime",
            ),
            COLLECTION,
            replace(OBSERVATION, meaning="The observation; * in folds of drugs."),
            replace(DRUG, meaning="The drug; * in folds of observations."),
            Column(
                "group",
                TEXT,
                "Unit that folds keep whole: patient, line or drug, merged by near-duplicates.",
            ),
            replace(FOLD, meaning="Fold in which the group is tested."),
            Column(
                "is_holdout",
                FLAG,
                "Whether the group is in the holdout, which training never reads.",
            ),
            Column(
                "folds_sha256", TEXT, "Hash of this model's folds in this regime.", pattern=SHA256
            ),
        ),
    ),
    Table(
        name="gate_verdicts",
        meaning="Why a trained model was promoted to champion or not: each criterion of the gate.",
        group="models",
        key=("model", "model_version", "point"),
        partition=("model",),
        columns=(
            MODEL,
            MODEL_VERSION,
            Column("point", INT, "Number of the criterion.", minimum=1, maximum=15),
            Column("name", TEXT, "The criterion."),
            Column(
                "outcome", TEXT, "Outcome of the criterion.", allowed=("pass", "refuse", "wait")
            ),
            Column("evidence", TEXT, "What was found, and what would have been accepted."),
            COLLECTION,
            Column(
                "champion_version",
                TEXT,
                "Version of the champion at that time; null if there was none.",
                nullable=True,
            ),
        ),
    ),
)
