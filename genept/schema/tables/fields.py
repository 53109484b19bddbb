"""Columns, units and sets of values that several tables share."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pyarrow as pa

from genept.schema.columns import ENSEMBL_GENE_ID, Column

TEXT, FLOAT, INT, FLAG = pa.string(), pa.float64(), pa.int64(), pa.bool_()

TEXTS = pa.list_(pa.field("item", TEXT, nullable=False))


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


"""Expression units; what each means for weighting is in `genept.embeddings.pooling`."""


HGNC_ID_OR_NONE: Final = r"^(?:HGNC:\d+)?$"

SHA256: Final = r"^[0-9a-f]{64}$"

UTC_TIME: Final = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"

SPACE = Column(
    "space", TEXT, "Embedding space: text embedder / description recipe[@control].", subject="space"
)

COLLECTION = Column(
    "collection_id", TEXT, "Collection that the row belongs to.", subject="collection"
)

OBSERVATION = Column("observation_id", TEXT, "Cell or bulk sample, unique in its collection.")

METHOD = Column(
    "method",
    TEXT,
    "Method by which the vector was made.",
    allowed=("genept-w", "genept-s", "outside", "ensemble"),
    subject="method",
)

GENE = Column("ensembl_gene_id", TEXT, "Unversioned Ensembl gene id.", pattern=ENSEMBL_GENE_ID)

MEANING = (
    replace(GENE, meaning="The gene; null if the name could not be resolved.", nullable=True),
    Column("candidates", TEXTS, "Ensembl ids that an ambiguous name may stand for."),
    Column("evidence", TEXT, "Reason for the outcome, with its source."),
)

SYMBOL = Column(
    "symbol",
    TEXT,
    "Approved HGNC symbol; otherwise the name in GENCODE, or the Ensembl id.",
)

REFERENCE = Column("reference_release", TEXT, "Release of the gene reference that was used.")

MODEL_VERSION = Column("model_version", TEXT, "Hash of the model's data, settings and code.")

REPRESENTATION = Column(
    "representation",
    TEXT,
    "Input of the model: a space, expression or a control.",
    subject="representation",
)

MODEL = Column("model", TEXT, "Name of the model.", subject="model")

ANSWERER = replace(MODEL, meaning="Model or rule that made the prediction.")

RECIPE = Column("recipe", TEXT, "Recipe by which the text was composed.", subject="recipe")

DRUG = Column("drug_id", TEXT, "Name of the drug as published by the screen.")

FOLD = Column("fold", INT, "Fold in which the observation's group was held out.", minimum=0)

TASK = Column("task", TEXT, "Name of the benchmark task.", subject="task")

POSITION = Column("position", INT, "Row in the publisher's file, from 0.", minimum=0)

FATE = Column(
    "fate",
    TEXT,
    "Whether the row is scored, or why not.",
    allowed=("scored", "without_gene", "self_pair", "conflicting", "duplicate"),
)

METRIC = Column("metric", TEXT, "Name of the metric.", subject="metric")

SPLIT = Column("split", TEXT, "How training and test data were separated.", subject="split")

PREDICTED = (MODEL, MODEL_VERSION, REPRESENTATION, COLLECTION, OBSERVATION)

VALUE_WITH_INTERVAL = (
    Column("value", FLOAT, "Value of the metric."),
    Column("ci_low", FLOAT, "Lower end of the 95 % bootstrap interval.", nullable=True),
    Column("ci_high", FLOAT, "Upper end of the 95 % bootstrap interval.", nullable=True),
    Column("n", INT, "Number of observations, genes, pairs or terms that were scored.", minimum=1),
    Column("is_control", FLAG, "Whether the row is a baseline to compare with."),
)


def share(name: str, meaning: str, type_: pa.DataType = FLOAT) -> Column:
    """A column of numbers from 0 to 1."""
    return Column(name, type_, meaning, minimum=0.0, maximum=1.0)


DIAGNOSED = (
    MODEL,
    MODEL_VERSION,
    COLLECTION,
    OBSERVATION,
    Column("prediction", TEXT, "Most probable class, also where the model abstains."),
    share("probability", "Probability of the prediction, calibrated on the training collection."),
    Column(
        "distance", FLOAT, "Distance from the training samples; above 1 the sample is unlike them.",
        minimum=0.0,
    ),
    share("genes_measured", "Share of the model's genes that the collection has."),
    Column("abstained", FLAG, "Whether the model abstains."),
    Column("reason", TEXT, "Why the model answered or abstained.", allowed=REASONS),
)  # fmt: skip
