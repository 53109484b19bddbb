"""Columns and sets of values that several tables share, constructors of columns, and units.

What a column may declare is in `genept.schema.columns`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, Literal, get_args

import pyarrow as pa

from genept.schema.columns import ENSEMBL_GENE_ID, Column

TEXT, FLOAT, INT, FLAG = pa.string(), pa.float64(), pa.int64(), pa.bool_()

TEXTS = pa.list_(pa.field("item", TEXT, nullable=False))


def text(name: str, meaning: str, **rules: Any) -> Column:
    """A column of text."""
    return Column(name, TEXT, meaning, **rules)


def number(name: str, meaning: str, **rules: Any) -> Column:
    """A column of float64."""
    return Column(name, FLOAT, meaning, **rules)


def count(name: str, meaning: str, *, minimum: int = 0, **rules: Any) -> Column:
    """A column of whole numbers, from 0 on unless `minimum` is another."""
    return Column(name, INT, meaning, minimum=minimum, **rules)


def flag(name: str, meaning: str, **rules: Any) -> Column:
    """A column of true and false."""
    return Column(name, FLAG, meaning, **rules)


def share(name: str, meaning: str, type_: pa.DataType = FLOAT) -> Column:
    """A column of numbers from 0 to 1."""
    return Column(name, type_, meaning, minimum=0.0, maximum=1.0)


Unit = Literal["counts", "tpm", "log1p", "log2", "zscore"]

UNITS: Final[tuple[Unit, ...]] = get_args(Unit)
"""Units of expression values."""

LINEAR: Final[frozenset[str]] = frozenset({"counts", "tpm"})
"""Abundances without a logarithm: values of one gene may be added up."""

NEVER_NEGATIVE: Final[frozenset[str]] = LINEAR | {"log1p"}

MEANINGS: Final[dict[str, str]] = {
    "counts": "whole numbers of reads or molecules",
    "tpm": "abundances without a logarithm (TPM, CPM, FPKM, normalised counts)",
    "log1p": "ln(1 + abundance), as scanpy's log1p",
    "log2": "logarithms to the base 2",
    "zscore": "z-scores",
}
"""What values in each unit are, in the words of questions and errors."""


def merge_policy(unit: str) -> Literal["sum", "highest_mean"]:
    """Return how several inputs of one gene are merged by default.

    Parameters
    ----------
    unit
        One of `UNITS`.

    Returns
    -------
    str
        ``sum`` for linear units; else ``highest_mean``: logarithms and z-scores do not add up.
    """
    return "sum" if unit in LINEAR else "highest_mean"


REASONS: Final = (
    *("answered", "no class is likely enough"),
    *("unlike the samples of its training", "too few of its genes were measured"),
)
"""Why a model answers about a sample or abstains; see `genept.models.serving`."""


OUTCOMES: Final = (
    *("exact", "ensembl_id", "version_stripped", "case_or_space_fixed", "entrez_id"),
    *("previous", "alias", "retired_successor"),
    *("spreadsheet_date", "spreadsheet_number", "ambiguous", "withdrawn", "non_human"),
    *("control_feature", "without_ensembl_id", "unknown"),
)
"""Outcomes of resolving a gene name; see `genept.nomenclature.names` and `.spelling`."""


HGNC_ID_OR_NONE: Final = r"^(?:HGNC:\d+)?$"

SHA256: Final = r"^[0-9a-f]{64}$"

UTC_TIME: Final = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"

SPACE = text(
    "space", "Embedding space: text embedder / description recipe[@control].", subject="space"
)

COLLECTION = text("collection_id", "Collection that the row belongs to.", subject="collection")

OBSERVATION = text("observation_id", "Cell or bulk sample, unique in its collection.")

METHOD = text(
    "method",
    "Method by which the vector was made.",
    allowed=("genept-w", "genept-s", "outside", "ensemble"),
    subject="method",
)

GENE = text("ensembl_gene_id", "Unversioned Ensembl gene id.", pattern=ENSEMBL_GENE_ID)

MEANING = (
    replace(GENE, meaning="The gene; null if the name could not be resolved.", nullable=True),
    Column("candidates", TEXTS, "Ensembl ids that an ambiguous name may stand for."),
    text("evidence", "Reason for the outcome, with its source."),
)

SYMBOL = text("symbol", "Approved HGNC symbol; otherwise the name in GENCODE, or the Ensembl id.")

INPUT = text("input_id", "The gene as the publisher wrote it.")

OUTCOME = text("outcome", "How the name was resolved, or why it was not.", allowed=OUTCOMES)

N_OBSERVATIONS = count("n_observations", "Number of observations in which the gene is not zero.")

TOTAL = number("total", "Sum of the values, in the collection's unit.")

REFERENCE = text("reference_release", "Release of the gene reference that was used.")

MODEL_VERSION = text("model_version", "Hash of the model's data, settings and code.")

REPRESENTATION = text(
    "representation",
    "Input of the model: a space, expression or a control.",
    subject="representation",
)

MODEL = text("model", "Name of the model.", subject="model")

ANSWERER = replace(MODEL, meaning="Model or rule that made the prediction.")

RECIPE = text("recipe", "Recipe by which the text was composed.", subject="recipe")

DRUG = text("drug_id", "Name of the drug as published by the screen.")

FOLD = count("fold", "Fold in which the observation's group was held out.")

TASK = text("task", "Name of the benchmark task.", subject="task")

POSITION = count("position", "Row in the publisher's file, from 0.")

FATE = text(
    "fate",
    "Whether the row is scored, or why not.",
    allowed=("scored", "without_gene", "self_pair", "conflicting", "duplicate"),
)

METRIC = text("metric", "Name of the metric.", subject="metric")

SPLIT = text("split", "How training and test data were separated.", subject="split")

PREDICTED = (MODEL, MODEL_VERSION, REPRESENTATION, COLLECTION, OBSERVATION)

VALUE_WITH_INTERVAL = (
    number("value", "Value of the metric."),
    number("ci_low", "Lower end of the 95 % bootstrap interval.", nullable=True),
    number("ci_high", "Upper end of the 95 % bootstrap interval.", nullable=True),
    count("n", "Number of observations, genes, pairs or terms that were scored.", minimum=1),
    flag("is_control", "Whether the row is a baseline to compare with."),
)

SERVED = (MODEL, MODEL_VERSION, COLLECTION, OBSERVATION)

DIAGNOSED = (
    *SERVED,
    text("prediction", "Most probable class, also where the model abstains."),
    share("probability", "Probability of the prediction, calibrated on the training collection."),
    number(
        "distance",
        "Distance from the training samples; above 1 the sample is unlike them.",
        minimum=0.0,
    ),
    share("genes_measured", "Share of the model's genes that the collection has."),
    flag("abstained", "Whether the model abstains."),
    text("reason", "Why the model answered or abstained.", allowed=REASONS),
)
