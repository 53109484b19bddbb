"""Projects of recount3, found by what SRA says of their samples; and a collection made of them.

recount3's list of projects has accessions only: what is said of samples is in a small table of each
project. Tables are read by a process with limits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import polars as pl
from pydantic import ValidationError

from genept.common import SourceError, problems_of
from genept.datasources import Collection
from genept.datasources.download import Archives
from genept.datasources.readers import (
    DISEASE_KEYS,
    FOUND_SCHEMA,
    TISSUE_KEYS,
    Allowance,
    Parent,
    SampleQuery,
    attribute,
    limited,
    texts_match,
)

PROJECTS: Final = "recount3-projects"
MOST_PROJECTS: Final = 500
"""Projects of one search, and of one collection."""

_ATTRIBUTES: Final = "sample_attributes"
_TITLES: Final = ("sample_title", "experiment_title", "study_title")
_SEARCHED: Final = (*_TITLES, "study_abstract", "sample_description")
_METADATA: Final = (
    {"source": 1, "id": "external_id", "name": "recount_qc"},
    {"source": 2, "id": "external_id"},
)
_LABELS: Final = {
    "tissue": f"{_ATTRIBUTES}/{TISSUE_KEYS}|source_name",
    "diagnosis": f"{_ATTRIBUTES}/{DISEASE_KEYS}",
}


def search_recount3(
    archives: Archives, query: SampleQuery, *, allowance: Allowance
) -> pl.DataFrame:
    """Find samples of recount3: of named projects by their metadata, otherwise list all.

    Parameters
    ----------
    archives
        Knows where the tables are.
    query
        What is sought; its series are projects of SRA, such as SRP009615.
    allowance
        What reading the tables may take.

    Returns
    -------
    pl.DataFrame
        Columns of `FOUND_SCHEMA`, a row for each sample; without named projects only the
        accessions of samples and projects.

    Raises
    ------
    SourceError
        A project is not there, or a text is sought without naming projects.
    """
    projects = tuple(dict.fromkeys(query.series))
    if not projects and (query.tissue or query.disease or query.text):
        raise SourceError(
            "recount3's list of projects has accessions only: name projects (--series SRP009615) "
            "whose samples are to be searched, or search archs4, which has all texts in one file"
        )
    for project in projects:
        if not re.fullmatch(r"[DES]RP\d{2,}", project):
            raise SourceError(f"{project!r} is no project of SRA: expected such as SRP009615")
    if len(projects) > MOST_PROJECTS:
        raise SourceError(f"{len(projects):,} projects: at most {MOST_PROJECTS} are searched")
    ids = [f"recount3-samples:{project}" for project in projects] or [PROJECTS]
    files = {id_: archives.fetch(id_) for id_ in ids}
    limits = allowance.limits(*files.values())
    with limited(_searched, files, query, what="recount3", limits=limits) as answer:
        return answer.table("samples", FOUND_SCHEMA)


def _searched(parent: Parent, files: Mapping[str, Path], query: SampleQuery) -> None:
    """In the child: read the tables, and hand over what was found."""
    found = [_matching(path, query) for path in files.values()]
    parent.write_table("samples", pl.concat([pl.DataFrame(schema=FOUND_SCHEMA), *found]))


def _matching(path: Path, query: SampleQuery) -> pl.DataFrame:
    """The samples of one table that match."""
    table = pl.read_csv(path, separator="\t", quote_char=None, infer_schema=False)
    if lost := [name for name in ("external_id", "study") if name not in table.columns]:
        raise SourceError(f"{path.name}: has no column {lost[0]!r}: it is no table of recount3")
    table = table.with_columns(
        pl.lit("").alias(name) for name in (*_SEARCHED, _ATTRIBUTES) if name not in table.columns
    ).with_columns(pl.col(pl.String).fill_null(""))
    attributes = table[_ATTRIBUTES]
    sources = pl.Series(
        [attribute(text, "source_name") or "" for text in attributes], dtype=pl.String
    )
    titles = table.select(pl.concat_str(*_SEARCHED, separator="\t")).to_series()
    rows = table.with_columns(
        source=sources,
        title=pl.coalesce(*(pl.col(name).replace("", None) for name in _TITLES), pl.lit("")),
        tissue=pl.Series([attribute(text, TISSUE_KEYS) for text in attributes], dtype=pl.String),
        disease=pl.Series([attribute(text, DISEASE_KEYS) for text in attributes], dtype=pl.String),
        single_cell=pl.lit(0.0),
    ).rename({"external_id": "sample", "study": "series"})
    mask = texts_match(titles, sources, attributes, query)
    return rows.filter(pl.Series(mask)).select(*FOUND_SCHEMA)


def collection_of_projects(
    archives: Archives,
    found: pl.DataFrame,
    *,
    id_: str,
    title: str,
    labels: Mapping[str, str] | None = None,
) -> Collection:
    """Declare a collection of whole projects: those of which samples were found.

    Parameters
    ----------
    archives
        Knows the sources.
    found
        Rows of `search_recount3`.
    id_, title
        Of the collection.
    labels
        Our label to a field, such as ``sample_attributes/cell line``; tissue and diagnosis are
        those that the search shows, unless they are given.

    Returns
    -------
    Collection
        All samples of these projects; runs of one biological sample are one group.

    Raises
    ------
    SourceError
        There are no projects or too many, or the id or a label is invalid.
    """
    projects = sorted(set(found["series"]))
    if not 0 < len(projects) <= MOST_PROJECTS:
        raise SourceError(
            f"{len(projects):,} projects were found; a collection has 1 to {MOST_PROJECTS}: name "
            "them with --series"
        )
    source = archives.catalogue.sources["recount3"]
    entry = {
        "id": id_,
        "title": title,
        "kind": "bulk",
        "format": "recount3",
        "sources": tuple(
            f"{entry}:{project}"
            for project in projects
            for entry in ("recount3", "recount3-qc", "recount3-samples")
        ),
        "unit": "counts",
        "duplicate_policy": "sum",
        "group_axis": "sample",
        **source.model_dump(include={"redistributable", "licence", "citation"}),
        "options": {
            "n_projects": len(projects),
            "metadata": list(_METADATA),
            "group": "sample_acc",
            "labels": _LABELS | dict(labels or {}),
            "unmatched": "quarantine",
        },
    }
    try:
        return Collection.model_validate(entry)
    except ValidationError as error:
        raise SourceError(f"collection {id_!r}: {problems_of(error)}") from error
