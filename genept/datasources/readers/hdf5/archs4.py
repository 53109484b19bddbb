"""Parser `archs4`: chosen samples out of ARCHS4's ``human_gene_v2.x.h5``.

Counts as genes × samples, and one field of metadata a dataset; only the chosen samples' columns are
read, some of them at a time.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack

from genept.common import SourceError
from genept.datasources.catalogue import Collection
from genept.datasources.download import Archives
from genept.datasources.formats import Archs4Options
from genept.datasources.readers.hdf5.file import (
    as_dataset,
    as_group,
    at_path,
    file_name,
    open_hdf5,
    refuse_foreign,
)
from genept.datasources.readers.hdf5.frames import AnnotationTable, as_text
from genept.datasources.readers.hdf5.rows import BLOCK_VALUES, DENSE_CAP, as_float32, compressed
from genept.datasources.readers.parsed import (
    ParsedCollection,
    Quarantined,
    distinct_inputs,
    observation_frame,
    refuse_repeats,
)

_EXPRESSION: Final = "data/expression"
_ID: Final = "geo_accession"
_SINGLE_CELL: Final = "singlecellprobability"
_GENE_NAMES: Final = ("symbol", "gene_symbol", "genes")
_ENSEMBL_IDS: Final = ("ensembl_gene", "ensembl_gene_id", "ensembl_id")
_SERIES: Final = re.compile(r"[\s,;|]+")
WINDOW: Final = 65_536


def parse_archs4(archives: Archives, collection: Collection) -> ParsedCollection:
    """Choose samples by their metadata; their counts are streamed when they are read.

    Parameters
    ----------
    archives, collection
        Downloads the source; entry of the catalogue, with the options of `Archs4Options`.

    Returns
    -------
    ParsedCollection
        Samples × genes; samples that ARCHS4 takes for single cells are quarantined.

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
        expression = as_dataset(at_path(file, _EXPRESSION))
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
        metadata = _metadata(samples, chosen, n_samples)
    return ParsedCollection(
        input_genes=distinct_inputs(names),
        symbols=tuple(lookup),
        entrez_ids=None,
        observations=observations,
        expression=SampleColumns(path, chosen, len(names)),
        responses=None,
        metadata=metadata,
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
            f"{what}: {_EXPRESSION} is {expression.dtype} of shape {expression.shape}; expected "
            f"whole numbers of {expected[0]} genes × {expected[1]} samples"
        )
    rows, columns = expression.chunks or (1, 1)
    if min(rows, expected[0]) * columns * expression.dtype.itemsize > DENSE_CAP:
        raise SourceError(f"{what}: {_EXPRESSION} has chunks of {rows} × {columns}: too large")


def _chosen(samples: h5py.Group, options: Archs4Options, n: int) -> NDArray[np.int64]:
    """Positions of the samples that were named, are of a named series, or match all texts."""
    chosen = np.zeros(n, dtype=bool)
    for field, wanted in (("series_id", options.series), (_ID, options.samples)):
        matched: set[str] = set()
        for first, values in _windows(samples, field, n) if wanted else ():
            for row, value in enumerate(values):
                if hit := set(_SERIES.split(value)) & set(wanted):
                    matched |= hit
                    chosen[first + row] = True
        if lost := sorted(set(wanted) - matched):
            raise SourceError(
                f"{file_name(samples)}: has no {', '.join(lost[:5])} ({len(lost)} of {len(wanted)} "
                f"in {field}); is it of this release of ARCHS4?"
            )
    if options.contains:
        matching = np.ones(n, dtype=bool)
        for field, text in options.contains.items():
            for first, values in _windows(samples, field, n):
                hits = values.str.to_lowercase().str.contains(text.lower(), literal=True)
                matching[first : first + hits.len()] &= hits.to_numpy()
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
    refuse_repeats(ids, f"{file_name(samples)}: samples")
    groups = _texts(samples, options.group, chosen)
    if options.group == "series_id":
        groups = connected(groups)
    if odd := [id_ for id_, group in zip(ids, groups, strict=True) if not group]:
        raise SourceError(f"sample {odd[0]} has no {options.group!r}, by which samples are grouped")
    labels: dict[str, Sequence[str | None] | str | None] = dict(options.constants.items())
    for label, source in options.labels.items():
        field, _, characteristic = source.partition("/")
        values: list[str | None] = [*_texts(samples, field, chosen)]
        if characteristic:
            values = [_characteristic(value or "", characteristic) for value in values]
        labels[label] = [None if value in ("", *options.missing) else value for value in values]
    return observation_frame(ids, groups, labels)


