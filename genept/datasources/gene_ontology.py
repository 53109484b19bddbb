"""Gene Ontology as its consortium publishes it: terms (OBO) and annotations (GAF), and what of it
says nothing; and the ontologies of cell types, tissues, diseases and more that CELLxGENE packages.

Other knowledge of genes is `genept.datasources.gene_knowledge`; turning it into a description is
the business of `genept.text`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Final

import polars as pl
import pyarrow as pa

from genept.common import SourceError
from genept.datasources.download import Archives, Opener, text_lines

WITHOUT_CONTENT: Final[Mapping[str, str]] = {
    "GO:0003674": "molecular_function, the root: every gene product has one",
    "GO:0008150": "biological_process, the root: every gene product is in one",
    "GO:0005575": "cellular_component, the root: every gene product is somewhere",
    "GO:0005488": "binding: whatever has a function binds something",
    "GO:0005515": "protein binding: most proteins have it, and it does not say of what",
}
"""Terms that say nothing of a gene, and why; their descendants say what, and are kept."""

NO_DATA: Final = "ND"
"""Evidence code of an annotation that says that nothing was found."""

ELECTRONIC: Final = "IEA"
"""Evidence code of annotations without a curator: their dates are those of the last computation,
so they do not say since when something is known."""

_TERM_TAGS: Final = ("id", "name", "namespace", "is_obsolete")
_GAF_COLUMNS: Final = 17
_DATE: Final = 13


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
    terms: list[dict[str, str]] = []
    stanza: dict[str, str] = {}
    for _, line in text_lines(opener, what):
        tag, separator, value = line.partition(": ")
        if line.startswith("["):
            stanza = {}
            if line.strip() == "[Term]":
                terms.append(stanza)
        elif separator and tag in _TERM_TAGS:
            stanza.setdefault(tag, value.strip())
    if not terms:
        raise SourceError(f"{what}: holds no [Term] stanza; expected OBO text")
    for term in terms:
        if missing := [tag for tag in _TERM_TAGS[:3] if tag not in term]:
            raise SourceError(f"{what}: the term {term.get('id', '(no id)')} has no {missing[0]!r}")
    return pl.DataFrame(terms, schema=dict.fromkeys(_TERM_TAGS, pl.String)).select(
        go_id="id",
        name="name",
        aspect="namespace",
        obsolete=pl.col("is_obsolete").eq_missing("true"),
    )


def read_gaf(opener: Opener, what: str = "goa_human.gaf") -> tuple[pl.DataFrame, str | None]:
    """Gene Ontology annotations of proteins (GAF 2.2); those qualified by NOT are left out.

    Parameters
    ----------
    opener, what
        Opens the unpacked bytes of the file; name of the file for messages.

    Returns
    -------
    pl.DataFrame
        uniprot_id, go_id, evidence (a code such as ``IDA``), made: the earliest date on which the
        annotation was made with this evidence.
    str or None
        The release that the file states of itself, as a date (YYYY-MM-DD).

    Raises
    ------
    SourceError
        A line has another number of columns, or no date; the file has no human gene.
    """
    made: dict[tuple[str, str, str], date] = {}
    release = None
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
            annotation = (fields[1], fields[4], fields[6])
            if (on := _date(fields[_DATE])) is None:
                raise SourceError(
                    f"{what}: line {number} has the date {fields[_DATE][:20]!r} in column 14; "
                    "expected YYYYMMDD"
                )
            made[annotation] = min(on, made.get(annotation, on))
    if not made:
        raise SourceError(f"{what}: says nothing about human genes; is it the right file?")
    rows = [(*annotation, on) for annotation, on in sorted(made.items())]
    columns = ["uniprot_id", "go_id", "evidence", "made"]
    return pl.DataFrame(rows, schema=columns, orient="row"), release


@cache
def _date(written: str) -> date | None:
    """The day of YYYYMMDD; None if it is none."""
    try:
        return datetime.strptime(written, "%Y%m%d").date()
    except ValueError:
        return None


def has_content() -> pl.Expr:
    """Whether annotations say anything of a gene: see `WITHOUT_CONTENT` and `NO_DATA`.

    Returns
    -------
    pl.Expr
        Of columns go_id and evidence, which may be null.
    """
    says_nothing = pl.col("go_id").is_in(list(WITHOUT_CONTENT))
    return ~says_nothing & pl.col("evidence").ne_missing(NO_DATA)


def most_specific_first(terms: pl.DataFrame) -> pl.DataFrame:
    """Terms of genes, those that fewest genes share first.

    Parameters
    ----------
    terms
        ensembl_gene_id, item, aspect and evidence; genes are counted in these rows alone.

    Returns
    -------
    pl.DataFrame
        The same rows in order.
    """
    n_genes = pl.col("ensembl_gene_id").n_unique().over("item")
    order = ["ensembl_gene_id", "n_genes", "item", "aspect", "evidence"]
    return terms.with_columns(n_genes=n_genes).sort(order).drop("n_genes")


ONTOLOGIES_SOURCE: Final = "cellxgene-ontology-guide"
ONTOLOGIES: Final = {
    "CL": "CL-ontology-v2026-03-26.json.zst",
    "UBERON": "UBERON-ontology-v2026-04-01.json.zst",
    "MONDO": "MONDO-ontology-v2026-05-05.json.zst",
    "PATO": "PATO-ontology-v2025-05-14.json.zst",
    "EFO": "EFO-ontology-v3.90.0.json.zst",
    "HsapDv": "HsapDv-ontology-v2025-01-23.json.zst",
    "CVCL": "CVCL-ontology-55.0.json.zst",
}
"""File of each ontology, by the prefix of its ids: cell types, anatomy, diseases, qualities such as
sex and "normal", assays, stages of human life, cell lines (Cellosaurus: names alone)."""


@dataclass(frozen=True)
class OntologyTerm:
    """A term of an ontology.

    Parameters
    ----------
    name, definition, synonyms
        As published; no definition: empty. Synonyms are exact ones: the archive has no others.
    ancestors
        Ids of every term above it, and how many steps.
    """

    name: str
    definition: str
    synonyms: tuple[str, ...]
    ancestors: Mapping[str, int]


def read_ontology(archives: Archives, prefix: str) -> dict[str, OntologyTerm]:
    """Read the terms of one ontology, without those that it gave up.

    Parameters
    ----------
    archives
        Downloads the source ``cellxgene-ontology-guide`` where it is not cached.
    prefix
        Key of `ONTOLOGIES`.

    Returns
    -------
    dict of str to OntologyTerm
        Terms by id.

    Raises
    ------
    SourceError
        The file is damaged, or a term has no name.
    """
    member = f"cellxgene_ontology_guide/data/{ONTOLOGIES[prefix]}"
    with archives.open_member(ONTOLOGIES_SOURCE, member) as stream:
        packed = stream.read()
    try:
        with pa.input_stream(pa.BufferReader(packed), compression="zstd") as unpacked:
            entries = json.loads(unpacked.read().decode())
        return {
            id_: OntologyTerm(
                str(entry["label"]),
                str(entry.get("description") or ""),
                tuple(entry.get("synonyms") or ()),
                dict(entry["ancestors"]),
            )
            for id_, entry in entries.items()
            if not entry["deprecated"]
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(f"{member} is no ontology as CELLxGENE packages it: {error}") from error
