"""Which targets a drug has: the list of screened compounds of GDSC, and our own table of facts.

The publisher's list is optional, and is read where it is cached or in a mirror's folder. The table
`drug_targets.csv` is shipped with the package. What a target means is `genept.nomenclature`.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from importlib.resources import files
from typing import Final, NamedTuple

from genept.common import SourceError
from genept.datasources.download import (
    Archives,
    AvailableFile,
    Opener,
    available_files,
    table_rows,
)

COMPOUNDS_SOURCE: Final = "gdsc-compounds"
"""Entry of the catalogue that is the list of screened compounds."""

FACTS_FILE: Final = "drug_targets.csv"
_PUBLISHED: Final = (
    *("DRUG_ID", "SCREENING_SITE", "DRUG_NAME", "SYNONYMS", "TARGET", "TARGET_PATHWAY"),
)
_FACTS: Final = ("drug", "synonyms", "targets", "source")


class Compound(NamedTuple):
    """One drug as a source states it.

    Parameters
    ----------
    name
        Its name.
    synonyms
        Its further names.
    targets
        Its targets as stated: separated by commas; empty if none is stated.
    pathway
        The publisher's label of the pathway; empty if there is none.
    source
        What states the targets, of a row of our own table; empty in the publisher's list.
    """

    name: str
    synonyms: tuple[str, ...]
    targets: str
    pathway: str
    source: str = ""


def drug_sources(archives: Archives) -> list[str]:
    """Find the publisher's list if it is cached or in a mirror's folder; makes no request.

    Parameters
    ----------
    archives
        Finds the sources.

    Returns
    -------
    list of str
        Its id in the catalogue; empty if it is not available.
    """
    file = compounds_file(archives)
    return [file.id] if file else []


def compounds_file(archives: Archives) -> AvailableFile | None:
    """Find the publisher's list if it is cached or in a mirror's folder; makes no request.

    Parameters
    ----------
    archives
        Finds and opens the sources.

    Returns
    -------
    AvailableFile or None
        The list; None if it is not available.
    """
    known = [COMPOUNDS_SOURCE] if COMPOUNDS_SOURCE in archives.catalogue.sources else []
    return available_files(archives, known).get(COMPOUNDS_SOURCE)


def read_compounds(opener: Opener, what: str) -> Iterator[Compound]:
    """Read the publisher's list of screened compounds.

    Parameters
    ----------
    opener, what
        Opens the unpacked bytes of the file; name of the file for messages.

    Yields
    ------
    Compound
        One per row, in the order of the file. A drug may have several rows.

    Raises
    ------
    SourceError
        The header is another one, or a row has another number of values, no name, an id that is
        no number, or the id of an earlier row; names the file and the line.
    """
    seen: dict[str, int] = {}
    for number, fields in _rows(opener, what, _PUBLISHED):
        id_, _, name, synonyms, targets, pathway = fields
        if not (id_.isascii() and id_.isdigit()):
            raise SourceError(f"{what}: line {number} has the id {id_[:40]!r}; expected a number")
        if seen.setdefault(id_, number) != number:
            raise SourceError(f"{what}: line {number} has the id {id_} of line {seen[id_]}")
        yield Compound(name, _names(synonyms.split(",")), targets, pathway)


def read_drug_facts(opener: Opener | None = None, what: str = FACTS_FILE) -> list[Compound]:
    """Read our own table of drugs and their targets.

    Parameters
    ----------
    opener, what
        Opens the bytes of another table of the same columns, and its name for messages; by
        default, the table that is shipped with the package.

    Returns
    -------
    list of Compound
        One per drug; each has at least one target, and what states it.

    Raises
    ------
    SourceError
        The header is another one, or a row has another number of values, no name, no target, no
        source, or the name of an earlier row; names the file and the line.
    """
    facts = []
    seen: dict[str, int] = {}
    for number, fields in _rows(opener or _shipped, what, _FACTS):
        name, synonyms, targets, source = fields
        stated = _names(targets.split("|"))
        for value, meaning in (("".join(stated), "target"), (source, "source")):
            if not value:
                raise SourceError(f"{what}: line {number} lacks the {meaning} of {name}")
        if unfit := [target for target in stated if "," in target]:
            raise SourceError(f"{what}: line {number} has a comma in {unfit[0]!r}; separate by |")
        if seen.setdefault(name.casefold(), number) != number:
            at = seen[name.casefold()]
            raise SourceError(f"{what}: line {number} has the drug {name} of line {at}")
        facts.append(Compound(name, _names(synonyms.split("|")), ", ".join(stated), "", source))
    return facts


def _shipped() -> nullcontext[io.BytesIO]:
    return nullcontext(io.BytesIO(facts_bytes()))


def facts_bytes() -> bytes:
    """Read the bytes of our own table, which is shipped with the package.

    Returns
    -------
    bytes
        The file `drug_targets.csv`.
    """
    return files("genept.datasources").joinpath(FACTS_FILE).read_bytes()


def _names(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for value in values if (name := value.strip())))


def _rows(opener: Opener, what: str, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Number and values of each row, without the spaces around them, checked for their form."""
    name = columns.index("DRUG_NAME") if "DRUG_NAME" in columns else columns.index("drug")
    for number, values in table_rows(opener, what, columns):
        fields = [value.strip() for value in values]
        if not fields[name]:
            raise SourceError(f"{what}: line {number} lacks the name of a drug")
        yield number, fields
