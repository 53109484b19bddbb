"""What is known about genes, as its publishers' tables say it: one reader per file.

NCBI's summaries, Gene Ontology annotations (GAF 2.2), Reactome's pathways, HPO's phenotypes,
BioGRID's interactions. Files are streamed line by line: some are hundreds of megabytes.
UniProt is in `uniprot`, the ontology itself in `gene_ontology`; what becomes of it all in a
description is the business of `genept.text`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl

from genept.sources.errors import SourceError, listed
from genept.sources.opening import Opener, text_lines

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

    Returns
    -------
    pl.DataFrame
        uniprot_id, go_id, evidence (a code such as ``IDA``).
    str or None
        The release that the file states of itself.
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

    Returns
    -------
    pl.DataFrame
        entrez_id, partner (symbol as published), publications; self-interactions are left out.
    """
    papers: dict[tuple[str, str], set[str]] = {}
    for a, b, symbol_a, symbol_b, kind, paper, tax_a, tax_b in _columns(opener, what, _BIOGRID):
        if kind == "physical" and tax_a == tax_b == HUMAN and a != b:
            papers.setdefault((a, symbol_b), set()).add(paper)
            papers.setdefault((b, symbol_a), set()).add(paper)
    rows = [(*pair, len(found)) for pair, found in sorted(papers.items())]
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
