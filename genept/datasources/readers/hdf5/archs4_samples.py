"""What ARCHS4 says of its samples: one dataset a field, of which windows or single rows are read.

Of a file that is elsewhere, only the fields that are asked for are fetched, and of those that
describe chosen samples only their rows. What becomes of the samples is `archs4`'s.
"""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final

import h5py
import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.common import SourceError
from genept.datasources.formats import Archs4Options
from genept.datasources.readers.hdf5.file import as_dataset, as_group, at_path, file_name
from genept.datasources.readers.hdf5.frames import as_text
from genept.datasources.readers.hdf5.ranged import RangedStream, fetch_reads

SAMPLE_ID: Final = "geo_accession"
SERIES: Final = "series_id"
ATTRIBUTES: Final = "characteristics_ch1"
_SEPARATORS: Final = re.compile(r"[\s,;|]+")
WINDOW: Final = 65_536
_RUN: Final = 32


class SampleFields:
    """The fields of an open file's samples.

    Parameters
    ----------
    file
        Open file of ARCHS4.
    stream
        What it is read through, if it is elsewhere.
    """

    def __init__(self, file: h5py.File, stream: RangedStream | None = None) -> None:
        self._group, self._stream = as_group(at_path(file, "meta/samples")), stream
        self.what = file_name(file)
        self.n = as_dataset(at_path(self._group, SAMPLE_ID)).size

    @property
    def names(self) -> list[str]:
        """Fields that are one text, or whole number, a sample."""
        return [
            name
            for name, item in self._group.items()
            if isinstance(item, h5py.Dataset) and item.shape == (self.n,) and item.dtype.kind != "f"
        ]

    @property
    def all_names(self) -> list[str]:
        """Names of all fields."""
        return list(self._group)

    def windows(self, field: str) -> Iterator[tuple[int, pl.Series]]:
        """A field of all samples piece by piece, as text: whole fields can be long."""
        dataset = as_dataset(at_path(self._group, field))
        where = f"{self.what}: meta/samples/{field}"
        if dataset.shape != (self.n,):
            raise SourceError(f"{where} has the shape {dataset.shape} for {self.n} samples")
        for first in range(0, self.n, WINDOW):
            yield first, as_text(dataset[first : first + WINDOW], where).fill_null("")

    def texts(self, field: str, chosen: NDArray[np.int64]) -> list[str]:
        """A field of chosen samples, as text."""
        values = self.values(field, chosen)
        return as_text(values, f"meta/samples/{field}").fill_null("").to_list()

    def values(self, field: str, chosen: NDArray[np.int64]) -> NDArray[Any]:
        """A field of chosen samples, whose positions ascend."""
        dataset = as_dataset(at_path(self._group, field))
        if self._stream is not None:
            reads = _reads(dataset, chosen)
            fetch_reads(self._stream, reads)
            return np.concatenate([read() for read in reads])
        parts = []
        for first in range(0, dataset.shape[0], WINDOW):
            low, high = np.searchsorted(chosen, [first, first + WINDOW])
            if low < high:
                parts.append(dataset[first : first + WINDOW][chosen[low:high] - first])
        return np.concatenate(parts)


def _reads(dataset: h5py.Dataset, chosen: NDArray[np.int64]) -> list[partial[Any]]:
    """A read of each run of neighbours, of `_RUN` at most: a long one would take many rounds."""
    ends = (np.diff(chosen) > 1) | (np.arange(1, chosen.size) % _RUN == 0)
    runs = np.split(chosen, np.flatnonzero(ends) + 1)
    return [partial(dataset.__getitem__, slice(int(run[0]), int(run[-1]) + 1)) for run in runs]


def choose_samples(samples: SampleFields, options: Archs4Options) -> NDArray[np.int64]:
    """Choose the samples that are named, are of a named series, or match all texts.

    Parameters
    ----------
    samples
        All samples.
    options
        What is chosen.

    Returns
    -------
    NDArray[np.int64]
        Ascending positions; none if no sample matches.

    Raises
    ------
    SourceError
        A named series or sample is not in the file.
    """
    chosen = np.zeros(samples.n, dtype=bool)
    for field, wanted in ((SERIES, options.series), (SAMPLE_ID, options.samples)):
        matched: set[str] = set()
        for first, values in samples.windows(field) if wanted else ():
            for row, value in enumerate(values):
                if hit := set(series_of(value)) & set(wanted):
                    matched |= hit
                    chosen[first + row] = True
        if lost := sorted(set(wanted) - matched):
            raise SourceError(
                f"{samples.what}: has no {', '.join(lost[:5])} ({len(lost)} of {len(wanted)} "
                f"in {field}); is it of this release of ARCHS4?"
            )
    if options.contains:
        matching = np.ones(samples.n, dtype=bool)
        for field, text in options.contains.items():
            for first, values in samples.windows(field):
                hits = values.str.to_lowercase().str.contains(text.lower(), literal=True)
                matching[first : first + hits.len()] &= hits.to_numpy()
        chosen |= matching
    return np.flatnonzero(chosen).astype(np.int64)


def series_of(text: str) -> list[str]:
    """The series that a sample is in."""
    return [name for name in _SEPARATORS.split(text) if name]


def connected(series: Sequence[str]) -> list[str]:
    """One name for all samples whose lists of series overlap: the first series of theirs all.

    A sample may be in a series and in a super-series; no split may part it from either's.
    """
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = name = parent[parent[name]]
        return name

    lists = [series_of(text) for text in series]
    for members in lists:
        for other in members[1:]:
            low, high = sorted((root(members[0]), root(other)))
            parent[high] = low
    return [root(members[0]) if members else "" for members in lists]
