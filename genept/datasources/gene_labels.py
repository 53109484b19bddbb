"""Publishers' files of labels, row by row: which name is labelled with what, for which task.

One generator per format. What a name means, and what becomes of a row, is
`genept.benchmarks.label_tables`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from io import StringIO
from typing import Final

from genept.common import SourceError
from genept.datasources.download import Archives, AvailableFile, available_files, text_lines

PAIR_SPLITS: Final = ("train", "valid", "test")
WHOLE: Final = "all"
"""The split of pairs whose publisher made none."""

GENE_PAIRS: Final = "gene-gene-interaction"
PROTEIN_PAIRS: Final = "protein-interaction"
LIGAND_RECEPTOR: Final = "ligand-receptor"
CONFIDENT: Final = 0.9
"""Protein interactions of a lower score take no part: half of them have the prior's score."""

MEMBERS: Final[Mapping[str, str]] = {
    "cnvoyant": "CNVoyant/data/hi_ts_regions.csv",
    "scnet": "scNET/Data/format_h_sapiens.csv",
    "liana": "liana/resource/omni_resource.csv",
}
"""Labels in archives of the package index, by source: the member that has them."""

PROMOTERS: Final[Mapping[str, str]] = {
    "bivalent-promoters": "bivalent",
    "unmethylated-promoters": "unmethylated",
}
"""Two lists of genes that label one task only together, by source: what each says."""

PAIR_SOURCES: Final = (
    *(f"gene2vec-{split}-{what}" for split in PAIR_SPLITS for what in ("text", "label")),
    "scnet",
    "liana",
)
Labelled = tuple[str, int, str, str]
"""Task, position, name and label."""

Paired = tuple[str, str, int, str, str, int]
"""Task, split, position, two names, and whether they belong together."""

_CHROMOSOMES: Final = frozenset({*map(str, range(1, 23)), "X", "Y"})
_ENSEMBL: Final = re.compile(r"ENSG\d{11}(\.\d+)?")
_UNTYPED: Final = frozenset({"nan", "None"})
_DOSAGE: Final = {"3": "haploinsufficient", "40": "not", "30": "not"}
"""ClinGen's scores that decide: sufficient evidence; unlikely, or recessive. Others say little."""


def label_files(archives: Archives) -> dict[str, AvailableFile]:
    """Label files that are available, cached or in a mirror's folder; makes no request.

    Parameters
    ----------
    archives
        Finds and opens the sources.

    Returns
    -------
    dict of str to AvailableFile
        By source id; a file in an archive opens as its member of `MEMBERS`.
    """
    files = available_files(archives, [*PROPERTY_SOURCES, *PAIR_SOURCES])
    return {
        id_: AvailableFile(
            id_, file.path, file.sha256, file.release,
            partial(archives.open_member, id_, MEMBERS[id_]),
        ) if id_ in MEMBERS else file
        for id_, file in files.items()
    }  # fmt: skip


def labelled(files: Mapping[str, AvailableFile]) -> Iterator[Labelled]:
    """Read every row that labels a gene, of the given files.

    Parameters
    ----------
    files
        Available files by source id, as `label_files` returns them; others are passed over.

    Yields
    ------
    task, position, name, label
        Task; row in its file (of the two lists of promoters: in both, one after the other), from
        0; gene as published; class.

    Raises
    ------
    SourceError
        A file lacks a column, or has a value that is not expected.
    """
    for id_, rows in _PROPERTIES.items():
        if id_ in files:
            yield from rows(files[id_])
    if all(id_ in files for id_ in PROMOTERS):
        yield from _promoters(files)


def paired(files: Mapping[str, AvailableFile]) -> Iterator[Paired]:
    """Read every labelled pair of genes or proteins, of the given files.

    Parameters
    ----------
    files
        Available files by source id, as `label_files` returns them; others are passed over.

    Yields
    ------
    task, split, position, first, second, label
        Task; the publisher's split (``train``, ``valid``, ``test``) or ``all``; row in its file,
        from 0; two names as published; 1 if they belong together, else 0.

    Raises
    ------
    SourceError
        A file lacks a column, has a value that is not expected, or has another number of lines
        than the file of its labels.
    """
    for split in PAIR_SPLITS:
        names, values = (files.get(f"gene2vec-{split}-{what}") for what in ("text", "label"))
        if names and values:
            yield from _gene2vec(split, names, values)
    if "scnet" in files:
        yield from _protein_pairs(files["scnet"])
    if "liana" in files:
        yield from _ligands(files["liana"])


def _dosage_sensitive(file: AvailableFile) -> Iterator[Labelled]:
    for position, row in enumerate(_records(file)):
        marked = [
            label
            for label in ("sensitive", "insensitive")
            if _value(file, row, position, f"dosage_{label}") == "Yes"
        ]
        if len(marked) != 1:
            raise SourceError(
                f"{file.path.name}: data row {position + 1} is marked {marked}: expected "
                "Yes in one of dosage_sensitive and dosage_insensitive"
            )
        yield "dosage-sensitivity", position, row["ensembl_id"], marked[0]


