"""Checks of all gene names of a matrix together: refuse it, or give every input a verdict.

`mapping` and `spelling` judge one name at a time. The rules here need all names: another species,
mixed annotation releases, several columns of one gene. Values are only compared through column
fingerprints; adding columns up is `genept.collections.merging`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.common import SourceError
from genept.nomenclature.names import VERSIONED_ID, mixed_releases

DuplicatePolicy = Literal["sum", "highest_mean", "first", "refuse"]
"""How several inputs of one gene become one; the collection states it."""

ParYPolicy = Literal["quarantine", "merge"]
"""Whether the Y copy of a pseudoautosomal gene is left out, or is an input of its gene."""

MAX_NON_HUMAN: Final = 0.01
"""A matrix of whose inputs more than this belong to another species is refused."""

MINIMUM_COVERAGE: Final = 0.6
"""A matrix of whose expression less than this reaches a gene is refused."""

_PAR_Y: Final = r"^ENSG\d{11}(?:\.\d+)?_PAR_Y$"
_SCREENED: Final = ("input_id", "outcome", "ensembl_gene_id", "candidates", "evidence")


class GeneNamesRefusedError(SourceError):
    """The gene names of a matrix show that it must not be ingested as it is."""


@dataclass(frozen=True)
class NamePolicy:
    """What a collection states about its gene names.

    Parameters
    ----------
    duplicates
        How several inputs of one gene become one.
    par_y
        What becomes of the Y copy of a pseudoautosomal gene.
    annotation_release
        Release of the gene annotation that the publisher declares, such as ``gencode-19``. A
        collection without one is refused if its ids cannot be of one release.
    """

    duplicates: DuplicatePolicy
    par_y: ParYPolicy = "quarantine"
    annotation_release: str | None = None


@dataclass(frozen=True)
class Screening:
    """A verdict on every input, in order.

    Parameters
    ----------
    rows
        input_id, outcome, ensembl_gene_id (null unless kept), candidates, evidence, verdict
        (``kept``, ``quarantined``, ``split_out``), reason (null if kept).
    warnings
        What was repaired or split out, and how often: one sentence each.
    """

    rows: pl.DataFrame
    warnings: tuple[str, ...]

    @property
    def genes(self) -> pl.Series:
        """Gene of every input, null unless it is kept: the argument of `GeneAxis.of`."""
        return self.rows["ensembl_gene_id"]


def screen_names(
    rows: pl.DataFrame,
    policy: NamePolicy,
    *,
    collection: str,
    fingerprints: Callable[[], NDArray[np.float64]] | None = None,
) -> Screening:
    """Refuse a matrix by its gene names, or give every input a verdict.

    Parameters
    ----------
    rows
        `MappingResult.rows`, one per input column, in order.
    policy
        What the collection states.
    collection
        Its id, for errors.
    fingerprints
        Returns one number per input, equal where all values of two columns are equal. Called only
        if one Ensembl id occurs several times. None: no two columns count as equal.

    Returns
    -------
    Screening
        Verdicts and warnings.

    Raises
    ------
    GeneNamesRefusedError
        Another species, mixed annotation releases, or several inputs of one gene where the policy
        is to refuse; names the collection, the inputs, and what to do.
    """
    rows = rows.select(_SCREENED).with_row_index("column")
    _refuse_another_species(rows, collection)
    if policy.annotation_release is None and (why := mixed_releases(rows)) is not None:
        raise GeneNamesRefusedError(
            f"collection {collection!r}: its Ensembl ids are of several annotation releases: "
            f"{why}; annotate it anew with one release, or declare `annotation_release` in its "
            "catalogue entry if the publisher states it"
        )
    judged = _without_copies(_judged(rows, policy), fingerprints)
    if policy.duplicates == "refuse":
        _refuse_duplicates(judged.filter(pl.col("verdict") == "kept"), collection)
    return Screening(judged.drop("column"), _warnings(judged))


def refuse_low_coverage(
    coverage: float, *, collection: str, largest: Sequence[tuple[str, float]] = ()
) -> None:
    """Refuse a matrix if too little of its expression maps to a gene.

    Parameters
    ----------
    coverage
        Share of the expression that maps to a gene, 0 to 1.
    collection
        Its id, for errors.
    largest
        Inputs without a gene that have the largest shares of expression, with those shares.

    Raises
    ------
    GeneNamesRefusedError
        `coverage` is below `MINIMUM_COVERAGE`.
    """
    if coverage < MINIMUM_COVERAGE:
        shown = ", ".join(f"{name!r} {share:.0%}" for name, share in largest)
        lost = f" Most of the rest is in {shown}: leave out what is no gene (options.ignore)"
        lost = lost if largest else ""
        raise GeneNamesRefusedError(
            f"collection {collection!r}: only {coverage:.0%} of its expression reaches a gene "
            f"of the reference, {MINIMUM_COVERAGE:.0%} are needed; is it human, and are its "
            f"columns genes?{lost}"
        )


def _refuse_another_species(rows: pl.DataFrame, collection: str) -> None:
    """Refuse a matrix of which more than `MAX_NON_HUMAN` is of another species."""
    strangers = rows.filter(pl.col("outcome") == "non_human")
    if strangers.height <= MAX_NON_HUMAN * rows.height:
        return
    kinds = strangers.group_by("evidence", maintain_order=True).len()
    spelled = strangers.filter(pl.col("evidence").str.starts_with("spelled as")).height
    remedy = (
        "it looks like mouse: names are never upper-cased to match; map it by ortholog ids first"
        if spelled > strangers.height / 2
        else "take the other species' genes out first, or map them by ortholog ids"
    )
    raise GeneNamesRefusedError(
        f"collection {collection!r}: {strangers.height:,} of {rows.height:,} gene names "
        f"({strangers.height / rows.height:.1%}, at most {MAX_NON_HUMAN:.0%} are allowed) are of "
        f"another species, such as {_examples(strangers)} ({kinds['evidence'][0]}); {remedy}"
    )


def _refuse_duplicates(kept: pl.DataFrame, collection: str) -> None:
    several = kept.filter(pl.col("ensembl_gene_id").is_duplicated())
    groups = several.group_by("ensembl_gene_id", maintain_order=True).agg("input_id", "column")
    if not groups.height:
        return
    examples = "; ".join(
        f"{gene} (columns {', '.join(map(str, columns[:4]))}: {', '.join(names[:4])})"
        for gene, names, columns in groups.head(3).iter_rows()
    )
    raise GeneNamesRefusedError(
        f"collection {collection!r}: {groups.height:,} genes have several inputs with unequal "
        f"values, and its policy is to refuse them: {examples}; take out all but one, or state "
        '`duplicate_policy` in its catalogue entry: "sum" (counts), "highest_mean" or "first"'
    )


def _judged(rows: pl.DataFrame, policy: NamePolicy) -> pl.DataFrame:
    """Every input's verdict and reason by its own outcome, given the policy on Y copies."""
    is_y = pl.col("input_id").str.strip_chars().str.contains(_PAR_Y)
    merged = is_y & (pl.col("candidates").list.len() == 1) & pl.lit(policy.par_y == "merge")
    gene = pl.when(merged).then(pl.col("candidates").list.first()).otherwise("ensembl_gene_id")
    reason = (
        pl.when(gene.is_not_null())
        .then(None)
        .when(is_y)
        .then(pl.lit("par_y"))
        .when(pl.col("evidence") == "no name")
        .then(pl.lit("no_name"))
        .otherwise("outcome")
    )
    verdict = (
        pl.when(pl.col("outcome") == "control_feature")
        .then(pl.lit("split_out"))
        .when(gene.is_null())
        .then(pl.lit("quarantined"))
        .otherwise(pl.lit("kept"))
    )
    return rows.with_columns(ensembl_gene_id=gene, verdict=verdict, reason=reason)


