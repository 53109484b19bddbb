"""Tables of benchmarks: labels, scores, paired comparisons, gene programs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from genept.schema.columns import Table
from genept.schema.tables.fields import (
    ANSWERER,
    COLLECTION,
    FATE,
    GENE,
    INPUT,
    METRIC,
    MODEL,
    OUTCOME,
    POSITION,
    REPRESENTATION,
    SPACE,
    SPLIT,
    SYMBOL,
    TASK,
    VALUE_WITH_INTERVAL,
    count,
    flag,
    number,
    share,
    text,
)

DATASET = text("dataset", "Collection, or source of labels, that was scored.", subject="data set")

COMPARED = ("task", "representation", "other")

DIFFERENCE = (
    TASK,
    REPRESENTATION,
    text(
        "other",
        "The representation that `representation` is compared with.",
        subject="representation",
    ),
    DATASET,
    MODEL,
    SPLIT,
    METRIC,
    number("difference", "Score of `representation` minus the score of `other`."),
    number("ci_low", "Lower end of the 95 % paired bootstrap interval of the difference."),
    number("ci_high", "Upper end of the 95 % paired bootstrap interval of the difference."),
    share("p", "Two-sided p-value, by the normal approximation to the bootstrap."),
)


PROGRAM = count("program", "Number of the program in its space; 0 is the largest.")

CONFUSED = (
    TASK,
    DATASET,
    REPRESENTATION,
    MODEL,
    SPLIT,
    text("truth", "The published label.", subject="label", lasting=False),
    text("predicted", "The predicted label.", subject="label", lasting=False),
    count("n", "How often this pair of labels occurred, summed over repeated splits.", minimum=1),
)

_table = partial(Table, group="benchmarks")

BENCHMARK_TABLES: tuple[Table, ...] = (
    _table(
        name="gene_properties",
        meaning="Labels of genes for benchmarks, one row per row of the publisher's file.",
        key=("task", "position"),
        minimum_rows=0,
        columns=(
            TASK,
            POSITION,
            INPUT,
            replace(
                GENE, meaning="The gene; null if its name could not be resolved.", nullable=True
            ),
            OUTCOME,
            text("label", "The published label."),
            FATE,
        ),
    ),
    _table(
        name="gene_pairs",
        meaning="Pairs of genes and whether they are related, one row per row of the publisher's "
        "file; of protein interactions, only those of high confidence.",
        key=("task", "split", "position"),
        minimum_rows=0,
        columns=(
            TASK,
            replace(
                SPLIT, meaning="The publisher's split: train, valid or test; all if there is none."
            ),
            POSITION,
            text("input_a", "First gene, as the publisher wrote it."),
            text("input_b", "Second gene, as the publisher wrote it."),
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
            count("label", "Whether the two genes are related: 1 or 0.", maximum=1),
            FATE,
        ),
    ),
    _table(
        name="benchmark_results",
        meaning="Scores of every representation, and of the controls, on every task.",
        key=("task", "dataset", "representation", "model", "split", "metric"),
        partition=("task", "dataset"),
        collection="dataset",
        columns=(TASK, DATASET, REPRESENTATION, ANSWERER, SPLIT, METRIC, *VALUE_WITH_INTERVAL),
    ),
    _table(
        name="benchmark_comparisons",
        meaning="Paired comparisons of representations, corrected for multiple testing.",
        key=COMPARED,
        minimum_rows=0,
        collection="dataset",
        columns=(
            *DIFFERENCE,
            share("p_holm", "P-value corrected by Holm's method over all rows of this table."),
            flag("separable", "Whether `p_holm` is below 0.05."),
        ),
    ),
    _table(
        name="benchmark_confusions",
        meaning="Confusion matrices: published against predicted labels, on the deciding split.",
        key=("task", "dataset", "representation", "truth", "predicted"),
        minimum_rows=0,
        collection="dataset",
        columns=CONFUSED,
    ),
    _table(
        name="gene_programs",
        meaning="Gene programs: clusters of genes by cosine similarity in a space, without labels.",
        key=("space", "program", "ensembl_gene_id"),
        partition=("space",),
        minimum_rows=0,
        columns=(
            SPACE,
            PROGRAM,
            GENE,
            SYMBOL,
            number(
                "similarity", "Cosine similarity of the gene with the mean vector of its program."
            ),
        ),
    ),
    _table(
        name="program_terms",
        meaning="Terms that are enriched among the genes of a program, the most significant ones.",
        key=("space", "program", "kind", "term"),
        partition=("space",),
        minimum_rows=0,
        columns=(
            SPACE,
            PROGRAM,
            text(
                "kind", "Kind of term: the task of table `gene_properties`.", subject="kind of term"
            ),
            text("term", "Name of the term."),
            count("n_program", "Number of genes of the program.", minimum=1),
            count("n_term", "Number of genes of the term that the space has.", minimum=1),
            count("n_shared", "Number of genes that the program and the term share.", minimum=1),
            share("p", "P-value of the overlap by the hypergeometric distribution."),
            share(
                "q", "False discovery rate by Benjamini and Hochberg over all programs and terms."
            ),
        ),
    ),
    _table(
        name="program_activity",
        meaning="Expression of a program's genes in each cell type, relative to all cells.",
        key=("space", "collection_id", "program", "cell_type"),
        partition=("space", "collection_id"),
        minimum_rows=0,
        columns=(
            SPACE,
            COLLECTION,
            PROGRAM,
            text(
                "cell_type",
                "Cell type as annotated by the publisher.",
                subject="label",
                lasting=False,
            ),
            number(
                "activity",
                "Mean over genes of mean expression in the cell type minus that in all cells.",
                unit="standard deviations",
            ),
            count("n_genes", "Number of genes of the program that are expressed.", minimum=1),
            count("n_cells", "Number of cells of the type.", minimum=1),
        ),
    ),
)

BENCHMARK_WORKING: tuple[Table, ...] = (
    _table(
        name="benchmark_predictions",
        meaning="Predictions for each scored gene, pair or term, by one representation.",
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
    _table(
        name="benchmark_differences",
        meaning="Paired differences within one task, before correction over all tasks.",
        key=COMPARED,
        partition=("task",),
        columns=DIFFERENCE,
    ),
    _table(
        name="benchmark_confused",
        meaning="Confusion matrix of one task on one data set.",
        key=("task", "dataset", "representation", "truth", "predicted"),
        partition=("task", "dataset"),
        columns=CONFUSED,
    ),
)
