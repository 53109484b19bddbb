"""What is known about genes, as its publishers' tables say it: one reader per file.

Reactome, BioGRID, phenotypes, summaries, Swiss-Prot; Gene Ontology is `gene_ontology`. Turning
these into a description is the business of `genept.text`.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl

from genept.common import SourceError, listed
from genept.datasources.download import Opener, text_lines
from genept.datasources.gene_files import HUMAN

_REACTOME_COLUMNS: Final = 6
_BIOGRID: Final = (
    "Entrez Gene Interactor A", "Entrez Gene Interactor B",
    "Official Symbol Interactor A", "Official Symbol Interactor B",
    "Experimental System Type", "Publication Source",
    "Organism ID Interactor A", "Organism ID Interactor B",
)  # fmt: skip
_TOPICS: Final = {
    "FUNCTION": "function", "SUBCELLULAR LOCATION": "location", "DISEASE": "disease"
}  # fmt: skip
_HUMAN: Final = re.compile(r"OX   NCBI_TaxID=9606\b")
_EVIDENCE: Final = re.compile(r"\s*\{ECO:[^}]*\}")
_REFERENCES: Final = re.compile(r"\s*\((?:PubMed:\d+(?:,\s*)?|Ref\.\d+(?:,\s*)?|By similarity)+\)")
_MIM: Final = re.compile(r"\s*\[MIM:\d+\]")
_RULE: Final = "-----"


def read_gene_summary(opener: Opener, what: str = "gene_summary") -> pl.DataFrame:
    """NCBI's `gene_summary`, human genes.

    Parameters
    ----------
    opener, what
        Opens the unpacked bytes of the file; name of the file for messages.

    Returns
    -------
    pl.DataFrame
        entrez_id, summary; as published, sources and dates in brackets included.

    Raises
    ------
    SourceError
        The file is not this format, holds no human gene, or has one twice.
    """
    rows = [
        (gene, summary)
        for tax, gene, summary in _columns(opener, what, ("#tax_id", "GeneID", "Summary"))
        if tax == HUMAN
    ]
    summaries = _frame(rows, ("entrez_id", "summary"), what)
    doubled = summaries.filter(pl.col("entrez_id").is_duplicated())["entrez_id"]
    if len(doubled):
        raise SourceError(f"{what}: gene {doubled[0]} has more than one summary")
    return summaries


def read_reactome(opener: Opener, what: str = "UniProt2Reactome") -> pl.DataFrame:
    """Reactome's `UniProt2Reactome.txt` or `Ensembl2Reactome.txt`, human pathways.

    Parameters
    ----------
    opener, what
        Opens the unpacked bytes of the file; name of the file for messages.

    Returns
    -------
    pl.DataFrame
        input_id (UniProt accession or Ensembl gene id), pathway_id, pathway.
    """
    rows = set()
    for number, line in text_lines(opener, what):
        fields = line.split("\t")
        if len(fields) != _REACTOME_COLUMNS or not fields[1].startswith("R-"):
            raise SourceError(
                f"{what}: line {number} is not `id, R-… pathway id, address, pathway, evidence, "
                f"species`: {line[:80]!r}"
            )
        if fields[5] == "Homo sapiens":
            rows.add((fields[0], fields[1], fields[3].strip()))
    return _frame(sorted(rows), ("input_id", "pathway_id", "pathway"), what)


def read_phenotypes(opener: Opener, what: str = "genes_to_phenotype") -> pl.DataFrame:
    """HPO's `genes_to_phenotype.txt`.

    Parameters
    ----------
    opener, what
        Opens the unpacked bytes of the file; name of the file for messages.

    Returns
    -------
    pl.DataFrame
        entrez_id, hpo_id, phenotype.
    """
    rows = sorted(set(_columns(opener, what, ("ncbi_gene_id", "hpo_id", "hpo_name"))))
    return _frame(rows, ("entrez_id", "hpo_id", "phenotype"), what)


def read_interactions(opener: Opener, what: str = "BIOGRID tab3") -> pl.DataFrame:
    """BioGRID's tab3 file: physical interactions of two human proteins, in both directions.

    Parameters
    ----------
    opener, what
        Opens the unpacked bytes of the file; name of the file for messages.

    Returns
    -------
    pl.DataFrame
        entrez_id, partner (symbol as published), publications (their number); self-interactions
        are left out.
    """
    publications: dict[tuple[str, str], set[str]] = {}
    columns = _columns(opener, what, _BIOGRID)
    for a, b, symbol_a, symbol_b, kind, publication, tax_a, tax_b in columns:
        if kind == "physical" and tax_a == tax_b == HUMAN and a != b:
            publications.setdefault((a, symbol_b), set()).add(publication)
            publications.setdefault((b, symbol_a), set()).add(publication)
    rows = [(*pair, len(ids)) for pair, ids in sorted(publications.items())]
    return _frame(rows, ("entrez_id", "partner", "publications"), what)


def read_swissprot(opener: Opener, what: str = "uniprot_sprot_human.dat") -> pl.DataFrame:
    """Swiss-Prot's comments on function, location and disease of human proteins.

    Evidence tags and literature references are left out: they are links, not knowledge.

    Parameters
    ----------
    opener
        Opens the unpacked bytes of the file, in UniProt's flat-file format.
    what
        Name of the file for messages.

    Returns
    -------
    pl.DataFrame
        uniprot_id (primary accession), topic (``function``, ``location`` or ``disease``), text;
        a protein may have several texts of a topic, in the order of the entry.

    Raises
    ------
    SourceError
        An entry has no accession, the file is cut short, or holds no human entry.
    """
    rows: list[tuple[str, str, str]] = []
    for entry in _entries(opener, what):
        if any(_HUMAN.match(line) for line in entry):
            accessions = next((line[5:] for line in entry if line.startswith("AC   ")), None)
            if accessions is None:
                raise SourceError(f"{what}: the entry {entry[0][:40]!r} has no AC line")
            accession = accessions.split(";")[0].strip()
            rows += [(accession, topic, text) for topic, text in _comments(entry)]
    return _frame(rows, ("uniprot_id", "topic", "text"), what)


def _entries(opener: Opener, what: str) -> Iterator[list[str]]:
    entry: list[str] = []
    for number, line in text_lines(opener, what):
        if number == 1 and not line.startswith("ID   "):
            raise SourceError(f"{what}: begins with {line[:24]!r}, a Swiss-Prot file with 'ID   '")
        if line == "//":
            yield entry
            entry = []
        else:
            entry.append(line)
    if entry:
        raise SourceError(f"{what}: is cut short: {entry[0][:40]!r} has no end; fetch it again")


def _comments(entry: list[str]) -> Iterator[tuple[str, str]]:
    """Topic and text of every comment that is kept."""
    comments: list[str] = []
    for line in entry:
        if line.startswith(f"CC   {_RULE}"):  # the licence, which follows the comments
            break
        if line.startswith("CC   -!- "):
            comments.append(line[9:])
        elif line.startswith("CC       ") and comments:
            # Lines are broken at spaces, and after hyphens without one.
            broken = comments[-1].endswith("-") and not comments[-1].endswith(" -")
            comments[-1] += ("" if broken else " ") + line[9:].strip()
    for comment in comments:
        topic, _, text = comment.partition(": ")
        if topic in _TOPICS and (tidied := _tidied(text)):
            yield _TOPICS[topic], tidied


def _tidied(text: str) -> str:
    text = _MIM.sub("", _REFERENCES.sub("", _EVIDENCE.sub("", text)))
    # A tag stands between a sentence's full stop and its own.
    return re.sub(r"\s+", " ", re.sub(r"\.(\s*\.)+", ".", text)).strip(" ;")


def _columns(opener: Opener, what: str, names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The named columns of a tab separated file, row by row."""
    places: list[int] = []
    width = 0
    for number, line in text_lines(opener, what):
        fields = line.removeprefix("\ufeff").split("\t")
        if number == 1:
            if missing := [name for name in names if name not in fields]:
                raise SourceError(f"{what}: has no column {missing[0]!r}; found {listed(fields)}")
            places, width = [fields.index(name) for name in names], len(fields)
        elif len(fields) != width:
            raise SourceError(
                f"{what}: line {number} has {len(fields)} columns, its header {width}"
            )
        else:
            yield tuple(fields[place] for place in places)


def _frame(rows: Sequence[tuple[object, ...]], names: Sequence[str], what: str) -> pl.DataFrame:
    if not rows:
        raise SourceError(f"{what}: says nothing about human genes; is it the right file?")
    return pl.DataFrame(rows, schema=list(names), orient="row")
