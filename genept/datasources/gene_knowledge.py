"""What is known about genes, as its publishers' tables say it: one reader per file.

Gene Ontology's terms and annotations, Reactome, BioGRID, phenotypes, summaries. Turning these into
a description is the business of `genept.text`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import polars as pl
from pydantic import TypeAdapter, ValidationError

from genept.common import SourceError, listed
from genept.datasources.download import Archives, Opener, text_lines

_TERMS: Final = "data/goBasicObo.txt.gz"

_ANNOTATIONS: Final = "data/humanIdentifierAssoc.json.gz"

_TERM_SCHEMA: Final = pl.Schema(
    {"go_id": pl.String, "name": pl.String, "aspect": pl.String, "obsolete": pl.Boolean}
)


def read_go_terms(archives: Archives) -> pl.DataFrame:
    """Read the ontology's terms, one row each.

    Parameters
    ----------
    archives
        Downloads the source ``pyiomica`` where it is not cached.

    Returns
    -------
    pl.DataFrame
        go_id, name, aspect (``biological_process``, ``molecular_function`` or
        ``cellular_component``), obsolete. 47,401 rows at the pinned release.

    Raises
    ------
    SourceError
        The file is damaged, or a term lacks its id, name or aspect.
    """
    return read_obo(lambda: archives.open_gzip_member("pyiomica", _TERMS), _TERMS)


def read_obo(opener: Opener, what: str) -> pl.DataFrame:
    """Read the terms of any OBO file, such as ``go-basic.obo``.

    Parameters
    ----------
    opener, what
        Opens the unpacked bytes of the file; name of the file for messages.

    Returns
    -------
    pl.DataFrame
        One row per term, with the columns of `read_go_terms`.

    Raises
    ------
    SourceError
        The file holds no term, or a term lacks its id, name or aspect.
    """
    rows = [_term(stanza, what) for stanza in _term_stanzas(text_lines(opener, what))]
    if not rows:
        raise SourceError(f"{what}: holds no [Term] stanza; expected OBO text")
    return pl.DataFrame(rows, schema=_TERM_SCHEMA, orient="row")


def read_go_annotations(archives: Archives) -> pl.DataFrame:
    """Read which UniProt accession is annotated with which term.

    Parameters
    ----------
    archives
        Downloads the source ``pyiomica`` where it is not cached.

    Returns
    -------
    pl.DataFrame
        uniprot_id, go_id; 282,689 rows at the pinned release.

    Raises
    ------
    SourceError
        The file is damaged or not of the expected shape.
    """
    with archives.open_gzip_member("pyiomica", _ANNOTATIONS) as stream:
        data = stream.read()
    try:
        _, terms_of = TypeAdapter(tuple[str, dict[str, list[str]]]).validate_json(data)
    except ValidationError as error:
        problem = error.errors()[0]
        raise SourceError(f"{_ANNOTATIONS}: at {problem['loc']}: {problem['msg']}") from error
    return pl.DataFrame(
        {"uniprot_id": list(terms_of), "go_id": list(terms_of.values())},
        schema={"uniprot_id": pl.String, "go_id": pl.List(pl.String)},
    ).explode("go_id", empty_as_null=False)


def _term_stanzas(lines: Iterable[tuple[int, str]]) -> Iterator[dict[str, str]]:
    """The first value of every tag, stanza by stanza; other stanzas than terms are passed over."""
    stanza: dict[str, str] | None = None
    for _, line in lines:
        if line.startswith("["):
            if stanza is not None:
                yield stanza
            stanza = {} if line.strip() == "[Term]" else None
        elif stanza is not None:
            tag, separator, value = line.partition(": ")
            if separator:
                stanza.setdefault(tag, value.strip())
    if stanza is not None:
        yield stanza


def _term(stanza: dict[str, str], what: str) -> tuple[str, str, str, bool]:
    try:
        return (
            stanza["id"],
            stanza["name"],
            stanza["namespace"],
            stanza.get("is_obsolete") == "true",
        )
    except KeyError as error:
        raise SourceError(
            f"{what}: the term {stanza.get('id', '(no id)')} has no {error}"
        ) from error


HUMAN: Final = "9606"

_GAF_COLUMNS: Final = 17

_REACTOME_COLUMNS: Final = 6

_BIOGRID: Final = (
    "Entrez Gene Interactor A", "Entrez Gene Interactor B",
    "Official Symbol Interactor A", "Official Symbol Interactor B",
    "Experimental System Type", "Publication Source",
    "Organism ID Interactor A", "Organism ID Interactor B",
)  # fmt: skip


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
    doubled = [gene for gene, n in Counter(gene for gene, _ in rows).items() if n > 1]
    if doubled:
        raise SourceError(f"{what}: gene {doubled[0]} has more than one summary")
    return _frame(rows, ("entrez_id", "summary"), what)


def read_gaf(opener: Opener, what: str = "goa_human.gaf") -> tuple[pl.DataFrame, str | None]:
    """Gene Ontology annotations of proteins (GAF 2.2); those qualified by NOT are left out.

    Parameters
    ----------
    opener, what
        Opens the unpacked bytes of the file; name of the file for messages.

    Returns
    -------
    pl.DataFrame
        uniprot_id, go_id, evidence (a code such as ``IDA``).
    str or None
        The release that the file states of itself, as a date (YYYY-MM-DD).
    """
    rows, release = set(), None
    for number, line in text_lines(opener, what):
        if line.startswith("!"):
            key, _, value = line[1:].strip().partition(":")
            release = value.strip()[:10] if key == "date-generated" else release
            continue
        fields = line.split("\t")
        if len(fields) != _GAF_COLUMNS:
            raise SourceError(
                f"{what}: line {number} has {len(fields)} columns, a GAF line has {_GAF_COLUMNS}"
            )
        if fields[0] == "UniProtKB" and "NOT" not in fields[3].split("|"):
            rows.add((fields[1], fields[4], fields[6]))
    return _frame(sorted(rows), ("uniprot_id", "go_id", "evidence"), what), release


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
    columns = ("ncbi_gene_id", "hpo_id", "hpo_name")
    rows = sorted(set(_columns(opener, what, columns)))
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
    for a, b, symbol_a, symbol_b, kind, publication, tax_a, tax_b in _columns(
        opener, what, _BIOGRID
    ):
        if kind == "physical" and tax_a == tax_b == HUMAN and a != b:
            publications.setdefault((a, symbol_b), set()).add(publication)
            publications.setdefault((b, symbol_a), set()).add(publication)
    rows = [(*pair, len(ids)) for pair, ids in sorted(publications.items())]
    return _frame(rows, ("entrez_id", "partner", "publications"), what)


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
