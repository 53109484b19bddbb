"""Tables of gene vectors as people have them: parquet, npz, csv or tsv; never a pickle.

A table is names and one vector each. What the names mean, and which vectors may stand as a
space, is the business of `genept.text.registered_gene_vectors`.
"""

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.common import SourceError, breakage_refused
from genept.datasources.readers.hdf5 import read_obsm
from genept.datasources.readers.sandbox import Limits, Parent, limited

_PICKLED: Final = {".pkl", ".pickle", ".p", ".pt", ".pth", ".bin", ".joblib", ".rds", ".rda"}
_REMEDY: Final = (
    "reading it could run any program. In the environment that trusts it, write the vectors as "
    "parquet, npz or csv, such as `pandas.DataFrame.from_dict(vectors, orient='index')"
    ".to_csv('vectors.csv')`, and give that file"
)
_SHOWN: Final = 5
_Named = tuple[list[str], NDArray[np.float32]]
_NAMES: Final = ("names", "genes", "gene_names", "symbols", "ids")
_VECTORS: Final = ("vectors", "embeddings", "embedding", "X")


@dataclass(frozen=True)
class VectorTable:
    """Names, and a vector for each.

    Parameters
    ----------
    names
        Names as published; they may repeat.
    vectors
        Names × dimensions, float32, as published.
    """

    names: list[str]
    vectors: NDArray[np.float32]


def read_vector_table(path: Path) -> VectorTable:
    """Read names and vectors from a file; the first column (or array `names`) holds the names.

    Refused are pickles (and what holds one), damaged files, and what is no table of vectors.
    """
    _refuse_pickle(path)
    suffix = "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix
    reader = _READERS.get(suffix.lower())
    if reader is None:
        raise SourceError(
            f"{path.name}: of which format? Known are {', '.join(sorted(_READERS))}; an array in "
            ".npy has no names: save an .npz with `names` and `vectors`"
        )
    try:
        names, vectors = reader(path)
    except (OSError, ValueError, zipfile.BadZipFile, pl.exceptions.PolarsError) as error:
        raise SourceError(f"{path.name}: {str(error).strip().splitlines()[0]}") from error
    if vectors.ndim != 2 or len(names) != len(vectors) or not vectors.size:
        raise SourceError(
            f"{path.name}: {len(names):,} names and vectors of shape {vectors.shape}; expected "
            "one vector for each name"
        )
    return VectorTable(names, vectors)


def limited_vectors(path: Path, key: str | None, limits: Limits) -> VectorTable:
    """Names and vectors of a user's file, read in a process with limits.

    Parameters
    ----------
    path
        Local file in parquet, npz, csv or tsv; with `key`, an h5ad.
    key
        Array of `obsm`, of an h5ad; None: the file is a table.
    limits
        Memory, time and disk that reading may take.

    Returns
    -------
    VectorTable
        As published: not scaled, names not looked up.

    Raises
    ------
    SourceError
        As for `read_vector_table`; or the process that read the file died or went beyond a limit.
    """
    path = path.absolute()
    with limited(_vectors_in_child, path, key, what=path.name, limits=limits) as answer:
        frame = answer.table("vectors")
    names, vectors = frame.get_columns() if frame.width == 2 else (pl.Series(), pl.Series())
    is_vectors = isinstance(vectors.dtype, pl.Array) and vectors.dtype.inner == pl.Float32
    if not is_vectors or names.dtype != pl.String or names.null_count():
        raise SourceError(f"{path.name}: the process that read it left no table of vectors")
    return VectorTable(names.to_list(), np.ascontiguousarray(vectors.to_numpy()))


def _vectors_in_child(parent: Parent, path: Path, key: str | None) -> None:
    with breakage_refused(path.name):
        if key is None:
            table = read_vector_table(path)
        else:
            ids, matrix = read_obsm(path, key)
            table = VectorTable(list(ids), matrix)
    column = pl.Series("vector", table.vectors, pl.Array(pl.Float32, table.vectors.shape[1]))
    parent.write_table("vectors", pl.DataFrame([pl.Series("name", table.names, pl.String), column]))


