"""Expression on local disk as pieces of CSR: written as it is parsed, read by observation ranges.

Sparse triplets in any order are sorted into rows on disk.
"""

import errno
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack

from genept.common import SourceError
from genept.datasources.catalogue import Collection
from genept.datasources.download import Archives
from genept.datasources.readers.parsed import BLOCK_ROWS

BLOCK_VALUES: Final = 1 << 22
"""Stored values a block, at most: 32 MiB of indices and values."""

PANEL_BYTES: Final = 1 << 25
"""Size of a panel of genes while it is turned, as float32."""

_BEHAVIOUR: Final = 4
"""Raised when what is kept on disk changes, so that nothing older is read."""

_TYPES: Final = {"indptr": np.int64, "indices": np.int32, "data": np.float32}

_MEANS: Final = "gene_means.npy"


@dataclass(frozen=True)
class Spool:
    """Expression rows that were written to `folder`.

    Parameters
    ----------
    folder
        Where `write_panel` and `write_gene_means` put them.
    shape
        Observations × input genes.
    widths
        Genes of each panel, in order.
    imputed
        Missing values (NaN) are read as the gene's mean, which `write_gene_means` kept.
    """

    folder: Path
    shape: tuple[int, int]
    widths: tuple[int, ...]
    imputed: bool = False

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[csr_matrix]:
        """Rows `start` to `stop`, at most `BLOCK_ROWS` and about `BLOCK_VALUES` at a time."""
        stop = self.shape[0] if stop is None else min(stop, self.shape[0])
        means = np.load(self.folder / _MEANS) if self.imputed else None
        while start < stop:
            ends = np.cumsum(self.stored(start, min(start + BLOCK_ROWS, stop)))
            rows = max(1, int(np.searchsorted(ends, BLOCK_VALUES, side="right")))
            block = self._rows(start, start + rows)
            if means is not None:
                missing = np.isnan(block.data)
                block.data[missing] = means[block.indices[missing]]
                block.eliminate_zeros()
            yield block
            start += rows

    def stored(self, start: int = 0, stop: int | None = None) -> NDArray[np.int64]:
        """Values of the observations `start` to `stop` that are not zero (or are missing)."""
        stop = self.shape[0] if stop is None else stop
        total = np.zeros(stop - start, np.int64)
        for panel in range(len(self.widths)):
            total += np.diff(self._read(panel, "indptr", start, stop + 1))
        return total

    def _rows(self, start: int, stop: int) -> csr_matrix:
        parts = []
        for panel, width in enumerate(self.widths):
            indptr = self._read(panel, "indptr", start, stop + 1)
            first, last = int(indptr[0]), int(indptr[-1])
            data, indices = (self._read(panel, name, first, last) for name in ("data", "indices"))
            arrays = (data, indices, (indptr - first).astype(np.int32))
            parts.append(csr_matrix(arrays, shape=(stop - start, width)))
        whole = parts[0] if len(parts) == 1 else csr_matrix(hstack(parts, format="csr"))
        whole.has_sorted_indices = True
        return whole

    def _read(self, panel: int, name: str, start: int, stop: int) -> NDArray[Any]:
        path, dtype = _file(self.folder, panel, name), np.dtype(_TYPES[name])
        values = np.fromfile(path, dtype, count=stop - start, offset=start * dtype.itemsize)
        if len(values) != stop - start:
            raise SourceError(f"{path} was cut short: remove its folder and run again")
        return values


def write_panel(folder: Path, panel: int, blocks: Iterable[csr_matrix]) -> None:
    """Write `blocks` of observations: float32, of sorted and distinct indices, all of one width."""
    stored = 0
    with ExitStack() as stack:
        files = {
            name: stack.enter_context(_file(folder, panel, name).open("wb")) for name in _TYPES
        }
        np.zeros(1, np.int64).tofile(files["indptr"])
        for block in blocks:
            (block.indptr[1:].astype(np.int64) + stored).tofile(files["indptr"])
            for name in ("indices", "data"):
                getattr(block, name).astype(_TYPES[name], copy=False).tofile(files[name])
            stored += int(block.nnz)


def write_turned(folder: Path, parts: Iterable[NDArray[np.float32]]) -> tuple[int, ...]:
    """Turn over rows of genes, as many as fit at once, into panels; return their widths."""
    widths: list[int] = []
    waiting: list[NDArray[np.float32]] = []

    def flush() -> None:
        panel = np.concatenate(waiting)
        waiting.clear()
        write_panel(folder, len(widths), [csr_matrix(panel.T)])
        widths.append(len(panel))

    for part in parts:
        waiting.append(part)
        if sum(each.nbytes for each in waiting) >= PANEL_BYTES:
            flush()
    if waiting:
        flush()
    return tuple(widths)


def write_gene_means(folder: Path, means: NDArray[np.float32]) -> None:
    """Keep what a missing value of each gene is read as."""
    np.save(folder / _MEANS, means)


def spool_folder(archives: Archives, collection: Collection) -> Path:
    """Where a parsed matrix is kept until its collection is ingested; a killed ingest finds it."""
    return archives.folder / "spools" / collection.id


