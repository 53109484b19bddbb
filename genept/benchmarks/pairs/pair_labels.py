"""Rows of table `gene_pairs`, from the available files of labels.

Every published row is kept, with the genes of its names and its fate. How pairs are split and
scored is in the neighbours of this module; what is built when, in `genept.benchmarks.label_tables`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import polars as pl

from genept.datasources import (
    NESTED_PAIRS,
    NESTED_SOURCE,
    Paired,
    paired,
    read_nested_pairs,
    read_perturbation_labels,
)
from genept.datasources.download import AvailableFile
from genept.nomenclature import Nomenclature

DIRECTION: Final = "perturbation-direction"
"""The task whose pairs are a gene that was knocked down and one that changed."""


def gene_pairs(files: Mapping[str, AvailableFile], nomenclature: Nomenclature) -> pl.DataFrame:
    """Pairs of genes that belong together or do not, from the files that are there.

    Parameters
    ----------
    files
        By source; those without pairs are passed over.
    nomenclature
        Maps names.

    Returns
    -------
    pl.DataFrame
        Rows of table `gene_pairs`.

    Raises
    ------
    SourceError
        A file is not what its publisher promises; names the file and the row.
    """
    named = _named([*paired(files), *_nested(files.get(NESTED_SOURCE))], nomenclature)
    ends = pl.min_horizontal("gene_a", "gene_b"), pl.max_horizontal("gene_a", "gene_b")
    return named.with_columns(fate=fate_of(_LEFT_OUT, ["task", "split", *ends]))


def direction_pairs(line: str, file: AvailableFile, nomenclature: Nomenclature) -> pl.DataFrame:
    """Which gene goes up, and which down, when another is knocked down, of one cell line.

    Parameters
    ----------
    line
        Name of the cell line, as in file names.
    file
        PerturbQA's labels of direction.
    nomenclature
        Maps names.

    Returns
    -------
    pl.DataFrame
        Rows of table `gene_pairs`, the perturbed gene first; the split names the cell line.

    Raises
    ------
    SourceError
        The file is not what its publisher promises; names the file and the line.
    """
    rows = [
        (DIRECTION, f"{line}-{row.split}", position, row.perturbed, row.measured, int(row.label))
        for position, row in enumerate(read_perturbation_labels(file.opener, file.path.name))
    ]
    ends = ["task", "gene_a", "gene_b"]
    return _named(rows, nomenclature).with_columns(fate=fate_of(_LEFT_OUT, ends))


def fate_of(
    left_out: Mapping[str, pl.Expr],
    labelled_by: Sequence[str | pl.Expr],
    label: pl.Expr = pl.col("label"),  # noqa: B008 - an expression is immutable
) -> pl.Expr:
    """The first reason to leave a row out that holds, or that its label is known; else scored.

    Parameters
    ----------
    left_out
        Reasons, and where each holds.
    labelled_by
        What has one label.
    label
        The label.

    Returns
    -------
    pl.Expr
        A reason, ``conflicting``, ``duplicate`` or ``scored``.
    """
    reasons = {
        **left_out,
        "conflicting": label.n_unique().over(labelled_by) > 1,
        "duplicate": pl.int_range(pl.len()).over(labelled_by) > 0,
    }
    chosen = [pl.when(holds).then(pl.lit(reason)) for reason, holds in reasons.items()]
    return pl.coalesce(*chosen, pl.lit("scored"))


_COLUMNS: Final = ("task", "split", "position", "input_a", "input_b", "label")
_LEFT_OUT: Final = {
    "without_gene": pl.col("gene_a").is_null() | pl.col("gene_b").is_null(),
    "self_pair": pl.col("gene_a") == pl.col("gene_b"),
}


def _named(rows: Sequence[Paired], nomenclature: Nomenclature) -> pl.DataFrame:
    """The rows with the genes of their names."""
    schema = dict.fromkeys(_COLUMNS, pl.String) | {"position": pl.Int64, "label": pl.Int64}
    read = pl.DataFrame(rows, schema=schema, orient="row")
    genes = nomenclature.map(pl.concat([read["input_a"], read["input_b"]]).unique().to_list()).rows
    meaning = dict(zip(genes["input_id"], genes["ensembl_gene_id"], strict=True))
    return read.with_columns(
        pl.col(f"input_{side}")
        .replace_strict(meaning, default=None, return_dtype=pl.String)
        .alias(f"gene_{side}")
        for side in "ab"
    )


def _nested(file: AvailableFile | None) -> Iterator[Paired]:
    """Pairs with nested folds; the split is the role of the pair in every outer fold."""
    if file is None:
        return
    for position, pair in enumerate(read_nested_pairs(file.opener, file.path.name)):
        yield NESTED_PAIRS, pair.roles, position, pair.first, pair.second, pair.label