def _metadata(samples: h5py.Group, chosen: NDArray[np.int64], n_samples: int) -> pl.DataFrame:
    """All fields of the chosen samples that are one text each."""
    columns = {"observation_id": _texts(samples, _ID, chosen)}
    for name, item in samples.items():
        if isinstance(item, h5py.Dataset) and item.shape == (n_samples,) and item.dtype.kind != "f":
            columns[name] = _texts(samples, name, chosen)
    return pl.DataFrame(columns)


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
    return as_text(_values(samples, field, chosen), f"meta/samples/{field}").fill_null("").to_list()


def _values(samples: h5py.Group, field: str, chosen: NDArray[np.int64]) -> NDArray[Any]:
    """A field of the chosen samples, read in windows."""
    dataset = as_dataset(at_path(samples, field))
    parts = []
    for first in range(0, dataset.shape[0], WINDOW):
        low, high = np.searchsorted(chosen, [first, first + WINDOW])
        if low < high:
            parts.append(dataset[first : first + WINDOW][chosen[low:high] - first])
    return np.concatenate(parts)


def _windows(samples: h5py.Group, field: str, n: int) -> Iterator[tuple[int, pl.Series]]:
    """A field of the metadata piece by piece, as text: whole fields can be long."""
    dataset = as_dataset(at_path(samples, field))
    where = f"{file_name(samples)}: meta/samples/{field}"
    if dataset.shape != (n,):
        raise SourceError(f"{where} has the shape {dataset.shape} for {n} samples")
    for first in range(0, n, WINDOW):
        yield first, as_text(dataset[first : first + WINDOW], where).fill_null("")


@dataclass(frozen=True, eq=False)
class SampleColumns:
    """Columns of the genes × samples array `_EXPRESSION`, as rows: ascending positions `chosen`."""

    path: Path
    chosen: NDArray[np.int64]
    n_genes: int

    @property
    def shape(self) -> tuple[int, int]:
        """Chosen samples × input genes."""
        return self.chosen.size, self.n_genes

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[csr_matrix]:
        """Samples `start` to `stop`, as many at a time as are `BLOCK_VALUES` when dense.

        A chunk is unpacked once, unless it is wider than a block. Counts must fit float32.
        """
        stop = self.shape[0] if stop is None else min(stop, self.shape[0])
        step = max(1, 4 * BLOCK_VALUES // max(self.n_genes, 1))
        with open_hdf5(self.path) as file:
            dataset = as_dataset(at_path(file, _EXPRESSION))
            width, first = (dataset.chunks or (1, 1))[1], start
            while first < stop:
                last = min(first + step, stop)
                if last < stop:
                    # Samples of one column of chunks stay together, if they fit.
                    column = self.chosen[last] // width * width
                    whole = int(np.searchsorted(self.chosen, column))
                    last = whole if whole > first else last
                yield self._block(dataset, self.chosen[first:last])
                first = last

    def _block(self, dataset: h5py.Dataset, samples: NDArray[np.int64]) -> csr_matrix:
        rows, columns = dataset.chunks or (1, 1)
        # Split where whole columns of chunks without any of them lie between.
        runs = np.split(samples, np.flatnonzero(np.diff(samples // columns) > 1) + 1)
        widest = max(int(run[-1] - run[0]) + 1 for run in runs)
        step = max(1, 4 * BLOCK_VALUES // (rows * widest)) * rows
        slabs = []
        for gene in range(0, self.n_genes, step):
            genes = slice(gene, min(gene + step, self.n_genes))
            parts = [
                dataset[genes, int(run[0]) : int(run[-1]) + 1][:, run - run[0]] for run in runs
            ]
            values = as_float32(np.concatenate(parts, axis=1), f"{self.path.name}: {_EXPRESSION}")
            slabs.append(compressed(np.ascontiguousarray(values.T)))
        block = slabs[0] if len(slabs) == 1 else csr_matrix(hstack(slabs, format="csr"))
        block.sort_indices()
        return block
