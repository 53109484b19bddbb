"""Units of expression values, and other sets of values that columns allow.

What a column may declare is in `genept.schema.columns`.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

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
