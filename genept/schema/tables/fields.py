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
"""What can become of a gene name; see `genept.nomenclature.names` and `.spelling`."""


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
    "How the vector came about.",
    allowed=("genept-w", "genept-s", "outside", "ensemble"),
    subject="method",
)

GENE = Column("ensembl_gene_id", TEXT, "Unversioned Ensembl gene id.", pattern=ENSEMBL_GENE_ID)

MEANING = (
    replace(GENE, meaning="The gene; empty if it could not be decided.", nullable=True),
    Column("candidates", TEXTS, "Ensembl ids that the name may mean, if not decided."),
    Column("evidence", TEXT, "Why, and according to which source."),
)

SYMBOL = Column(
    "symbol",
    TEXT,
    "Approved HGNC symbol; for genes without one GENCODE's name, or the Ensembl id itself.",
)

REFERENCE = Column("reference_release", TEXT, "Release of the gene reference that was used.")

MODEL_VERSION = Column("model_version", TEXT, "Hash of the model's data, settings and code.")

REPRESENTATION = Column(
    "representation",
    TEXT,
    "What was seen: a space, expression, a control.",
    subject="representation",
)

MODEL = Column("model", TEXT, "Name of the model.", subject="model")

ANSWERER = replace(MODEL, meaning="What answered.")

RECIPE = Column("recipe", TEXT, "How the text was composed.", subject="recipe")

DRUG = Column("drug_id", TEXT, "Drug name as the screen publishes it.")

FOLD = Column("fold", INT, "Fold in which the observation's group was held out.", minimum=0)

TASK = Column("task", TEXT, "What was asked.", subject="task")

POSITION = Column("position", INT, "Place in the publisher's file, from 0.", minimum=0)

FATE = Column(
    "fate",
    TEXT,
    "What becomes of the row: scored, or why not.",
    allowed=("scored", "without_gene", "self_pair", "conflicting", "duplicate"),
)

METRIC = Column("metric", TEXT, "What was measured.", subject="metric")

SPLIT = Column("split", TEXT, "How train and test were kept apart.", subject="split")

PREDICTED = (MODEL, MODEL_VERSION, REPRESENTATION, COLLECTION, OBSERVATION)

VALUE_WITH_INTERVAL = (
    Column("value", FLOAT, "The score."),
    Column("ci_low", FLOAT, "Lower end of the 95 % bootstrap interval.", nullable=True),
    Column("ci_high", FLOAT, "Upper end of the 95 % bootstrap interval.", nullable=True),
    Column("n", INT, "Observations, genes, pairs or terms that were scored.", minimum=1),
    Column("is_control", FLAG, "Whether the row is a baseline that others must beat."),
)


def share(name: str, meaning: str, type_: pa.DataType = FLOAT) -> Column:
    """A column of numbers from 0 to 1."""
    return Column(name, type_, meaning, minimum=0.0, maximum=1.0)


DIAGNOSED = (
    MODEL,
    MODEL_VERSION,
    COLLECTION,
    OBSERVATION,
    Column("prediction", TEXT, "The likeliest class, even where the model abstains."),
    share("probability", "Of the prediction, calibrated on the model's own collection."),
    Column(
        "distance", FLOAT, "From the model's training samples; above 1 a sample is unlike them.",
        minimum=0.0,
    ),
    share("genes_measured", "Share of the model's genes that the collection has."),
    Column("abstained", FLAG, "Whether the model does not answer."),
    Column("reason", TEXT, "Why it does, or does not.", allowed=REASONS),
)  # fmt: skip