def unit_vectors(table: VectorTable) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The vectors at unit length, and the lengths they had.

    Parameters
    ----------
    table
        Names and vectors.

    Returns
    -------
    vectors
        Names × dimensions, float32, in the order of `table`.
    lengths
        Euclidean length of each vector before, float64.

    Raises
    ------
    SourceError
        A name occurs twice, or a vector is not finite or all zero.
    """
    names = pl.Series("name", table.names, pl.String)
    lengths = np.linalg.norm(table.vectors, axis=1).astype(np.float64)
    faults = {
        "occur more than once": names.is_duplicated().to_numpy(),
        "have a vector that is not finite": ~np.isfinite(table.vectors).all(axis=1),
        "have a vector that is all zero": ~table.vectors.any(axis=1),
    }
    for fault, rows in faults.items():
        if rows.any():
            shown = ", ".join(map(repr, names.filter(pl.Series(rows)).unique()[:_SHOWN]))
            raise SourceError(
                f"{int(rows.sum()):,} of {len(names):,} names {fault}, such as {shown}: each name "
                "has one usable vector; correct the file"
            )
    return (table.vectors / lengths[:, None]).astype(np.float32), lengths


def _refuse_pickle(path: Path) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(2)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error
    if path.suffix.lower() in _PICKLED or start[:1] == b"\x80":
        raise SourceError(f"{path.name}: is a pickle (or the like) and is not opened: {_REMEDY}")


def _npz(path: Path) -> _Named:
    if not zipfile.is_zipfile(path):
        raise SourceError(f"{path.name}: is cut short or no .npz")
    with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        arrays = {}
        for name in file.files:
            try:
                arrays[name] = file[name]
            except ValueError as error:  # NumPy's own refusal of object arrays
                raise SourceError(
                    f"{path.name}: its array {name!r} is of dtype object, which is a pickle: "
                    f"{_REMEDY}"
                ) from error
    names, vectors = (_one_of(arrays, known, path) for known in (_NAMES, _VECTORS))
    if names.dtype.kind != "U":
        raise SourceError(f"{path.name}: the names are {names.dtype}, expected text (dtype U)")
    return names.tolist(), _numbers(vectors, path)


def _one_of(arrays: Mapping[str, Any], known: tuple[str, ...], path: Path) -> Any:
    matching = [name for name in known if name in arrays]
    if len(matching) != 1:
        raise SourceError(
            f"{path.name}: expected one array called {' or '.join(known)}; it has {sorted(arrays)}"
        )
    return arrays[matching[0]]


def _delimited(path: Path, *, separator: str) -> _Named:
    rows = pl.read_csv(path, separator=separator, infer_schema=False)
    if rows.width < 2:
        raise SourceError(
            f"{path.name}: has one column; is it separated by something other than {separator!r}?"
        )
    name, *columns = rows.columns
    numbers = rows.with_columns(pl.col(columns).cast(pl.Float64, strict=False))
    for column in columns:
        if numbers[column].null_count():
            row = int(numbers[column].is_null().arg_true()[0])
            raise SourceError(
                f"{path.name}: column {column!r} of {rows[name][row]} is {rows[column][row]}, "
                "expected a number"
            )
    return _framed(numbers, path)


def _framed(rows: pl.DataFrame, path: Path) -> _Named:
    """Names from the first column of text; vectors from one list column, or all numeric ones."""
    texts = [name for name, type_ in rows.schema.items() if type_ == pl.String]
    lists = [name for name, type_ in rows.schema.items() if type_.is_nested()]
    numbers = [name for name, type_ in rows.schema.items() if type_.is_numeric()]
    if not texts or len(lists) > 1 or (not lists and not numbers):
        raise SourceError(
            f"{path.name}: expected a column of names and a list column, or one column per "
            f"dimension; it has {dict(list(rows.schema.items())[:6])}"
        )
    names = rows[texts[0]]
    if names.null_count():
        row = int(names.is_null().arg_true()[0]) + 1
        raise SourceError(f"{path.name}: row {row} has no name")
    if not lists:
        return names.to_list(), _numbers(rows.select(numbers).to_numpy(), path)
    lengths = rows[lists[0]].cast(pl.List(pl.Float64)).list.len()
    if lengths.n_unique() != 1:
        sizes = sorted(map(int, lengths.unique()))[:2]
        raise SourceError(f"{path.name}: vectors of {sizes[0]} and {sizes[1]} dimensions")
    matrix = rows[lists[0]].cast(pl.List(pl.Float64)).explode().to_numpy()
    return names.to_list(), _numbers(matrix.reshape(rows.height, -1), path)


def _numbers(vectors: NDArray[Any], path: Path) -> NDArray[np.float32]:
    if vectors.dtype.kind not in "fiu":
        raise SourceError(f"{path.name}: the vectors are {vectors.dtype}, expected numbers")
    with np.errstate(over="ignore"):  # what overflows is infinite, and refused by name
        return np.ascontiguousarray(vectors, dtype=np.float32)


_COMMAS, _TABS = partial(_delimited, separator=","), partial(_delimited, separator="\t")
_READERS: Final[Mapping[str, Callable[[Path], _Named]]] = {
    ".npz": _npz,
    ".parquet": lambda path: _framed(pl.read_parquet(path), path),
    **dict.fromkeys((".csv", ".csv.gz"), _COMMAS),
    **dict.fromkeys((".tsv", ".tsv.gz", ".txt"), _TABS),
}
