"""Tables of benchmarks: labels, scores, paired comparisons, gene programs."""

from __future__ import annotations

from dataclasses import replace

from genept.schema.columns import Column, Table
from genept.schema.tables.fields import (
    ANSWERER,
    COLLECTION,
    FATE,
    FLAG,
    FLOAT,
    GENE,
    INT,
    METRIC,
    MODEL,
    OUTCOMES,
    POSITION,
    REPRESENTATION,
    SPACE,
    SPLIT,
    SYMBOL,
    TASK,
    TEXT,
    VALUE_WITH_INTERVAL,
    share,
)

DATASET = Column(
    "dataset", TEXT, "Collection, or source of labels, that was scored.", subject="data set"
)

COMPARED = ("task", "representation", "other")

DIFFERENCE = (
    TASK,
    REPRESENTATION,
    Column(
        "other",
        TEXT,
        "The representation that `representation` is compared with.",
        subject="representation",
    ),
    DATASET,
    MODEL,
    SPLIT,
    METRIC,
    Column("difference", FLOAT, "Score of `representation` minus the score of `other`."),
    Column("ci_low", FLOAT, "Lower end of the 95 % paired bootstrap interval of the difference."),
    Column("ci_high", FLOAT, "Upper end of the 95 % paired bootstrap interval of the difference."),
    share("p", "Two-sided p-value, by the normal approximation to the bootstrap."),
)


PROGRAM = Column("program", INT, "Number of the program in its space; 0 is the largest.", minimum=0)

CONFUSED = (
    TASK,
    DATASET,
    REPRESENTATION,
    MODEL,
    SPLIT,
    Column("truth", TEXT, "The published label.", subject="label", lasting=False),
    Column("predicted", TEXT, "The predicted label.", subject="label", lasting=False),
    Column(
        "n", INT, "How often this pair of labels occurred, summed over repeated splits.", minimum=1
    ),
)


BENCHMARK_TABLES: tuple[Table, ...] = (
    Table(
        name="gene_properties",
        meaning="Labels of genes for benchmarks, one row per row of the publisher's file.",
        group="benchmarks",
        key=("task", "position"),
        minimum_rows=0,
        columns=(
            TASK,
            POSITION,
            Column("input_id", TEXT, "The gene as the publisher wrote it."),
            replace(
                GENE, meaning="The gene; null if its name could not be resolved.", nullable=True
            ),
            Column(
                "outcome", TEXT, "How the name was resolved, or why it was not.", allowed=OUTCOMES
            ),
            Column("label", TEXT, "The published label."),
            FATE,
        ),
    ),
    Table(
        name="gene_pairs",
        meaning="Pairs of genes and whether they are related, one row per row of the publisher's "
        "file; of protein interactions, only those of high confidence.",
        group="benchmarks",
        key=("task", "split", "position"),
        minimum_rows=0,
        columns=(
            TASK,
            replace(
                SPLIT, meaning="The publisher's split: train, valid or test; all if there is none."
            ),
            POSITION,
            Column("input_a", TEXT, "First gene, as the publisher wrote it."),
            Column("input_b", TEXT, "Second gene, as the publisher wrote it."),
            replace(
                GENE,
                name="gene_a",
                meaning="First gene; null if its name could not be resolved.",
                nullable=True,
            ),
            replace(
                GENE,
                name="gene_b",
                meaning="Second gene; null if its name could not be resolved.",
                nullable=True,
            ),
            Column(
                "label", INT, "Whether the two genes are related: 1 or 0.", minimum=0, maximum=1
            ),
            FATE,
        ),
    ),
    Table(
        name="benchmark_results",
        meaning="Scores of every representation, and of the controls, on every task.",
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
        meaning="Paired comparisons of representations, corrected for multiple testing.",
        group="benchmarks",
        key=COMPARED,
        minimum_rows=0,
        collection="dataset",
        columns=(
            *DIFFERENCE,
            share("p_holm", "P-value corrected by Holm's method over all rows of this table."),
            Column("separable", FLAG, "Whether `p_holm` is below 0.05."),
        ),
    ),
    Table(
        name="benchmark_confusions",
        meaning="Confusion matrices: published against predicted labels, on the deciding split.",
        group="benchmarks",
        key=("task", "dataset", "representation", "truth", "predicted"),
        minimum_rows=0,
        collection="dataset",
        columns=CONFUSED,
    ),
    Table(
        name="gene_programs",
        meaning="Gene programs: clusters of genes by cosine similarity in a space, without labels.",
        group="benchmarks",
        key=("space", "program", "ensembl_gene_id"),
        partition=("space",),
        minimum_rows=0,
        columns=(
            SPACE,
            PROGRAM,
            GENE,
            SYMBOL,
            Column(
                "similarity",
                FLOAT,
                "Cosine similarity of the gene with the mean vector of its program.",
            ),
        ),
    ),
    Table(
        name="program_terms",
        meaning="Terms that are enriched among the genes of a program, the most significant ones.",
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
            Column("term", TEXT, "Name of the term."),
            Column("n_program", INT, "Number of genes of the program.", minimum=1),
            Column("n_term", INT, "Number of genes of the term that the space has.", minimum=1),
            Column(
                "n_shared", INT, "Number of genes that the program and the term share.", minimum=1
            ),
            share("p", "P-value of the overlap by the hypergeometric distribution."),
            share(
                "q", "False discovery rate by Benjamini and Hochberg over all programs and terms."
            ),
        ),
    ),
    Table(
        name="program_activity",
        meaning="Expression of a program's genes in each cell type, relative to all cells.",
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
                "Mean over genes of mean expression in the cell type minus that in all cells.",
                unit="standard deviations",
            ),
            Column("n_genes", INT, "Number of genes of the program that are expressed.", minimum=1),
            Column("n_cells", INT, "Number of cells of the type.", minimum=1),
        ),
    ),
)