def _bivalent(file: AvailableFile) -> Iterator[Labelled]:
    for position, row in enumerate(_records(file)):
        both = _value(file, row, position, "H3K27me3") == "True"
        name = _value(file, row, position, "tf")
        yield "bivalent-vs-lys4", position, name, "bivalent" if both else "lys4-only"


def _promoters(files: Mapping[str, AvailableFile]) -> Iterator[Labelled]:
    """Ensembl ids, one to a line: the bivalent ones first, as the authors join the lists."""
    position = 0
    for id_, label in PROMOTERS.items():
        file = files[id_]
        for number, line in text_lines(file.opener, file.path.name):
            if not (name := line.strip()):
                continue
            if not _ENSEMBL.fullmatch(name):
                raise SourceError(
                    f"{file.path.name}: line {number} is {name[:40]!r}; expected an Ensembl gene id"
                )
            yield "bivalent-vs-unmethylated", position, name, label
            position += 1


def _range(file: AvailableFile) -> Iterator[Labelled]:
    for position, row in enumerate(_records(file)):
        far = _value(file, row, position, "is_longrange") == "True"
        name = _value(file, row, position, "ensembl_id")
        yield "tf-range", position, name, "long" if far else "short"


def _clingen(file: AvailableFile) -> Iterator[Labelled]:
    """Genes (not regions) whose score decides."""
    for position, row in enumerate(_records(file)):
        score, _, _ = _value(file, row, position, "HI Score").partition(" ")
        if row[next(iter(row))] == "G" and score in _DOSAGE:
            name = _value(file, row, position, "Gene/Region")
            yield "haploinsufficiency", position, name, _DOSAGE[score]


def _gene_types(file: AvailableFile) -> Iterator[Labelled]:
    for position, row in enumerate(_records(file)):
        kind = _value(file, row, position, "gene_type")
        if kind not in _UNTYPED:
            yield "gene-type", position, _value(file, row, position, "ensembl_id"), kind


def _chromosomes(file: AvailableFile) -> Iterator[Labelled]:
    for position, row in enumerate(_records(file)):
        place = _value(file, row, position, "chromosome").removeprefix("chr")
        kind = _value(file, row, position, "biotype")
        if place in _CHROMOSOMES and kind == "protein_coding":
            yield "chromosome", position, _value(file, row, position, "gene_id"), place


_PROPERTIES: Final[Mapping[str, Callable[[AvailableFile], Iterator[Labelled]]]] = {
    "dosage-sensitive-tfs": _dosage_sensitive,
    "bivalent-genes": _bivalent,
    "tf-range": _range,
    "cnvoyant": _clingen,
    "gene-types": _gene_types,
    "gencode-v49-genes": _chromosomes,
}
PROPERTY_SOURCES: Final = (*_PROPERTIES, *PROMOTERS)


def _gene2vec(split: str, text: AvailableFile, labels: AvailableFile) -> Iterator[Paired]:
    names = [line.split() for _, line in text_lines(text.opener, text.path.name)]
    values = [line.strip() for _, line in text_lines(labels.opener, labels.path.name)]
    if len(names) != len(values):
        raise SourceError(
            f"{text.path.name} has {len(names)} pairs, {labels.path.name} {len(values)} labels: "
            "fetch both of one release"
        )
    for position, (pair, value) in enumerate(zip(names, values, strict=True)):
        if len(pair) != 2 or value not in ("0", "1"):
            raise SourceError(
                f"{text.path.name}: line {position + 1} is {pair} with label {value!r}; expected "
                "two symbols and 0 or 1"
            )
        yield GENE_PAIRS, split, position, pair[0], pair[1], int(value)


def _protein_pairs(file: AvailableFile) -> Iterator[Paired]:
    for position, row in enumerate(_records(file)):
        score = _value(file, row, position, "conn")
        try:
            confident = float(score) >= CONFIDENT
        except ValueError:
            raise SourceError(
                f"{file.path.name}: data row {position + 1} has the score {score!r}, no number"
            ) from None
        if confident:
            a, b = (_value(file, row, position, name) for name in ("g1_symbol", "g2_symbol"))
            yield PROTEIN_PAIRS, WHOLE, position, a, b, 1


def _ligands(file: AvailableFile) -> Iterator[Paired]:
    """The consensus of all resources, ligand first; complexes have no gene of their own."""
    for position, row in enumerate(_records(file)):
        if _value(file, row, position, "resource") == "consensus":
            ligand = _value(file, row, position, "source_genesymbol")
            receptor = _value(file, row, position, "target_genesymbol")
            yield LIGAND_RECEPTOR, WHOLE, position, ligand, receptor, 1


def _records(file: AvailableFile) -> Iterator[dict[str, str]]:
    lines = (line.removeprefix("\ufeff") for _, line in text_lines(file.opener, file.path.name))
    return csv.DictReader(StringIO("\n".join(lines)))


def _value(file: AvailableFile, row: dict[str, str], position: int, column: str) -> str:
    value = row.get(column)
    if value is None:
        raise SourceError(
            f"{file.path.name}: data row {position + 1} has no column {column!r}; it has "
            f"{[name for name in row if name]}"
        )
    return value