def _without_copies(
    judged: pl.DataFrame, fingerprints: Callable[[], NDArray[np.float64]] | None
) -> pl.DataFrame:
    """Keep only the first of several columns of one Ensembl id with the same values.

    Such columns are the same measurement, and adding them up would count it twice. Columns with
    different names are left to the policy.
    """
    ids = judged.with_columns(pl.col("input_id").str.extract(VERSIONED_ID, 1).alias("id")).filter(
        pl.col("id").is_not_null() & (pl.col("verdict") == "kept")
    )
    doubled = ids.filter(pl.col("id").is_duplicated())
    if fingerprints is None or not doubled.height:
        return judged
    prints = fingerprints()[doubled["column"].to_numpy()]
    copies = doubled.with_columns(pl.Series("print", prints)).filter(
        ~pl.struct("id", "print").is_first_distinct()
    )
    is_copy = pl.col("column").is_in(copies["column"].implode())
    return judged.with_columns(
        ensembl_gene_id=pl.when(~is_copy).then("ensembl_gene_id"),
        verdict=pl.when(is_copy).then(pl.lit("quarantined")).otherwise("verdict"),
        reason=pl.when(is_copy).then(pl.lit("copy")).otherwise("reason"),
    )


def _warnings(judged: pl.DataFrame) -> tuple[str, ...]:
    """What an analyst should know although the matrix is not refused."""
    warned = {
        "split out, being no genes (spike-ins, viruses, antibodies, barcodes)":
            ("verdict", "split_out"),
        "repaired (white space, invisible characters, capitals)":
            ("outcome", "case_or_space_fixed"),
        "of another species, left out": ("reason", "non_human"),
        "Y copies of pseudoautosomal genes, left out": ("reason", "par_y"),
        "copies of a column of one Ensembl id with the same values, left out": ("reason", "copy"),
    }  # fmt: skip
    return tuple(
        f"{rows.height:,} inputs {what}, such as {_examples(rows)}"
        for what, (column, value) in warned.items()
        if (rows := judged.filter(pl.col(column) == value)).height
    )


def _examples(rows: pl.DataFrame) -> str:
    names: Sequence[str] = rows["input_id"].head(4).to_list()
    return ", ".join(map(repr, names))
