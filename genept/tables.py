"""Every published table, declared once: columns, types, units, keys, bounds, meaning.

Parquet schemas, quality checks, the data dictionary and the column schemas in
the Dagster UI are all made from these declarations. Nothing else describes a
column; nothing here reads or writes one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pyarrow as pa

from genept.declaration import ENSEMBL_GENE_ID, VECTOR, Column, Table

SCHEMA_VERSION: Final = "1.3.0"
"""Of these declarations: major for what breaks a reader, minor for what is added; a release that
changes more than this says is refused. See docs/decisions/0008-schema-version.md."""

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

UNITS: Final = ("counts", "tpm", "log1p", "log2", "zscore")
"""Expression units; what each means for weighting is in `genept.embeddings.weights`."""

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


def _share(name: str, meaning: str, type_: pa.DataType = FLOAT) -> Column:
    return Column(name, type_, meaning, minimum=0.0, maximum=1.0)


DIAGNOSED = (
    MODEL,
    MODEL_VERSION,
    COLLECTION,
    OBSERVATION,
    Column("prediction", TEXT, "The likeliest class, even where the model abstains."),
    _share("probability", "Of the prediction, calibrated on the model's own collection."),
    Column(
        "distance", FLOAT, "From the model's training samples; above 1 a sample is unlike them.",
        minimum=0.0,
    ),
    _share("genes_measured", "Share of the model's genes that the collection has."),
    Column("abstained", FLAG, "Whether the model does not answer."),
    Column("reason", TEXT, "Why it does, or does not.", allowed=REASONS),
)  # fmt: skip


def _embeddings(name: str, what: str, group: str) -> Table:
    return Table(
        name=name,
        meaning=f"One vector per {what}, unit length: the expression-weighted mean of its genes' "
        "vectors (GenePT-w), that of a sentence naming its genes (GenePT-s), another model's "
        "(outside), or several of these as one (ensemble).",
        group=group,
        key=("space", "method", "collection_id", "observation_id"),
        partition=("space", "method", "collection_id"),
        columns=(
            SPACE,
            METHOD,
            COLLECTION,
            OBSERVATION,
            Column("embedding", VECTOR, "The vector, float32.", norm=1.0),
            _share(
                "coverage",
                "Share of its weight on genes with a vector, or that the sentence names; 1 for "
                "outside vectors, which come whole; the weighted mean of an ensemble's members.",
                pa.float32(),
            ),
        ),
    )


DATASET = Column(
    "dataset", TEXT, "Collection, or source of labels, that it was asked of.", subject="data set"
)
COMPARED = ("task", "representation", "other")
DIFFERENCE = (
    TASK,
    REPRESENTATION,
    Column("other", TEXT, "The representation that it is compared with.", subject="representation"),
    DATASET,
    MODEL,
    SPLIT,
    METRIC,
    Column("difference", FLOAT, "Score of `representation` less that of `other`."),
    Column("ci_low", FLOAT, "Lower end of its 95 % paired bootstrap interval."),
    Column("ci_high", FLOAT, "Upper end of its 95 % paired bootstrap interval."),
    _share("p", "Two-sided, by the normal approximation to the bootstrap."),
)

PROGRAM = Column("program", INT, "Number of the program in its space, by size.", minimum=0)
CONFUSED = (
    TASK,
    DATASET,
    REPRESENTATION,
    MODEL,
    SPLIT,
    Column("truth", TEXT, "The label.", subject="label", lasting=False),
    Column("predicted", TEXT, "The predicted label.", subject="label", lasting=False),
    Column("n", INT, "How often; repeated splits add up.", minimum=1),
)

_TABLES: tuple[Table, ...] = (
    Table(
        name="collections",
        meaning="Every ingested collection: origin, unit, licence, citation, and what was counted.",
        group="collections",
        key=("collection_id",),
        partition=("collection_id",),
        columns=(
            COLLECTION,
            Column("title", TEXT, "What it is, in one line."),
            Column("kind", TEXT, "Single cells or bulk samples.", allowed=("single_cell", "bulk")),
            Column("unit", TEXT, "Unit of the published expression values.", allowed=UNITS),
            Column("group_axis", TEXT, "What `observations.group_id` stands for."),
            Column("sources", TEXTS, "Archives that it came from: `name version`."),
            Column("licence", TEXT, "Licence as stated by the source."),
            Column("redistributable", FLAG, "Whether the licence allows passing the data on."),
            Column("citation", TEXT, "What to cite."),
            Column("caveat", TEXT, "What to know before trusting a number.", nullable=True),
            Column("n_observations", INT, "Observations ingested.", minimum=1),
            Column("n_genes", INT, "Genes with an Ensembl id on the expression axis.", minimum=1),
            Column("n_quarantined", INT, "Rows in `quarantine` that were kept out.", minimum=0),
            Column(
                "mapped_expression", FLOAT, "Share that reached a gene.", minimum=0.6, maximum=1
            ),
        ),
    ),
    Table(
        name="genes",
        meaning="The gene reference: every gene of GENCODE, and every other HGNC gene that has an "
        "Ensembl id.",
        group="nomenclature",
        key=("ensembl_gene_id",),
        minimum_rows=78_000,
        columns=(
            GENE,
            Column(
                "hgnc_id",
                TEXT,
                "HGNC accession; empty text where HGNC does not name the gene.",
                pattern=HGNC_ID_OR_NONE,
                deprecated="from schema 2.0.0 on it will be null instead of empty text; "
                "filter by `symbol_source`",
            ),
            SYMBOL,
            Column(
                "symbol_source",
                TEXT,
                "Who gave the symbol: HGNC, GENCODE, or nobody (it is the Ensembl id).",
                allowed=("hgnc", "gencode", "ensembl_id"),
            ),
            Column("name", TEXT, "Approved full name.", nullable=True),
            Column("biotype", TEXT, "Kind of gene, such as protein_coding or lncRNA."),
            Column(
                "gencode_name",
                TEXT,
                "Name in GENCODE, which several genes may share; empty if it is the id, or if "
                "GENCODE lacks the gene.",
                nullable=True,
            ),
            Column("gencode_biotype", TEXT, "Biotype in GENCODE.", nullable=True),
            Column(
                "gene_version",
                INT,
                "Version of the Ensembl id in GENCODE.",
                nullable=True,
                minimum=1,
            ),
            Column(
                "length",
                INT,
                "Median of the lengths of its transcripts (sums of exons) in GENCODE.",
                unit="bp",
                nullable=True,
                minimum=1,
            ),
            Column("entrez_id", TEXT, "NCBI Gene id.", nullable=True, pattern=r"^\d+$"),
            Column("uniprot_ids", TEXTS, "UniProt accessions of its proteins."),
            Column("aliases", TEXTS, "Other symbols in use for the gene."),
            Column("previous_symbols", TEXTS, "Symbols that were once approved for it."),
            REFERENCE,
        ),
    ),
    Table(
        name="gene_names",
        meaning="Every name that the reference knows, and what it means: join your genes to it.",
        group="nomenclature",
        key=("name",),
        minimum_rows=200_000,
        columns=(
            Column("name", TEXT, "A symbol or an id, spelled exactly so."),
            Column("outcome", TEXT, "What kind of name it is.", allowed=OUTCOMES),
            *MEANING,
            REFERENCE,
        ),
    ),
    Table(
        name="gene_mapping",
        meaning="What became of every gene name of a collection, but for what is in `quarantine`.",
        group="nomenclature",
        key=("collection_id", "input_id"),
        partition=("collection_id",),
        columns=(
            COLLECTION,
            Column("input_id", TEXT, "The gene as the publisher wrote it."),
            Column("outcome", TEXT, "How it was resolved.", allowed=OUTCOMES),
            *MEANING,
            _share("expression_share", "Share of the collection's expression."),
            REFERENCE,
        ),
    ),
    Table(
        name="gene_axis",
        meaning="The genes that `expression.gene_index` counts, per collection.",
        group="collections",
        key=("collection_id", "gene_index"),
        partition=("collection_id",),
        columns=(
            COLLECTION,
            Column("gene_index", pa.uint32(), "Position on the axis, from 0.", minimum=0),
            GENE,
            SYMBOL,
            Column("n_inputs", INT, "Input columns that were merged into this gene.", minimum=1),
            Column(
                "n_observations", INT, "Observations with a value other than zero of it.", minimum=0
            ),
            Column(
                "policy",
                TEXT,
                "How several inputs became one; empty where there was only one.",
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
            Column("group_id", TEXT, "Donor, patient, lane or cell line; never split in two."),
            Column("batch", TEXT, "Technical batch.", nullable=True),
            Column("cell_type", TEXT, "Cell type as annotated by the publisher.", nullable=True),
            Column("tissue", TEXT, "Tissue of origin.", nullable=True),
            Column("tissue_subtype", TEXT, "Finer tissue of origin.", nullable=True),
            Column("diagnosis", TEXT, "Diagnosis or molecular subtype.", nullable=True),
            Column("n_genes", INT, "Genes with a value other than zero.", unit="genes", minimum=1),
            Column("total", FLOAT, "Sum of the values, in the collection's unit."),
        ),
    ),
    Table(
        name="expression",
        meaning="Expression, one row per observation; the two lists run in parallel. "
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
        meaning="What was kept out, fixed or looks odd, and why. Gene names without a gene are in "
        "`gene_mapping`.",
        group="collections",
        key=("collection_id", "item", "input_id", "reason"),
        partition=("collection_id",),
        minimum_rows=0,
        lists_missing=True,
        columns=(
            COLLECTION,
            Column(
                "item", TEXT, "Kind of thing.", allowed=("gene", "observation", "response", "file")
            ),
            Column("input_id", TEXT, "The thing, as the publisher wrote it."),
            Column("reason", TEXT, "Why, in a word."),
            Column("action", TEXT, "What became of it.", allowed=("kept_out", "fixed", "warned")),
            Column("detail", TEXT, "What was seen and what would have been accepted."),
            Column("n", INT, "Records affected.", minimum=1),
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
                "The response: the lower, the stronger. To be compared within a drug, not between.",
                minimum=-20,
                maximum=20,
            ),
            Column("measure", TEXT, "What was measured.", allowed=("ln_ic50",)),
            Column("unit", TEXT, "Unit of the measure.", allowed=("ln(µM)",)),
            Column("n_measured", INT, "Measurements that were averaged.", minimum=1),
        ),
    ),
    Table(
        name="gene_descriptions",
        meaning="What is known about each gene, as text, one row per recipe.",
        group="text",
        key=("recipe", "ensembl_gene_id"),
        partition=("recipe",),
        columns=(
            RECIPE,
            GENE,
            SYMBOL,
            Column("text", TEXT, "The description."),
            Column("text_sha256", TEXT, "SHA-256 of the UTF-8 text.", pattern=SHA256),
            Column(
                "n_tokens",
                INT,
                "Length in the tokens of its budget.",
                unit="tokens",
                minimum=1,
            ),
            Column(
                "parts",
                TEXTS,
                "Per part: name@source release, items in the text / items known, and what was "
                "cut, masked, cleaned or put in its place.",
            ),
        ),
    ),
    Table(
        name="undescribed_genes",
        meaning="Genes of a recipe's biotypes that it does not describe, and why.",
        group="text",
        key=("recipe", "ensembl_gene_id"),
        partition=("recipe",),
        minimum_rows=0,
        lists_missing=True,
        columns=(
            replace(RECIPE, meaning="The recipe."),
            GENE,
            SYMBOL,
            Column("reason", TEXT, "What it lacks, or what was left of its text."),
        ),
    ),
    Table(
        name="gene_embeddings",
        meaning="One vector per gene and space.",
        group="text",
        key=("space", "ensembl_gene_id"),
        partition=("space",),
        columns=(
            SPACE,
            GENE,
            SYMBOL,
            Column("embedding", VECTOR, "The vector, float32, unit length.", norm=1.0),
            Column(
                "text_sha256",
                TEXT,
                "The text that was embedded; empty for a table of vectors that was registered.",
                pattern=SHA256,
                nullable=True,
            ),
        ),
    ),
    Table(
        name="embedding_ledger",
        meaning="Every payment to a hosted text embedder; what runs locally costs nothing.",
        group="text",
        key=("receipt_id",),
        minimum_rows=0,
        columns=(
            Column(
                "receipt_id",
                TEXT,
                "The payment; a batch has the id of its batch.",
                subject="payment",
                lasting=False,
            ),
            Column("embedder", TEXT, "Who was paid."),
            Column("paid_at", TEXT, "When its vectors were kept, UTC.", pattern=UTC_TIME),
            Column("run_id", TEXT, "The run that paid."),
            Column("mode", TEXT, "How it was asked.", allowed=("request", "batch")),
            Column("n_texts", INT, "Texts that a vector was kept of.", minimum=0),
            Column("n_requests", INT, "Requests answered.", minimum=0),
            Column(
                "n_unanswered",
                INT,
                "Requests whose answer never came whole; whether they were charged, only the "
                "service's invoice says.",
                minimum=0,
            ),
            Column("tokens", INT, "Tokens charged for.", unit="tokens", minimum=0),
            Column(
                "tokens_from",
                TEXT,
                "Whether the service said so, or it is our estimate.",
                allowed=("usage", "estimate"),
            ),
            Column("dollars", FLOAT, "Price at the declared rate.", unit="US$", minimum=0),
        ),
    ),
    _embeddings("cell_embeddings", "cell", "embeddings"),
    _embeddings("sample_embeddings", "bulk sample", "embeddings"),
    Table(
        name="embedding_origins",
        meaning="Outside vectors and ensembles: what they are made of, their terms, and how many "
        "observations they reach.",
        group="embeddings",
        key=("collection_id", "space", "method"),
        partition=("collection_id", "space"),
        minimum_rows=0,
        columns=(
            COLLECTION,
            replace(SPACE, meaning="Id of the other model's space, or of the ensemble."),
            METHOD,
            Column("made_of", TEXTS, "The file; or each member with its weight."),
            Column("file_sha256", TEXT, "Of the file.", pattern=SHA256, nullable=True),
            Column("dimensions", INT, "Length of a vector.", minimum=1),
            Column("n_observations", INT, "Observations that could have a vector.", minimum=0),
            Column("n_joined", INT, "Those that have one.", minimum=0),
            Column(
                "n_strangers", INT, "Vectors of ids that are no observation; not used.", minimum=0
            ),
            Column("shortest", FLOAT, "Shortest vector of the file.", nullable=True),
            Column("longest", FLOAT, "Longest vector of the file.", nullable=True),
            Column("licence", TEXT, "Licence of the vectors, as stated by who added them."),
            Column("redistributable", FLAG, "Whether it allows passing the vectors on."),
            Column("citation", TEXT, "What to cite."),
            Column(
                "registered", TEXT, "When a file was added, UTC.", pattern=UTC_TIME, nullable=True
            ),
        ),
    ),
    Table(
        name="unmatched_vectors",
        meaning="Observations that outside vectors do not reach, and vectors of nobody.",
        group="embeddings",
        key=("collection_id", "space", "observation_id"),
        partition=("collection_id", "space"),
        minimum_rows=0,
        lists_missing=True,
        columns=(
            COLLECTION,
            replace(SPACE, meaning="Id of the other model's space."),
            replace(OBSERVATION, meaning="The observation; or the id that the file gives."),
            Column(
                "reason",
                TEXT,
                "What is missing: its vector, or an observation of that id.",
                allowed=("no_vector", "no_observation"),
            ),
        ),
    ),
    Table(
        name="gene_properties",
        meaning="What genes are labelled with for benchmarks, row by row as published.",
        group="benchmarks",
        key=("task", "position"),
        minimum_rows=0,
        columns=(
            TASK,
            POSITION,
            Column("input_id", TEXT, "The gene as the publisher wrote it."),
            replace(GENE, meaning="The gene; empty if its name has none.", nullable=True),
            Column("outcome", TEXT, "What became of the name.", allowed=OUTCOMES),
            Column("label", TEXT, "The label."),
            FATE,
        ),
    ),
    Table(
        name="gene_pairs",
        meaning="Pairs of genes and whether they belong together, row by row as published; of "
        "protein interactions those of high confidence.",
        group="benchmarks",
        key=("task", "split", "position"),
        minimum_rows=0,
        columns=(
            TASK,
            replace(
                SPLIT, meaning="The publisher's split: train, valid or test; all: none was made."
            ),
            POSITION,
            Column("input_a", TEXT, "First gene, as the publisher wrote it."),
            Column("input_b", TEXT, "Second gene, as the publisher wrote it."),
            replace(GENE, name="gene_a", meaning="First gene; empty without one.", nullable=True),
            replace(GENE, name="gene_b", meaning="Second gene; empty without one.", nullable=True),
            Column("label", INT, "Whether the two belong together: 1 or 0.", minimum=0, maximum=1),
            FATE,
        ),
    ),
    Table(
        name="benchmark_results",
        meaning="Scores of every representation on every task, beside their controls.",
        group="benchmarks",
        key=("task", "dataset", "representation", "model", "split", "metric"),
        partition=("task", "dataset"),
        collection="dataset",
        columns=(
            TASK,
            DATASET,
            REPRESENTATION,
            ANSWERER,
            SPLIT,
            METRIC,
            *VALUE_WITH_INTERVAL,
        ),
    ),
    Table(
        name="benchmark_comparisons",
        meaning="Which differences between representations are real: paired, corrected over all.",
        group="benchmarks",
        key=COMPARED,
        minimum_rows=0,
        collection="dataset",
        columns=(
            *DIFFERENCE,
            _share("p_holm", "The same, corrected by Holm over all rows of this table."),
            Column("separable", FLAG, "Whether p_holm is below 0.05."),
        ),
    ),
    Table(
        name="benchmark_confusions",
        meaning="Which label was taken for which, on the split that decides.",
        group="benchmarks",
        key=("task", "dataset", "representation", "truth", "predicted"),
        minimum_rows=0,
        collection="dataset",
        columns=CONFUSED,
    ),
    Table(
        name="gene_programs",
        meaning="Genes that lie together in a space, found without labels: clusters by cosine.",
        group="benchmarks",
        key=("space", "program", "ensembl_gene_id"),
        partition=("space",),
        minimum_rows=0,
        columns=(
            SPACE,
            PROGRAM,
            GENE,
            SYMBOL,
            Column("similarity", FLOAT, "Cosine with the mean of its program."),
        ),
    ),
    Table(
        name="program_terms",
        meaning="What a program's genes share more often than chance gives, the surest terms.",
        group="benchmarks",
        key=("space", "program", "kind", "term"),
        partition=("space",),
        minimum_rows=0,
        columns=(
            SPACE,
            PROGRAM,
            Column(
                "kind",
                TEXT,
                "Kind of term: the task of table `gene_properties`.",
                subject="kind of term",
            ),
            Column("term", TEXT, "Its name."),
            Column("n_program", INT, "Genes of the program.", minimum=1),
            Column("n_term", INT, "Genes of the term in the space.", minimum=1),
            Column("n_shared", INT, "Genes of both.", minimum=1),
            _share("p", "By the hypergeometric distribution."),
            _share("q", "The same, by Benjamini and Hochberg over all programs and terms."),
        ),
    ),
    Table(
        name="program_activity",
        meaning="How active a program's genes are in a cell type, beside the collection's cells.",
        group="benchmarks",
        key=("space", "collection_id", "program", "cell_type"),
        partition=("space", "collection_id"),
        minimum_rows=0,
        columns=(
            SPACE,
            COLLECTION,
            PROGRAM,
            Column(
                "cell_type",
                TEXT,
                "Cell type as annotated by the publisher.",
                subject="label",
                lasting=False,
            ),
            Column(
                "activity",
                FLOAT,
                "Mean over genes of the type's mean expression less that of all cells.",
                unit="standard deviations",
            ),
            Column("n_genes", INT, "Genes of the program that are expressed.", minimum=1),
            Column("n_cells", INT, "Cells of the type.", minimum=1),
        ),
    ),
    Table(
        name="diagnosis_predictions",
        meaning="Diagnosis of each bulk sample by a model that did not see its group.",
        group="models",
        key=("model", "model_version", "collection_id", "observation_id"),
        partition=("model",),
        columns=(
            *PREDICTED,
            FOLD,
            Column("label", TEXT, "The publisher's diagnosis."),
            Column("prediction", TEXT, "The predicted diagnosis."),
            _share("probability", "Of the prediction, calibrated by temperature."),
            Column("abstained", FLAG, "Probability under the model's threshold."),
        ),
    ),
    Table(
        name="sample_diagnoses",
        meaning="What each champion says of bulk samples that it was not trained or measured on.",
        group="models",
        key=("model", "collection_id", "observation_id"),
        partition=("model", "collection_id"),
        minimum_rows=0,
        columns=DIAGNOSED,
    ),
    Table(
        name="drug_response_predictions",
        meaning="Response of each cell line to each drug, by a model that did not see the line.",
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
            Column("abstained", FLAG, "Too few training lines for this drug."),
        ),
    ),
    Table(
        name="unmeasured_drug_responses",
        meaning="What each champion says of pairs of a cell line and a drug that nobody measured.",
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
            Column("difference", FLOAT, "Prediction less the drug's mean.", unit="ln(µM)"),
            Column("distance", FLOAT, "From the training lines; above 1 it is unlike them."),
            _share("genes_measured", "Share of the model's genes that were measured."),
            Column("abstained", FLAG, "Whether the model cannot know."),
            Column("reason", TEXT, "Why it abstains, or that it answered."),
        ),
    ),
    Table(
        name="model_evaluations",
        meaning="How good each model is on each cohort, beside its controls.",
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
        meaning="Who was tested with whom: frozen folds, to score another model on the same ones.",
        group="models",
        key=("model", "regime", "collection_id", "observation_id", "drug_id"),
        partition=("model",),
        columns=(
            MODEL,
            Column(
                "regime",
                TEXT,
                "What a tested model has never seen, such as the cell line.",
                subject="regime",
            ),
            COLLECTION,
            replace(OBSERVATION, meaning="The observation; * in folds of drugs."),
            replace(DRUG, meaning="The drug; * in folds of observations."),
            Column(
                "group", TEXT, "What stays whole: patient, line, drug, tied by near-duplicates."
            ),
            replace(FOLD, meaning="Fold in which the group is tested."),
            Column("is_holdout", FLAG, "Whether training never reads it at all."),
            Column(
                "folds_sha256", TEXT, "Hash of this model's folds in this regime.", pattern=SHA256
            ),
        ),
    ),
    Table(
        name="gate_verdicts",
        meaning="Why a trained model became champion or did not: every point of the gate.",
        group="models",
        key=("model", "model_version", "point"),
        partition=("model",),
        columns=(
            MODEL,
            MODEL_VERSION,
            Column("point", INT, "Number of the gate's point.", minimum=1, maximum=15),
            Column("name", TEXT, "What the point asks."),
            Column("outcome", TEXT, "What it found.", allowed=("pass", "refuse", "wait")),
            Column("evidence", TEXT, "What was seen, and what would have been accepted."),
            COLLECTION,
            Column("champion_version", TEXT, "The champion then, if there was one.", nullable=True),
        ),
    ),
)

TABLES: Final[dict[str, Table]] = {table.name: table for table in _TABLES}
"""All published tables by name, in the order in which they are built on one another."""

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

GENE_SNAPSHOTS: Final = Table(
    name="gene_snapshots",
    meaning="Publishers' gene files as they were at a release, to compare references with.",
    group="nomenclature",
    key=("snapshot", "record"),
    partition=("snapshot",),
    columns=(
        Column("snapshot", TEXT, "Which file: its name and release."),
        Column("record", TEXT, "What the publisher calls the row: an accession or an id."),
        Column("format", TEXT, "Which format of which publisher it was read from."),
        Column("release", TEXT, "Release, as the publisher calls it."),
        Column(
            "released",
            TEXT,
            "Date of the release, if known.",
            nullable=True,
            pattern=r"^\d{4}-\d{2}-\d{2}$",
        ),
        replace(SYMBOL, meaning="Symbol at that release.", nullable=True),
        Column("hgnc_id", TEXT, "HGNC accession.", nullable=True, pattern=r"^HGNC:\d+$"),
        replace(GENE, nullable=True),
        Column("version", TEXT, "Version of the Ensembl id.", nullable=True),
        Column("is_par_y", FLAG, "Whether it is the Y copy of a gene.", nullable=True),
        Column("entrez_id", TEXT, "NCBI Gene id.", nullable=True, pattern=r"^\d+$"),
        Column("name", TEXT, "Full name.", nullable=True),
        Column("biotype", TEXT, "Kind of gene.", nullable=True),
        Column("uniprot_ids", TEXTS, "UniProt accessions."),
        Column("aliases", TEXTS, "Other symbols."),
        Column("previous_symbols", TEXTS, "Former symbols."),
        Column("successors", TEXTS, "HGNC accessions that took the place of a withdrawn one."),
    ),
)
"""Kept in the lake and not published: it is the publishers', and a release needs none of it."""

STORED: Final = TABLES | WORKING_TABLES | {GENE_SNAPSHOTS.name: GENE_SNAPSHOTS}
"""All tables that the lake holds, by name."""
