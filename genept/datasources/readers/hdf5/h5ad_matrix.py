"""The expression matrices of an h5ad: which there are, whether one is what it is declared to be.

Sparse by observations or by genes, or dense; in `X`, `raw` or a layer. Reading rows is in `rows`;
matrices that are stored by genes (CSC) are turned over here, on disk.
"""

import os
import shutil
import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from genept.common import SourceError
from genept.datasources.readers.assembly import selected_genes
from genept.datasources.readers.hdf5.file import (
    as_dataset,
    as_group,
    at_path,
    child,
    file_name,
    open_hdf5,
)
from genept.datasources.readers.hdf5.rows import (
    BLOCK_VALUES,
    DenseRows,
    SparseParts,
    SparseRows,
    as_float32,
    dense_step,
    refuse_disorder,
    refuse_out_of_range,
    sparse_parts,
)
from genept.datasources.readers.parsed import ExpressionRows
from genept.datasources.readers.spool import RECORD, Buckets, Spool, write_panel

Layout = Literal["csr", "csc", "dense"]
_LAYOUTS: Final[dict[str, Layout]] = {
    **dict.fromkeys(("csr_matrix", "csr"), "csr"),
    **dict.fromkeys(("csc_matrix", "csc"), "csc"),
    "array": "dense",
}


@dataclass(frozen=True)
class StoredMatrix:
    """One expression matrix of a file, named as the option `matrix` names it.

    `path` and `var` say where the file keeps it and the table of its columns; `declared` is the
    shape of a sparse matrix that declares one; `others` are the file's other matrices.
    """

    name: str
    path: str
    var: str
    layout: Layout
    declared: tuple[int, int] | None
    others: tuple[str, ...]

    def refuse_fractions(self, path: Path, expression: ExpressionRows) -> None:
        """Look at the first rows and refuse them, with what to do, if they are no counts."""
        for block in expression.blocks(0, 64):
            odd = block.data[(block.data < 0) | (block.data != np.floor(block.data))]
            if odd.size and np.isfinite(odd[0]):
                remedy = (
                    f'the file also holds {", ".join(self.others)}: set `matrix = "…"` to the '
                    "one with counts"
                    if self.others
                    else "there is no raw and no layer: ask for the counts, or state the unit "
                    "that these values have"
                )
                raise SourceError(
                    f"{path.name}: {self.name} holds {odd[0]:g}, which is no count, and the "
                    f"collection's unit is counts; {remedy}"
                )


def matrices(file: h5py.File) -> dict[str, str]:
    """Every matrix by the name that the option `matrix` takes, with how it is stored."""
    layouts = {}
    for name, path, _ in _locations(file):
        item = at_path(file, path)
        values = child(item, "data") if isinstance(item, h5py.Group) and "data" in item else item
        kind = "" if isinstance(values, h5py.Group) else f", {as_dataset(values).dtype}"
        layouts[name] = f"{_declared_layout(item) or 'unknown'}{kind}"
    return layouts


def find_matrix(file: h5py.File, name: str) -> StoredMatrix:
    """The matrix that the option `matrix` names, if it is what it is declared to be."""
    locations = {known: (path, var) for known, path, var in _locations(file)}
    if name not in locations:
        raise SourceError(
            f"{file_name(file)}: has no {name}; it holds "
            f"{', '.join(locations) or 'no expression'}: set the option `matrix` "
            "to one of these, or get the file with it"
        )
    path, var = locations[name]
    item, where = at_path(file, path), f"{file_name(file)}: {path}"
    declared = item.attrs.get("shape", item.attrs.get("h5sparse_shape"))
    return StoredMatrix(
        name=name,
        path=path,
        var=var,
        layout=_layout(item, where),
        declared=None if declared is None else _two(declared, where),
        others=tuple(other for other in locations if other != name),
    )


def _two(declared: Any, where: str) -> tuple[int, int]:
    sizes = np.asarray(declared).reshape(-1)
    if sizes.size != 2 or sizes.dtype.kind not in "iu":
        raise SourceError(f"{where} declares the shape {sizes[:4].tolist()}, expected two sizes")
    return int(sizes[0]), int(sizes[1])


def expression_rows(
    path: Path, matrix: StoredMatrix, shape: tuple[int, int], keep: NDArray[np.bool_], folder: Path
) -> ExpressionRows:
    """Check the matrix against `shape`, observations × genes, and make its rows readable.

    Only the genes of `keep` become columns. A matrix that is stored by genes is turned over on
    disk, in `folder`, once, here.
    """
    where = f"{path.name}: {matrix.path}"
    with open_hdf5(path) as file:
        item = at_path(file, matrix.path)
        declared = item.shape if matrix.layout == "dense" else matrix.declared or shape
        _refuse_shape(where, declared, shape)
        if matrix.layout == "dense":
            dense_step(as_dataset(item))
            return selected_genes(DenseRows(path, matrix.path, shape), np.flatnonzero(keep))
        parts = sparse_parts(as_group(item))
        parts.refuse_offsets(*(shape if matrix.layout == "csr" else shape[::-1]))
        chunk = parts.chunk
    rows: ExpressionRows = (
        SparseRows(path, matrix.path, shape, chunk=chunk)
        if matrix.layout == "csr"
        else rows_of_columns(path, matrix.path, shape, folder=folder, chunk=chunk)
    )
    return selected_genes(rows, np.flatnonzero(keep))


