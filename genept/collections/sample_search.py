"""Samples of a large public collection, found by their metadata; and a collection made of them.

The publisher's file is read by a process with limits, which asks for ranges of it. What samples
say of themselves is read in `genept.datasources.readers.hdf5`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

import polars as pl
from pydantic import ValidationError

from genept.collections.labels import LabelMapper, prefix_of
from genept.collections.ranges_for_child import (
    AskedRanges,
    bytes_of,
    fetch_for_child,
    ranged_sources,
)
from genept.common import SourceError, problems_of
from genept.datasources import Collection, OntologyTerm
from genept.datasources.download import Archives, RangedCopy
from genept.datasources.readers import (
    DISEASE_KEYS,
    FOUND_SCHEMA,
    TISSUE_KEYS,
    Allowance,
    Parent,
    SampleQuery,
    limited,
)
from genept.datasources.readers.hdf5 import search_archs4

ARCHS4: Final = "archs4-human"

MOST_SINGLE_CELL: Final = 0.5
"""Likelier single cells are left out, as when they are ingested."""

MOST_CHOSEN: Final = 100_000
"""Samples of one collection: its declaration names each of them."""

BYTES_OF_SAMPLE: Final = (46_200, 144_800)
"""Bytes that are fetched for a sample, among neighbours of its series, and alone: as measured for
500 samples (docs/sources.md#read-by-ranges)."""

_SHORTEST: Final = 5

_LABELS: Final = {
    "tissue": f"characteristics_ch1/{TISSUE_KEYS}",
    "diagnosis": f"characteristics_ch1/{DISEASE_KEYS}",
}


def texts_of_label(mapper: LabelMapper, of_field: str, text: str) -> tuple[str, ...]:
    """Say what else means a tissue or disease, by the ontologies.

    Parameters
    ----------
    mapper
        Maps labels to terms.
    of_field
        ``tissue`` or ``diagnosis``.
    text
        What a user seeks: a text, or the id of a term.

    Returns
    -------
    tuple of str
        The text; where it means a term, also names and exact synonyms of that term and of all
        below it, of 5 letters or more: shorter ones are parts of other words.
    """
    meant = terms_meant(mapper, of_field, text)
    if not meant:
        return (text,)
    is_id = text in meant
    names = [name for entry in meant.values() for name in (entry.name, *entry.synonyms)]
    texts = [*(() if is_id else (text,)), *(name for name in names if len(name) >= _SHORTEST)]
    return tuple({each.lower(): each for each in texts}.values())


def terms_meant(mapper: LabelMapper, of_field: str, text: str) -> dict[str, OntologyTerm]:
    """Find the term that a text means, and all terms below it.

    Parameters
    ----------
    mapper
        Maps labels to terms.
    of_field
        Field of table `observations`, such as ``tissue`` or ``cell_type``.
    text
        A label, or the id of a term.

    Returns
    -------
    dict of str to OntologyTerm
        By id; empty if the text means none.
    """
    is_id = text in mapper.ontologies.get(prefix_of(text), {})
    term = text if is_id else mapper.map_labels("", of_field, [text])[0].term
    if term is None:
        return {}
    terms = mapper.ontologies[prefix_of(term)]
    return {id_: entry for id_, entry in terms.items() if id_ == term or term in entry.ancestors}


def search_samples(
    archives: Archives, query: SampleQuery, *, allowance: Allowance, source_id: str = ARCHS4
) -> pl.DataFrame:
    """Find samples of ARCHS4 by their metadata; of a file that is elsewhere, only that is fetched.

    Parameters
    ----------
    archives
        Knows where the file is.
    query
        What is sought.
    allowance
        What reading it may take.
    source_id
        Its source.

    Returns
    -------
    pl.DataFrame
        Columns of `FOUND_SCHEMA`, a row for each sample, likely single cells included.

    Raises
    ------
    SourceError
        The file cannot be had or read.
    """
    if query == SampleQuery():
        raise SourceError("say what is sought: a tissue, a disease, a series or a text")
    for accession in query.series:
        if not re.fullmatch(r"GSE\d+", accession):
            raise SourceError(f"{accession!r} is no GEO series: expected such as GSE30611")
    source = archives.catalogue.source(source_id)
    ranged = ranged_sources(archives, [source_id])
    file = archives.fetch(source_id) if source_id not in ranged else None
    copy = None if file is not None else ranged[source_id].copy
    with limited(
        _searched, file or copy, source_id, query,
        what=source.title,
        limits=allowance.limits(elsewhere=bytes_of(ranged)),
        handler=partial(fetch_for_child, ranged),
    ) as answer:  # fmt: skip
        return answer.table("samples", FOUND_SCHEMA)


def _searched(parent: Parent, file: Path | RangedCopy, source: str, query: SampleQuery) -> None:
    """In the child: read the metadata, and hand over what was found."""
    opened = file if isinstance(file, Path) else AskedRanges(file, source, parent)
    parent.write_table("samples", search_archs4(opened, query))


def bulk_samples(found: pl.DataFrame) -> pl.DataFrame:
    """Samples that are not likely to be single cells.

    Parameters
    ----------
    found
        Rows of `search_samples`.

    Returns
    -------
    pl.DataFrame
        In the same order.
    """
    return found.filter(pl.col("single_cell") <= MOST_SINGLE_CELL)


def drawn_samples(found: pl.DataFrame, most: int, seed: int) -> pl.DataFrame:
    """Draw some bulk samples: whole series, and a part of one more to fill up.

    Parameters
    ----------
    found
        Rows of `search_samples`.
    most
        How many samples at most.
    seed
        Of the draw.

    Returns
    -------
    pl.DataFrame
        In the order of the file. Series are drawn one after the other, and those that do not fit
        into what is left are passed over; of the first of these, samples fill up what is left.
    """
    bulk = bulk_samples(found).with_row_index("at")
    if bulk.height <= most:
        return bulk.drop("at")
    series = bulk.group_by("series", maintain_order=True).agg("at")
    taken: list[int] = []
    part: list[int] = []
    for at in series.sample(fraction=1, shuffle=True, seed=seed)["at"].to_list():
        if len(taken) + len(at) <= most:
            taken += at
        elif not part:
            part = at
    rest = pl.Series(part).sample(most - len(taken), seed=seed).to_list()
    return bulk.filter(pl.col("at").is_in([*taken, *rest])).drop("at")


def expected_download(
    archives: Archives, n_samples: int, source_id: str = ARCHS4
) -> tuple[int, int]:
    """Say how much a run will fetch for samples.

    Parameters
    ----------
    archives
        Knows whether the file is here as a whole.
    n_samples
        How many samples are chosen.
    source_id
        Where they are.

    Returns
    -------
    fewest, most : int
        Bytes if they are neighbours in a few series, and if each is of another series; 0 if the
        whole file is here. Metadata, which are fetched once, are not counted.
    """
    if source_id not in ranged_sources(archives, [source_id]):
        return 0, 0
    fewest, most = BYTES_OF_SAMPLE
    return n_samples * fewest, n_samples * most


def collection_of_samples(
    archives: Archives,
    samples: pl.DataFrame,
    *,
    id_: str,
    title: str,
    labels: Mapping[str, str] | None = None,
    source_id: str = ARCHS4,
) -> Collection:
    """Declare a collection of samples that were found.

    Parameters
    ----------
    archives
        Knows the source.
    samples
        Rows of `search_samples`.
    id_, title
        Of the collection.
    labels
        Our label to a field, such as ``source_name_ch1`` or ``characteristics_ch1/cell line``;
        tissue and diagnosis are those that the search shows, unless they are given.
    source_id
        Where they were found.

    Returns
    -------
    Collection
        Counts of these samples by their accessions; series that share a sample are one group.

    Raises
    ------
    SourceError
        There are no samples or too many, or the id or a label is invalid.
    """
    source = archives.catalogue.source(source_id)
    bulk = bulk_samples(samples)
    if not 0 < bulk.height <= MOST_CHOSEN:
        raise SourceError(
            f"{bulk.height:,} bulk samples were found; a collection has 1 to {MOST_CHOSEN:,}: "
            "search for something else, or for more at once"
        )
    entry = {
        "id": id_,
        "title": title,
        "kind": "bulk",
        "format": "archs4",
        "sources": (source_id,),
        "unit": "counts",
        "duplicate_policy": "sum",
        "group_axis": "series",
        **source.model_dump(include={"redistributable", "licence", "citation"}),
        "options": {"samples": bulk["sample"].to_list(), "labels": _LABELS | dict(labels or {})},
    }
    try:
        return Collection.model_validate(entry)
    except ValidationError as error:
        raise SourceError(f"collection {id_!r}: {problems_of(error)}") from error