def discard_spool(archives: Archives, collection: Collection) -> None:
    """Remove whatever was kept of one collection; it is parsed anew when it is needed again.

    Parameters
    ----------
    archives, collection
        The folder lies beside the sources, and has the collection's id as its name.
    """
    shutil.rmtree(spool_folder(archives, collection), ignore_errors=True)


def spooled(archives: Archives, collection: Collection, make: Callable[[Path], None]) -> Path:
    """The folder that `make` has filled once for these sources, format, options and unit."""
    settings = json.dumps([_BEHAVIOUR, collection.format, collection.unit, collection.options])
    key = hashlib.sha256(settings.encode())
    for source_id in collection.sources:
        path = archives.fetch(source_id)
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                key.update(file.name.encode())
                with file.open("rb") as stream:
                    key.update(hashlib.file_digest(stream, "sha256").digest())
    return made_once(spool_folder(archives, collection), key.hexdigest(), make)


def made_once(parent: Path, key: str, make: Callable[[Path], None]) -> Path:
    """Return the folder `key`, after `make` has filled it; whole or not at all."""
    folder = parent / key
    if folder.is_dir():
        return folder
    parent.mkdir(parents=True, exist_ok=True)
    # Below the same parent, so that the finished folder can be renamed into place.
    temporary = Path(tempfile.mkdtemp(prefix=".spool-", dir=parent))
    try:
        make(temporary)
        try:
            temporary.rename(folder)
        except OSError:
            # Another process may have made the same meanwhile.
            if not folder.is_dir():
                raise
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise SourceError(
                f"no space left in {parent} for parsed expression: free some"
            ) from error
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _file(folder: Path, panel: int, name: str) -> Path:
    return folder / f"{panel:05d}.{name}"


BUCKET_VALUES: Final = 1 << 21
"""Triplets a bucket is meant to hold: about 100 MiB while it is sorted."""

RECORD: Final = np.dtype([("row", "<i4"), ("column", "<i4"), ("value", "<f4")])
"""One triplet in the file of a bucket."""


class Buckets:
    """Triplets on their way into rows, about `expected` of them; `shape` is observations × genes.

    The buckets are files in `folder`, which are removed as they are read.
    """

    def __init__(self, folder: Path, shape: tuple[int, int], expected: int) -> None:
        self._folder, self._shape = folder, shape
        self._rows = max(1, shape[0] * BUCKET_VALUES // max(expected, 1))
        self._stored = np.zeros(shape[0], np.int64)

    def add(
        self, rows: NDArray[np.int64], columns: NDArray[np.int64], values: NDArray[np.float32]
    ) -> None:
        """Add triplets; indices are from 0 and within the shape.

        Raises
        ------
        SourceError
            An observation has more values than there are genes, or two values of one gene among
            these triplets. Two that are added apart are found by `blocks`.
        """
        keys = np.sort(rows * self._shape[1] + columns)
        if (twice := keys[1:] == keys[:-1]).any():
            raise SourceError(self._two_values(keys[int(np.argmax(twice))]))
        first_row = int(rows.min()) if rows.size else 0
        added = np.bincount(rows - first_row)
        stored = self._stored[first_row : first_row + added.size]
        stored += added
        if (stored > self._shape[1]).any():
            at = first_row + int(np.argmax(stored > self._shape[1]))
            raise SourceError(
                f"observation {at + 1} has two values of genes: there are {self._shape[1]:,} genes "
                "and more values; expected one of each"
            )
        self.add_distinct(rows, columns, values)

    def add_distinct(
        self, rows: NDArray[np.int64], columns: NDArray[np.int64], values: NDArray[np.float32]
    ) -> None:
        """Add triplets that are known to have one value for each gene of an observation."""
        records = np.empty(len(rows), RECORD)
        records["row"], records["column"], records["value"] = rows, columns, values
        bucket = rows // self._rows
        order = np.argsort(bucket, kind="stable")
        present, first = np.unique(bucket[order], return_index=True)
        for number, part in zip(present, np.split(records[order], first[1:]), strict=True):
            with self._file(int(number)).open("ab") as file:
                part.tofile(file)

    def blocks(self, what: str) -> Iterator[csr_matrix]:
        """All rows in order, a bucket at a time, with sorted indices.

        Raises
        ------
        SourceError
            An observation has two values of one gene.
        """
        for first in range(0, self._shape[0], self._rows):
            shape = (min(self._rows, self._shape[0] - first), self._shape[1])
            path = self._file(first // self._rows)
            records = np.fromfile(path, RECORD) if path.exists() else np.empty(0, RECORD)
            path.unlink(missing_ok=True)
            triplets = (records["value"], (records["row"] - first, records["column"]))
            block = csr_matrix(triplets, shape=shape, dtype=np.float32)
            if block.nnz < len(records):  # scipy adds up values of one place
                keys = records["row"].astype(np.int64) * self._shape[1] + records["column"]
                keys.sort()
                twice = keys[int(np.argmax(keys[1:] == keys[:-1]))]
                raise SourceError(f"{what}: {self._two_values(twice)}")
            block.eliminate_zeros()
            yield block

    def _two_values(self, key: np.int64) -> str:
        row, column = divmod(int(key), self._shape[1])
        return f"observation {row + 1} has two values of gene {column + 1}; expected one"

    def _file(self, number: int) -> Path:
        return self._folder / f"bucket-{number:06d}"
