"""The expression matrices of an h5ad: which there are, whether one is what it is declared to be.

Sparse by observations or by genes, or dense; in `X`, `raw` or a layer. Reading rows is in
`rows` and `transposed`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from genept.common import SourceError
from genept.datasources.readers.hdf5.file import (
    as_dataset,
    as_group,
    at_path,
    child,
    file_name,
    is_group,
    open_hdf5,
)
from genept.datasources.readers.hdf5.rows import DenseRows, SparseRows, dense_step
from genept.datasources.readers.hdf5.sparse import refuse_offsets, sparse_parts
from genept.datasources.readers.hdf5.transposed import turned_over
from genept.datasources.readers.parsed import ExpressionRows

if TYPE_CHECKING:
    import h5py

Layout = Literal["csr", "csc", "dense"]
_SPARSE: Final[dict[str, Layout]] = {
    "csr_matrix": "csr",
    "csc_matrix": "csc",
    "csr": "csr",
    "csc": "csc",
}


@dataclass(frozen=True)
class Matrix:
    """One expression matrix of a file.

    Parameters
    ----------
    name
        As the option `matrix` names it.
    path, var
        Where the file keeps it and the table of its columns.
    declared
        Its declared shape, of a sparse matrix that declares one.
    others
        The file's other matrices.
    """

    name: str
    path: str
    var: str
    layout: Layout
    declared: tuple[int, int] | None
    others: tuple[str, ...]

    def refuse_fractions(self, path: Path, expression: ExpressionRows) -> None:
        """Look at the first rows and refuse them, with what to do, if they are no counts.

        Raises
        ------
        SourceError
            A value is negative or broken.
        """
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
        values = child(item, "data") if is_group(item) and "data" in item else item
        kind = "" if is_group(values) else f", {as_dataset(values).dtype}"
        layouts[name] = f"{_declared_layout(item) or 'unknown'}{kind}"
    return layouts


def find_matrix(file: h5py.File, name: str) -> Matrix:
    """The matrix that the option `matrix` names.

    Raises
    ------
    SourceError
        The file has none, or what it has is not what it declares; says what there is.
    """
    locations = {known: (path, var) for known, path, var in _locations(file)}
    if name not in locations:
        raise SourceError(
            f"{file_name(file)}: has no {name}; it holds "
            f"{', '.join(locations) or 'no expression'}: set the option `matrix` "
            "to one of these, or get the file with it"
        )
    path, var = locations[name]
    item = at_path(file, path)
    declared = item.attrs.get("shape", item.attrs.get("h5sparse_shape"))
    return Matrix(
        name=name,
        path=path,
        var=var,
        layout=_layout(item, f"{file_name(file)}: {path}"),
        declared=None if declared is None else _two(declared, f"{file_name(file)}: {path}"),
        others=tuple(other for other in locations if other != name),
    )


def _two(declared: Any, where: str) -> tuple[int, int]:
    sizes = np.asarray(declared).reshape(-1)
    if sizes.size != 2 or sizes.dtype.kind not in "iu":
        raise SourceError(f"{where} declares the shape {sizes[:4].tolist()}, expected two sizes")
    return int(sizes[0]), int(sizes[1])


def expression_rows(
    path: Path, matrix: Matrix, shape: tuple[int, int], keep: NDArray[np.bool_], folder: Path
) -> ExpressionRows:
    """Check the matrix against `shape`, observations × genes, and make its rows readable.

    Only the genes of `keep` become columns. A matrix that is stored by genes is turned over on
    disk, in `folder`, once, here.

    Raises
    ------
    SourceError
        Its shape or offsets are others, or its chunks do not let rows be read in memory.
    """
    with open_hdf5(path) as file:
        item = at_path(file, matrix.path)
        where = f"{path.name}: {matrix.path}"
        if matrix.layout == "dense":
            dataset = as_dataset(item)
            _refuse_shape(where, (dataset.shape[0], dataset.shape[1]), shape)
            dense_step(dataset)
        else:
            _refuse_shape(where, matrix.declared or shape, shape)
            parts = sparse_parts(as_group(item))
            chunk = parts.chunk
            major, minor = shape if matrix.layout == "csr" else shape[::-1]
            refuse_offsets(parts, major, minor, where)
    columns = None if keep.all() else tuple(np.where(keep, np.cumsum(keep) - 1, -1).tolist())
    kept = (shape[0], int(keep.sum()))
    if matrix.layout == "dense":
        return DenseRows(path, matrix.path, kept, columns)
    if matrix.layout == "csr":
        return SparseRows(path, matrix.path, kept, shape[1], columns, chunk=chunk)
    return turned_over(path, matrix.path, shape, columns, folder=folder, chunk=chunk)


def _locations(file: h5py.File) -> list[tuple[str, str, str]]:
    """Name, path and table of columns of each matrix; before 0.7, raw was ``raw.X``."""
    locations = [("X", "X", "var")] if "X" in file else []
    if "raw" in file and is_group(raw := child(file, "raw")) and "X" in raw:
        locations.append(("raw", "raw/X", "raw/var"))
    elif "raw.X" in file:
        locations.append(("raw", "raw.X", "raw.var"))
    if "layers" in file and is_group(layers := child(file, "layers")):
        locations += [(f"layers/{name}", f"layers/{name}", "var") for name in layers]
    return locations


def _layout(item: h5py.Group | h5py.Dataset, where: str) -> Layout:
    layout = _declared_layout(item)
    if layout is None:
        raise SourceError(
            f"{where} is declared as {_encoding(item) or 'nothing'!r}; expected csr_matrix, "
            "csc_matrix or array: write it anew as scipy.sparse.csr_matrix"
        )
    if is_group(item) != (layout != "dense"):
        stored = "a group of arrays" if is_group(item) else "one array"
        raise SourceError(
            f"{where} is declared as {_encoding(item)!r}, but is {stored}; write it anew as "
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
    if encoding in _SPARSE:
        return _SPARSE[encoding]
    # Before 0.7 a dense matrix declared nothing.
    return "dense" if encoding == "array" or (not encoding and not is_group(item)) else None


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
