"""Publishers' files of labels, row by row: which name is labelled with what, for which task.

What the rows of a table say is declared once per file. What a name means, and what becomes of a
row, is `genept.benchmarks.label_tables`.
"""

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple

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

LISTS: Final[Mapping[str, Mapping[str, str]]] = {
    "bivalent-vs-unmethylated": {
        "bivalent-promoters": "bivalent",
        "unmethylated-promoters": "unmethylated",
    },
    "essential-genes": {
        "core-essential-genes": "essential",
        "non-essential-genes": "non-essential",
    },
}
"""Two lists of genes that label a task only together: by task and source, what each list says."""

_GENE2VEC: Final = [
    f"gene2vec-{split}-{what}" for split in PAIR_SPLITS for what in ("text", "label")
]

Labelled = tuple[str, int, str, str]
"""Task, position, name and label."""

Paired = tuple[str, str, int, str, str, int]
"""Task, split, position, two names, and whether they belong together."""

_ESSENTIAL: Final = ["GENE", "HGNC_ID", "ENTREZ_ID"]
_CHROMOSOMES: Final = frozenset({*map(str, range(1, 23)), "X", "Y"})
_ENSEMBL: Final = re.compile(r"ENSG\d{11}(\.\d+)?")
_UNTYPED: Final = {"nan": None, "None": None}
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
    lists = [id_ for sources in LISTS.values() for id_ in sources]
    files = available_files(archives, [*_PROPERTIES, *lists, *_GENE2VEC, *_PAIRS])
    for id_ in MEMBERS.keys() & files.keys():
        files[id_] = replace(files[id_], opener=partial(archives.open_member, id_, MEMBERS[id_]))
    return files


def labelled(files: Mapping[str, AvailableFile]) -> Iterator[Labelled]:
    """Read every row that labels a gene, of the given files.

    Parameters
    ----------
    files
        Available files by source id, as `label_files` returns them; others are passed over.

    Yields
    ------
    task, position, name, label
        Task; row in its file (of two lists: in both, one after the other), from 0; gene as
        published; class.

    Raises
    ------
    SourceError
        A file lacks a column, or has a value that is not expected.
    """
    for id_, rule in _PROPERTIES.items():
        for position, label, name in _labels(files.get(id_), rule):
            yield rule.task, position, name, label
    for task, sources in LISTS.items():
        if all(id_ in files for id_ in sources):
            names = (
                (label, name)
                for id_, label in sources.items()
                for name in _NAMES_OF[task](files[id_])
            )
            for position, (label, name) in enumerate(names):
                yield task, position, name, label


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
    for id_, rule in _PAIRS.items():
        for position, _, first, second in _labels(files.get(id_), rule):
            yield rule.task, WHOLE, position, first, second, 1


class _Rule(NamedTuple):
    """Task of a table, its columns of names, and what a row says: None, it is passed over."""

    task: str
    names: tuple[str, ...]
    label: Callable[[dict[str, str]], str | bool | None]


def _dosage(row: dict[str, str]) -> str:
    marked = [kind for kind in ("sensitive", "insensitive") if row[f"dosage_{kind}"] == "Yes"]
    if len(marked) != 1:
        raise ValueError(
            f"is marked {marked}: expected Yes in one of dosage_sensitive and dosage_insensitive"
        )
    return marked[0]


def _chromosome(row: dict[str, str]) -> str | None:
    name = row["chromosome"].removeprefix("chr")
    return name if name in _CHROMOSOMES and row["biotype"] == "protein_coding" else None


_PROPERTIES: Final[Mapping[str, _Rule]] = {
    "dosage-sensitive-tfs": _Rule("dosage-sensitivity", ("ensembl_id",), _dosage),
    "bivalent-genes": _Rule(
        "bivalent-vs-lys4",
        ("tf",),
        lambda row: "bivalent" if row["H3K27me3"] == "True" else "lys4-only",
    ),
    "tf-range": _Rule(
        "tf-range", ("ensembl_id",), lambda it: "long" if it["is_longrange"] == "True" else "short"
    ),
    "cnvoyant": _Rule(  # genes, not regions
        "haploinsufficiency",
        ("Gene/Region",),
        lambda row: _DOSAGE.get(row["HI Score"].partition(" ")[0]) if row[""] == "G" else None,
    ),
    "gene-types": _Rule(
        "gene-type", ("ensembl_id",), lambda row: _UNTYPED.get(row["gene_type"], row["gene_type"])
    ),
    "gencode-v49-genes": _Rule("chromosome", ("gene_id",), _chromosome),
}

_PAIRS: Final[Mapping[str, _Rule]] = {
    "scnet": _Rule(
        PROTEIN_PAIRS, ("g1_symbol", "g2_symbol"), lambda it: float(it["conn"]) >= CONFIDENT or None
    ),
    # The consensus of all resources, ligand first; complexes have no gene of their own.
    "liana": _Rule(
        LIGAND_RECEPTOR,
        ("source_genesymbol", "target_genesymbol"),
        lambda row: row["resource"] == "consensus" or None,
    ),
}


def _labels(file: AvailableFile | None, rule: _Rule) -> Iterator[tuple[Any, ...]]:
    """Position, label and names of the rows that say something; none without a file."""
    if file is None:
        return
    lines = (line.removeprefix("\ufeff") for _, line in text_lines(file.opener, file.path.name))
    for position, row in enumerate(csv.DictReader(f"{line}\n" for line in lines)):
        where = f"{file.path.name}: data row {position + 1}"
        present = {name: value for name, value in row.items() if value is not None}
        try:
            if (label := rule.label(present)) is not None:
                yield position, label, *(present[name] for name in rule.names)
        except KeyError as error:
            raise SourceError(
                f"{where} has no column {error}; it has {[*filter(None, row)]}"
            ) from None
        except ValueError as error:
            raise SourceError(f"{where}: {error}") from None


def _promoters(file: AvailableFile) -> Iterator[str]:
    """Ensembl ids, one to a line."""
    for number, line in text_lines(file.opener, file.path.name):
        if not (name := line.strip()):
            continue
        if not _ENSEMBL.fullmatch(name):
            raise SourceError(
                f"{file.path.name}: line {number} is {name[:40]!r}; expected an Ensembl gene id"
            )
        yield name


def _essential(file: AvailableFile) -> Iterator[str]:
    """Symbols; the ids beside them are missing here and there, and the last line may be empty."""
    for number, line in text_lines(file.opener, file.path.name):
        fields = line.split("\t")
        if number == 1 and fields != _ESSENTIAL:
            raise SourceError(f"{file.path.name}: line 1 is {line[:80]!r}; expected {_ESSENTIAL}")
        if number == 1 or not line.strip():
            continue
        if len(fields) != len(_ESSENTIAL) or not (name := fields[0].strip()):
            raise SourceError(
                f"{file.path.name}: line {number} is {line[:80]!r}; expected {_ESSENTIAL}"
            )
        yield name


_NAMES_OF: Final[Mapping[str, Callable[[AvailableFile], Iterator[str]]]] = {
    "bivalent-vs-unmethylated": _promoters,
    "essential-genes": _essential,
}
"""Reads a list of genes, by task."""


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
