"""Which genes belong to a term and which do not, with the publisher's folds of each term.

The files are optional: they are read where they are cached or in a mirror's folder. What a name
means, and what becomes of a row, is `genept.benchmarks.label_tables`.
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from genept.common import SourceError, listed
from genept.datasources.download import (
    Archives,
    AvailableFile,
    Opener,
    available_files,
    table_rows,
)

FOLD_SOURCES: Final[Mapping[str, str]] = {
    "go-term-folds": "go-terms-folds",
    "omim-term-folds": "omim-terms-folds",
}
"""Task of each source."""

TRAINING_FOLDS: Final = ("cv_fold1", "cv_fold2", "cv_fold3")
HOLDOUT: Final = "holdout"
"""Genes that no setting is chosen on: those that a term is scored on."""

_COLUMNS: Final = ["term", "split", "entrez", "label"]


class FoldLabel(NamedTuple):
    """One row: a gene, a term, and where the publisher put the gene for this term.

    Parameters
    ----------
    term
        Identifier of the term.
    split
        One of `TRAINING_FOLDS`, or `HOLDOUT`.
    entrez_id
        NCBI Gene id.
    is_member
        Whether the gene belongs to the term.
    """

    term: str
    split: str
    entrez_id: str
    is_member: bool


def fold_files(archives: Archives) -> dict[str, AvailableFile]:
    """Find the files that are cached or in a mirror's folder; makes no request.

    Parameters
    ----------
    archives
        Finds and opens the sources.

    Returns
    -------
    dict of str to AvailableFile
        By source, of `FOLD_SOURCES`.
    """
    known = [id_ for id_ in FOLD_SOURCES if id_ in archives.catalogue.sources]
    return available_files(archives, known)


def read_fold_labels(opener: Opener, what: str) -> Iterator[FoldLabel]:
    """Read one file.

    Parameters
    ----------
    opener, what
        Opens the unpacked bytes of the file; name of the file for messages.

    Yields
    ------
    FoldLabel
        One per row, in the order of the file.

    Raises
    ------
    SourceError
        The header is another one, a value is not expected, or a gene is in two rows of one term:
        in training and held out, it would be scored by a model that knows its label. Names the
        file and the line.
    """
    seen: dict[tuple[str, str], int] = {}
    for number, fields in table_rows(opener, what, _COLUMNS, "\t"):
        if (problem := _problem(fields)) is not None:
            raise SourceError(f"{what}: line {number} {problem}")
        term, split, gene, label = fields
        if (first := seen.setdefault((term, gene), number)) != number:
            raise SourceError(
                f"{what}: line {number} has gene {gene} of term {term} again, after line {first}; "
                "expected each gene in one split of a term"
            )
        yield FoldLabel(term, split, gene, label == "1")


def _problem(fields: list[str]) -> str | None:
    """What is wrong with a row; None if nothing is."""
    term, split, gene, label = fields
    if not term.strip():
        return "lacks the term"
    if split not in (*TRAINING_FOLDS, HOLDOUT):
        return f"has the split {split[:40]!r}; expected {listed((*TRAINING_FOLDS, HOLDOUT))}"
    if not (gene.isascii() and gene.isdigit()):
        return f"has the gene {gene[:40]!r}; expected an NCBI Gene id"
    if label not in ("0", "1"):
        return f"has the label {label[:40]!r}; expected 0 or 1"
    return None