def _locations(file: h5py.File) -> list[tuple[str, str, str]]:
    """Name, path and table of columns of each matrix; before 0.7, raw was ``raw.X``."""
    locations = [("X", "X", "var")] if "X" in file else []
    if "raw" in file and isinstance(raw := child(file, "raw"), h5py.Group) and "X" in raw:
        locations.append(("raw", "raw/X", "raw/var"))
    elif "raw.X" in file:
        locations.append(("raw", "raw.X", "raw.var"))
    if "layers" in file and isinstance(layers := child(file, "layers"), h5py.Group):
        locations += [(f"layers/{name}", f"layers/{name}", "var") for name in layers]
    return locations


def _layout(item: h5py.Group | h5py.Dataset, where: str) -> Layout:
    layout, is_group = _declared_layout(item), isinstance(item, h5py.Group)
    if layout is None:
        raise SourceError(
            f"{where} is declared as {_encoding(item) or 'nothing'!r}; expected csr_matrix, "
            "csc_matrix or array: write it anew as scipy.sparse.csr_matrix"
        )
    if is_group != (layout != "dense"):
        raise SourceError(
            f"{where} is declared as {_encoding(item)!r}, but is "
            f"{'a group of arrays' if is_group else 'one array'}; write it anew as "
            "scipy.sparse.csr_matrix"
        )
    if layout == "dense":
        dataset = as_dataset(item)
        if dataset.ndim != 2 or dataset.dtype.kind not in "biuf":
            raise SourceError(
                f"{where} is {dataset.dtype} of shape {dataset.shape}; expected numbers, "
                "observations × genes"
            )
    return layout


def _declared_layout(item: h5py.Group | h5py.Dataset) -> Layout | None:
    encoding = _encoding(item)
    if not encoding and isinstance(item, h5py.Dataset):  # before 0.7
        return "dense"
    return _LAYOUTS.get(encoding)


def _encoding(item: h5py.Group | h5py.Dataset) -> str:
    given = item.attrs.get("encoding-type", item.attrs.get("h5sparse_format", ""))
    return given.decode() if isinstance(given, bytes) else str(given)


def _refuse_shape(where: str, shape: tuple[int, int], expected: tuple[int, int]) -> None:
    if shape == expected:
        return
    hint = ""
    if shape == expected[::-1]:
        hint = ": it is transposed; write `adata.T`, or the matrix's, to a new file"
    raise SourceError(
        f"{where} is {shape[0]} × {shape[1]}, but there are {expected[0]} observations and "
        f"{expected[1]} genes{hint}"
    )


def rows_of_columns(
    path: Path, group: str, shape: tuple[int, int], *, folder: Path, chunk: int = 0
) -> Spool:
    """Turn over a CSC matrix of `shape`, observations × genes, into rows in a scratch folder.

    The scratch folder is made in `folder`, and removed with the returned object. anndata's
    `sparse_dataset` reads all values for each range of rows: a thousand rows of 12 million values
    take 0.6 s, when to turn over and read all 20,000 of them takes 3 s.
    """
    with open_hdf5(path, chunk=chunk) as file:
        parts = sparse_parts(as_group(at_path(file, group)))
        needed, free = parts.data.size * RECORD.itemsize, shutil.disk_usage(folder).free
        if needed > free:
            raise SourceError(
                f"{path.name} is stored by genes (CSC); turning it over takes {needed:,} bytes in "
                f"{folder}, and {free:,} are free. Free disk space, or write it anew as csr_matrix"
            )
        try:
            own = Path(tempfile.mkdtemp(prefix=".rows-", dir=folder))
            rows = Spool(own, shape, (shape[1],))
            weakref.finalize(rows, _remove, own, os.getpid())
            buckets = Buckets(own, shape, parts.data.size)
            _deal(parts, shape[0], buckets)
            write_panel(own, 0, buckets.blocks(parts.where))
        except OSError as error:
            raise SourceError(
                f"{path.name} is stored by genes (CSC) and cannot be turned over in {folder}: "
                f"{error}. Free disk space, or write it anew as csr_matrix"
            ) from error
    return rows


def _deal(parts: SparseParts, n_rows: int, buckets: Buckets) -> None:
    ends = parts.indptr[...].astype(np.int64)
    for low in range(0, parts.data.size, BLOCK_VALUES):
        # The value before is looked at again: a column may go over two windows.
        high, before = min(low + BLOCK_VALUES, parts.data.size), max(low - 1, 0)
        indices = parts.indices[before:high]
        refuse_out_of_range(indices, n_rows, parts.where)
        refuse_disorder(indices, ends - before, 0, parts.where)
        columns = np.searchsorted(ends, np.arange(low, high), side="right") - 1
        values = as_float32(parts.data[low:high], parts.where)
        buckets.add_distinct(indices[low - before :].astype(np.int64), columns, values)


def _remove(folder: Path, owner: int) -> None:
    # A forked process inherits the finalizer, but the folder is its parent's.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
