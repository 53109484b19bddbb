"""Full names, Entrez and UniProt ids of human genes, from GNU Health's XML records.

Joins `hgnc_table` on the HGNC id. What is made of the names is the business of
`genept.text`.
"""

from __future__ import annotations

# Entity expansion would be the danger of this parser: expat stops it, and the
# archive, which has no entities, is pinned by its hash.
import xml.etree.ElementTree as ET
from typing import Final

import polars as pl

from genept.sources.archives import Archives
from genept.sources.errors import SourceError

_MEMBER: Final = "data/human_genes_grch38.xml"
_SCHEMA: Final = pl.Schema(
    [
        ("hgnc_id", pl.String()),
        ("name", pl.String()),
        ("entrez_id", pl.String()),
        ("ensembl_gene_id", pl.String()),
        ("uniprot_ids", pl.List(pl.String)),
    ]
)


def read_gene_records(archives: Archives) -> pl.DataFrame:
    """Read the gene records, one row each.

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
    rows: list[tuple[str | None, str | None, str | None, str | None, list[str]]] = []
    with archives.open_member("gnuhealth", _MEMBER) as stream:
        try:
            for _, element in ET.iterparse(stream, events=("end",)):  # noqa: S314
                if element.tag == "record" and element.get("model") == "gnuhealth.gene":
                    rows.append(_row(element))
                    element.clear()
        except ET.ParseError as error:
            raise SourceError(f"{_MEMBER}: is not well-formed XML: {error}") from error
    records = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    ids = records["hgnc_id"]
    if ids.null_count() or ids.n_unique() != records.height:
        raise SourceError(f"{_MEMBER}: HGNC ids are empty or repeated; expected one per record")
    return records


def _row(record: ET.Element) -> tuple[str | None, str | None, str | None, str | None, list[str]]:
    fields = {field.get("name"): (field.text or "").strip() for field in record}
    return (
        fields.get("hgnc_id") or None,
        fields.get("long_name") or None,
        fields.get("gene_id") or None,
        fields.get("ensembl_id") or None,
        [accession for accession in fields.get("protein_name", "").split("|") if accession],
    )
