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
    share("p", "Two-sided, by the normal approximation to the bootstrap."),
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


BENCHMARK_TABLES: tuple[Table, ...] = (
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
            share("p_holm", "The same, corrected by Holm over all rows of this table."),
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
            share("p", "By the hypergeometric distribution."),
            share("q", "The same, by Benjamini and Hochberg over all programs and terms."),
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
)
