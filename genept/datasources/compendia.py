"""Parsers `archs4` and `recount3`: collections of many studies' RNA-seq, processed alike.

`archs4`: chosen samples out of ARCHS4's ``human_gene_v2.x.h5``, counts as genes × samples and one
field of metadata a dataset; only the chosen samples' columns are read, some of them at a time.
`recount3`: gene sums (G026, G029 …) with their metadata tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.common import SourceError
from genept.datasources.catalog import Archs4Options, Collection, Recount3Options
from genept.datasources.download import Archives
from genept.datasources.readers import (
    LABELS,
    Head,
    Lines,
    ParsedCollection,
    Quarantined,
    distinct_inputs,
    fields_by_id,
    observation_frame,
    read_expression,
    refuse_repeats,
    table_head,
)
from genept.datasources.readers.hdf5 import (
    DENSE_CAP,
    EXPRESSION,
    AnnotationTable,
    SampleColumns,
    as_dataset,
    as_group,
    as_text,
    at_path,
    open_hdf5,
    refuse_foreign,
)

if TYPE_CHECKING:
    import h5py

_ID: Final = "geo_accession"
_SINGLE_CELL: Final = "singlecellprobability"
_GENE_NAMES: Final = ("symbol", "gene_symbol", "genes")
_ENSEMBL_IDS: Final = ("ensembl_gene", "ensembl_gene_id", "ensembl_id")
_SERIES: Final = re.compile(r"[\s,;|]+")
_WINDOW: Final = 65_536


def parse_archs4(archives: Archives, collection: Collection) -> ParsedCollection:
    """Choose samples by their metadata; their counts are streamed when they are read.

    Samples that ARCHS4 takes for single cells are quarantined.

    Raises
    ------
    SourceError
        The file leads out of itself or is damaged, is not of ARCHS4, or a named series or sample
        is not in it.
    """
    options = Archs4Options.model_validate(collection.options)
    (source_id,) = collection.sources
    return read_archs4(archives.fetch(source_id), options)


def read_archs4(path: Path, options: Archs4Options) -> ParsedCollection:
    """Read a local file of ARCHS4; see `parse_archs4`."""
    with open_hdf5(path) as file:
        refuse_foreign(file)
        names, lookup = _genes(file, options.genes)
        samples = as_group(at_path(file, "meta/samples"))
        expression = as_dataset(at_path(file, EXPRESSION))
        n_samples = as_dataset(at_path(file, f"meta/samples/{_ID}")).size
        _refuse_shape(path.name, expression, (len(names), n_samples))
        chosen = _chosen(samples, options, n_samples)
        if chosen.size == 0:
            raise SourceError(f"{path.name}: no sample is of the series or samples, or matches")
        chosen, quarantined = _bulk(samples, chosen, options.max_singlecell_probability)
        if chosen.size == 0:
            raise SourceError(
                f"{path.name}: all {len(quarantined)} chosen samples are likely single cells; "
                "raise `max_singlecell_probability`"
            )
        observations = _observations(samples, chosen, options)
    return ParsedCollection(
        input_genes=distinct_inputs(names),
        symbols=tuple(lookup),
        entrez_ids=None,
        observations=observations,
        expression=SampleColumns(path, chosen, len(names)),
        responses=None,
        quarantined=tuple(quarantined),
    )


def _genes(file: h5py.File, requested: str | None) -> tuple[list[str], list[str]]:
    """Names of the columns, and what is looked up for them."""
    table = AnnotationTable(at_path(file, "meta/genes"))
    name = next((field for field in _GENE_NAMES if field in table.fields), _GENE_NAMES[0])
    names = table.texts(name).fill_null("")
    by = requested or next((field for field in _ENSEMBL_IDS if field in table.fields), name)
    lookup = table.texts(by).fill_null("")
    if lookup.len() != names.len():
        raise SourceError(f"{table.where}: {lookup.len()} of {by!r} for {names.len()} of {name!r}")
    return names.to_list(), lookup.to_list()


def _refuse_shape(what: str, expression: h5py.Dataset, expected: tuple[int, int]) -> None:
    if expression.shape != expected or expression.dtype.kind not in "iu":
        raise SourceError(
            f"{what}: {EXPRESSION} is {expression.dtype} of shape {expression.shape}; expected "
            f"whole numbers of {expected[0]} genes × {expected[1]} samples"
        )
    rows, columns = expression.chunks or (1, 1)
    if min(rows, expected[0]) * columns * expression.dtype.itemsize > DENSE_CAP:
        raise SourceError(f"{what}: {EXPRESSION} has chunks of {rows} × {columns}: too large")


def _windows(samples: h5py.Group, field: str, n: int) -> Iterator[tuple[int, pl.Series]]:
    """A field of the metadata piece by piece, as text: whole fields can be long."""
    dataset = as_dataset(at_path(samples, field))
    where = f"{Path(samples.file.filename).name}: meta/samples/{field}"
    if dataset.shape != (n,):
        raise SourceError(f"{where} has the shape {dataset.shape} for {n} samples")
    for first in range(0, n, _WINDOW):
        yield first, as_text(dataset[first : first + _WINDOW], where)


def _chosen(samples: h5py.Group, options: Archs4Options, n: int) -> NDArray[np.int64]:
    """Positions of the samples that were named, are of a named series, or match all texts."""
    what = Path(samples.file.filename).name
    chosen = np.zeros(n, dtype=bool)
    for field, wanted in (("series_id", options.series), (_ID, options.samples)):
        matched: set[str] = set()
        for first, values in _windows(samples, field, n) if wanted else ():
            for row, value in enumerate(values.fill_null("")):
                if hit := set(_SERIES.split(value)) & set(wanted):
                    matched |= hit
                    chosen[first + row] = True
        if lost := sorted(set(wanted) - matched):
            raise SourceError(
                f"{what}: has no {', '.join(lost[:5])} ({len(lost)} of {len(wanted)} in "
                f"{field}); is it of this release of ARCHS4?"
            )
    if options.contains:
        matching = np.ones(n, dtype=bool)
        for field, text in options.contains.items():
            for first, values in _windows(samples, field, n):
                hits = (
                    values.fill_null("").str.to_lowercase().str.contains(text.lower(), literal=True)
                )
                matching[first : first + values.len()] &= hits.to_numpy()
        chosen |= matching
    return np.flatnonzero(chosen).astype(np.int64)


def _bulk(
    samples: h5py.Group, chosen: NDArray[np.int64], most: float | None
) -> tuple[NDArray[np.int64], list[Quarantined]]:
    if most is None:
        return chosen, []
    ids = _texts(samples, _ID, chosen)
    likely = _values(samples, _SINGLE_CELL, chosen).astype(np.float64)
    single = likely > most
    quarantined = [
        Quarantined(
            "observation", ids[row], "single_cell", f"{_SINGLE_CELL} {likely[row]:.3g} > {most}"
        )
        for row in np.flatnonzero(single)
    ]
    return chosen[~single], quarantined


def _observations(
    samples: h5py.Group, chosen: NDArray[np.int64], options: Archs4Options
) -> pl.DataFrame:
    ids = _texts(samples, _ID, chosen)
    refuse_repeats(ids, f"{Path(samples.file.filename).name}: samples")
    groups = _texts(samples, options.group, chosen)
    if options.group == "series_id":
        groups = connected(groups)
    if lost := [id_ for id_, group in zip(ids, groups, strict=True) if not group]:
        raise SourceError(
            f"sample {lost[0]} has no {options.group!r}, by which samples are grouped"
        )
    labels: dict[str, Sequence[str | None] | str | None] = {}
    labels.update(options.constants.items())
    for label in LABELS:
        if label in options.labels:
            field, _, characteristic = options.labels[label].partition("/")
            values: list[str | None] = [*_texts(samples, field, chosen)]
            if characteristic:
                values = [_characteristic(value or "", characteristic) for value in values]
            labels[label] = [None if value in ("", *options.missing) else value for value in values]
    return observation_frame(ids, groups, labels)


def connected(series: Sequence[str]) -> list[str]:
    """One name for all samples whose lists of series overlap: the first series of theirs all.

    A sample may be in a series and in a super-series; no split may part it from either's.
    """
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = name = parent[parent[name]]
        return name

    lists = [[name for name in _SERIES.split(text) if name] for text in series]
    for members in lists:
        for other in members[1:]:
            low, high = sorted((root(members[0]), root(other)))
            parent[high] = low
    return [root(members[0]) if members else "" for members in lists]


def _characteristic(text: str, name: str) -> str | None:
    """The value of ``name: value`` in a list of characteristics."""
    match = re.search(rf"(?:^|[,\t;])\s*{re.escape(name)}\s*:\s*([^,\t;]*)", text, re.IGNORECASE)
    return match[1].strip() if match else None


def _texts(samples: h5py.Group, field: str, chosen: NDArray[np.int64]) -> list[str]:
    values = _values(samples, field, chosen)
    return as_text(values, f"meta/samples/{field}").fill_null("").to_list()


def _values(samples: h5py.Group, field: str, chosen: NDArray[np.int64]) -> NDArray[Any]:
    """A field of the chosen samples, read in windows."""
    dataset = as_dataset(at_path(samples, field))
    parts = []
    for first in range(0, dataset.shape[0], _WINDOW):
        low, high = np.searchsorted(chosen, [first, first + _WINDOW])
        if low < high:
            parts.append(dataset[first : first + _WINDOW][chosen[low:high] - first])
    return np.concatenate(parts)


def parse_recount3(archives: Archives, collection: Collection) -> ParsedCollection:
    """Read the samples of one project; their ids are `external_id`.

    What recount3 publishes per gene is coverage summed over its bases. Its own
    `compute_read_counts` divides that by the average mapped length of the sample and rounds, and so
    does this (recount3's documentation; Collado-Torres et al. 2017,
    doi:10.12688/f1000research.12223.1). For paired ends that length is the fragment's, so fragments
    are counted.

    Raises
    ------
    SourceError
        Coverage is declared as counts, or a sample has no average mapped length.
    """
    options = Recount3Options.model_validate(collection.options)
    if options.scale == "coverage" and collection.unit == "counts":
        raise SourceError(
            "recount3 publishes coverage summed over bases, not counts: set options.scale = "
            "'read_counts', or declare another unit"
        )

    def head(lines: Lines) -> Head:
        while (line := lines.peek()) is not None and line.startswith(b"##"):
            next(lines)
        return table_head(lines, options, None)

    lengths = partial(_lengths, archives, collection, options)
    divisor = lengths if options.scale == "read_counts" else None
    return read_expression(archives, collection, options, head, divisor=divisor)


def _lengths(
    archives: Archives,
    collection: Collection,
    options: Recount3Options,
    samples: tuple[str, ...],
) -> NDArray[np.float64]:
    """Average mapped length of each sample, in bases."""
    field = options.average_length
    fields, _, _ = fields_by_id(archives, collection, options.metadata, samples, [field])
    if field not in fields.columns:
        raise SourceError(
            f"recount3: no metadata table has the field {field!r}; name the one of the project's "
            "recount_qc table 'recount_qc', or set options.average_length"
        )
    lengths = fields[field].cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy()
    without = np.flatnonzero(~(lengths > 0))
    if len(without):
        raise SourceError(
            f"recount3: {len(without)} samples have no {field}, such as {samples[without[0]]!r}: "
            "their coverage cannot be read as counts"
        )
    return np.asarray(lengths)
