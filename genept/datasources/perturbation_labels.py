"""PerturbQA's label files: what the knock-down of one gene did to another, screen by screen.

A file is of one cell line and one question. What a name means, and what becomes of a row, is
`genept.perturbations`.
"""

from collections.abc import Iterator, Mapping
from typing import Final, Literal, NamedTuple, get_args

from genept.common import SourceError
from genept.datasources.download import (
    Archives,
    AvailableFile,
    Opener,
    available_files,
    table_rows,
)

SCREENS_SOURCE: Final = "perturbqa"
"""Entry of the catalogue that stands for the label files of every cell line."""

CELL_LINES: Final[Mapping[str, str]] = {
    "k562": "K562",
    "rpe1": "RPE1",
    "hepg2": "HepG2",
    "jurkat": "Jurkat",
}
"""Cell lines of the publication, by their name in file names."""

Question = Literal["de", "dir"]
QUESTIONS: Final[tuple[Question, ...]] = get_args(Question)
"""Whether a gene is differentially expressed, and, if it is, whether it goes up."""

_COLUMNS: Final = ["pert", "gene", "label", "split"]
_SPLITS: Final = ("train", "test")


class PerturbationLabel(NamedTuple):
    """One row of a label file.

    Parameters
    ----------
    perturbed, measured
        Names of the knocked-down gene and of the measured gene, as published.
    label
        Of ``de``: whether the gene is differentially expressed. Of ``dir``: whether it goes up.
    split
        The authors' split: ``train`` or ``test``.
    """

    perturbed: str
    measured: str
    label: bool
    split: str


def perturbation_files(archives: Archives) -> dict[tuple[str, Question], AvailableFile]:
    """Find the label files that are cached or in a mirror's folder; makes no request.

    Parameters
    ----------
    archives
        Finds and opens the sources.

    Returns
    -------
    dict of (str, str) to AvailableFile
        By cell line of `CELL_LINES` and question.
    """
    wanted = {
        f"{SCREENS_SOURCE}:{line}-{question}": (line, question)
        for line in CELL_LINES
        for question in QUESTIONS
    }
    known = wanted if SCREENS_SOURCE in archives.catalogue.sources else ()
    files = available_files(archives, known)
    return {wanted[id_]: file for id_, file in files.items()}


def read_perturbation_labels(opener: Opener, what: str) -> Iterator[PerturbationLabel]:
    """Read one label file.

    Parameters
    ----------
    opener, what
        Opens the unpacked bytes of the file; name of the file for messages.

    Yields
    ------
    PerturbationLabel
        One per row, in the order of the file.

    Raises
    ------
    SourceError
        The header is another one, or a row has an empty name, another label than 0 and 1, another
        split, or repeats a pair of genes with another label; names the file and the line.
    """
    seen: dict[tuple[str, str], str] = {}
    for number, fields in table_rows(opener, what, _COLUMNS):
        if (problem := _problem(fields)) is not None:
            raise SourceError(f"{what}: line {number} {problem}")
        perturbed, measured, label, split = fields
        if seen.setdefault((perturbed, measured), f"{label} {split}") != f"{label} {split}":
            raise SourceError(
                f"{what}: line {number} gives {perturbed},{measured} the label and split "
                f"{label} {split}, an earlier line {seen[perturbed, measured]}"
            )
        yield PerturbationLabel(perturbed, measured, label == "1", split)


def _problem(fields: list[str]) -> str | None:
    """What is wrong with a row; None if nothing is."""
    if not fields[0].strip() or not fields[1].strip():
        return "lacks the name of a gene"
    if fields[2] not in ("0", "1"):
        return f"has the label {fields[2][:40]!r}; expected 0 or 1"
    if fields[3] not in _SPLITS:
        return f"has the split {fields[3][:40]!r}; expected {' or '.join(_SPLITS)}"
    return None
