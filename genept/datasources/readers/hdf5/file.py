"""HDF5 files opened so that nothing outside them is read, and declared sizes are checked first.

An HDF5 file may name any other file on the disk (links, external and virtual storage), ask
for foreign filters, and declare shapes that it does not hold. What the datasets mean belongs
to `h5ad`, `tenx` and `archs4`; how rows are streamed out of them to `rows`.
"""

import importlib
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray

from genept.common import SourceError, get_again, listed
from genept.datasources.download import RangedCopy
from genept.datasources.readers.hdf5.ranged import RangedStream

MEBIBYTE: Final = 1 << 20
MAX_OBJECTS: Final = 100_000
"""Groups and datasets; the largest published files hold some hundreds."""
MAX_RATIO: Final = 1_100
"""No chunk of deflate unpacks to more than 1,032 times its size. An honest array of zeros, or of
one label, comes near that; texts and archives do not, and have less (`download.members`)."""
MAX_CHUNK: Final = 256 * MEBIBYTE
MAX_WHOLE: Final = 2_048 * MEBIBYTE
"""What is ever read in one piece: names, labels, offsets; matrices are read by ranges."""
_REFERENCES: Final = 256 * MEBIBYTE
"""What the references that are read at once may turn out to be, in a small file."""
_CHUNK_CACHE: Final = 8 * MEBIBYTE
_OWN_FILTERS: Final = frozenset({1, 2, 3, 4, 5, 6, 32000})
"""deflate, shuffle, fletcher32, szip, nbit, scale-offset: of HDF5; LZF: of h5py."""
_PACKERS: Final = frozenset({1, 4, 32000})
"""Those of them that compress, beside the plug-ins: an honest file is compressed once."""
_PLUGIN_FILTERS: Final = {
    307: "bzip2",
    32001: "Blosc",
    32004: "LZ4",
    32008: "Bitshuffle",
    32015: "Zstandard",
    32026: "Blosc2",
}


@contextmanager
def open_hdf5(path: Path | RangedCopy | RangedStream, *, chunk: int = 0) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading; damage that shows later is a `SourceError` too.

    Parameters
    ----------
    path
        Local file; or one of which ranges are here, and of which a stream may fetch others.
    chunk
        Bytes of the largest chunk that several reads share, so that it is unpacked once.

    Yields
    ------
    h5py.File
        Open as long as the context lasts.

    Raises
    ------
    SourceError
        The file is not HDF5, is cut short or damaged, or lacks what is asked of it.
    """
    opened = RangedStream(path) if isinstance(path, RangedCopy) else path
    if isinstance(opened, Path):
        _refuse_no_hdf5(opened)
    try:
        cache = max(_CHUNK_CACHE, chunk)
        with h5py.File(opened, "r", locking="best-effort", rdcc_nbytes=cache) as file:
            yield file
    except UnicodeDecodeError as error:
        raise SourceError(f"{opened.name}: holds text that is not UTF-8: {error}") from error
    except (OSError, KeyError, RuntimeError, ValueError, SystemError) as error:
        # What kept bytes from coming is not always what HDF5 reports.
        failure = getattr(opened, "failure", None) or error
        if isinstance(failure, SourceError):
            raise failure from None
        raise SourceError(
            f"{opened.name}: is damaged or cut short: {failure}; "
            f"{get_again('fetch it again, and if it comes back so, ask its publisher')}"
        ) from failure


def _refuse_no_hdf5(path: Path) -> None:
    if not path.is_file() or path.stat().st_size == 0:
        raise SourceError(f"{path.name}: is missing or empty; {get_again()}")
    if not h5py.is_hdf5(path):
        with path.open("rb") as file:
            start = file.read(16)
        raise SourceError(f"{path.name}: is not HDF5: it begins with {start!r}; {get_again()}")


def refuse_foreign(file: h5py.File) -> None:
    """Visit every object and refuse the file if any lies, or stores its values, outside of it.

    Parameters
    ----------
    file
        Open file.

    Raises
    ------
    SourceError
        There is a soft or external link, external or virtual storage, or a flood of objects.
    """
    what, seen = file_name(file), 0

    # HDF5 calls this from C, through which nothing may be raised: what is returned ends the visit.
    def visit(name: bytes | str, link: Any) -> SourceError | None:
        nonlocal seen
        seen += 1
        if seen > MAX_OBJECTS:
            return SourceError(f"{what}: holds more than {MAX_OBJECTS:,} objects; this is refused")
        shown = name if isinstance(name, str) else name.decode("utf-8", "replace")
        try:
            _own(file, name, link, shown)
        except SourceError as error:
            return error
        except Exception as error:
            return SourceError(f"{what}: {shown} is damaged: {error}; fetch the file again")
        return None

    if (problem := file.visititems_links(visit)) is not None:
        raise problem


def file_name(item: h5py.File | h5py.Group | h5py.Dataset) -> str:
    """The name of the file that an object is of, as a reader of an error knows it."""
    return Path(item.file.filename).name


def child(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset:
    """A direct member that lies in the file itself, values and all; else a `SourceError`."""
    at = f"{group.name}/{name}".lstrip("/")
    # A name with a slash would be followed as a path, out of the group and through any link.
    is_name = name not in {"", ".", ".."} and "/" not in name
    link = group.get(name, getlink=True) if is_name else None
    if link is None:
        raise SourceError(f"{file_name(group)}: has no {at!r}; found {listed(group)}")
    return _own(group, name, link, at)


def _own(
    group: h5py.Group, name: bytes | str, link: object, shown: str
) -> h5py.Group | h5py.Dataset:
    item = group[name] if isinstance(link, h5py.HardLink) else None
    if item is None or (isinstance(item, h5py.Dataset) and (item.external or item.is_virtual)):
        raise SourceError(
            f"{file_name(group)}: {shown} leads out of the file; this is refused: a file of "
            "somebody else's must not read yours. Write it anew with everything in it"
        )
    return item


def at_path(file: h5py.File, path: str) -> h5py.Group | h5py.Dataset:
    """The object at a path, each step of which lies in the file; else a `SourceError`.

    Parameters
    ----------
    file, path
        Open file, and the names of groups and object, such as ``raw/X``.

    Returns
    -------
    h5py.Group or h5py.Dataset
        Not checked further; see `as_group` and `as_dataset`.
    """
    item: h5py.Group | h5py.Dataset = file
    for step in path.split("/"):
        item = child(as_group(item), step)
    return item


def as_group(item: h5py.Group | h5py.Dataset) -> h5py.Group:
    """`item` itself, which must be a group; else a `SourceError`."""
    if not isinstance(item, h5py.Group):
        raise SourceError(f"{file_name(item)}: {item.name} is not a group")
    return item


def as_dataset(item: h5py.Group | h5py.Dataset, *, counted: bool = True) -> h5py.Dataset:
    """`item` itself, of which nothing is read; it must hold what it declares.

    A `SourceError` refuses a group, a claim of values that are not stored, and foreign filters.
    Without `counted`, what is stored is not added up: for that, the places of all chunks are read.
    """
    where = f"{file_name(item)}: {item.name}"
    if not isinstance(item, h5py.Dataset):
        raise SourceError(f"{where} is not an array")
    if item.shape is None:
        raise SourceError(f"{where} holds nothing")
    _refuse_filters(item, where)
    claimed = item.size * item.dtype.itemsize
    stored = item.id.get_storage_size() if counted else claimed
    if claimed > MEBIBYTE + MAX_RATIO * stored:
        raise SourceError(
            f"{where} claims {claimed:,} bytes {item.shape}, but only {stored:,} are stored; this "
            "is refused as damage or a bomb"
        )
    if (chunk := chunk_bytes(item)) > MAX_CHUNK:
        raise SourceError(
            f"{where} has chunks of {chunk:,} bytes (at most {MAX_CHUNK:,}); write it anew with "
            "smaller chunks"
        )
    return item


def chunk_bytes(dataset: h5py.Dataset) -> int:
    """Bytes of one chunk, unpacked; 0 if the array is stored in one piece."""
    return int(np.prod(dataset.chunks)) * int(dataset.dtype.itemsize) if dataset.chunks else 0


def read_whole(dataset: h5py.Dataset) -> NDArray[Any]:
    """All values of an array of names, codes or offsets."""
    if (claimed := dataset.size * dataset.dtype.itemsize) > MAX_WHOLE:
        raise SourceError(
            f"{file_name(dataset)}: {dataset.name} claims {claimed:,} bytes; at most "
            f"{MAX_WHOLE:,} are read in one piece"
        )
    if dataset.dtype.kind == "O":
        return _read_references(dataset)
    values: NDArray[Any] = dataset[...]
    return values


def _read_references(dataset: h5py.Dataset) -> NDArray[Any]:
    """Values of variable length: together they are no longer than the file, or one is shared.

    HDF5 stores each value beside the array and a reference to it within. Thousands of
    references to one value are thousands of copies once they are read.
    """
    if dataset.ndim == 0:
        return np.asarray(dataset[...])  # one value is never longer than the file
    size = dataset.file.id.get_filesize()
    at_once = min(max(_REFERENCES // max(size, 1), 64), 65_536)
    step = max(1, at_once * dataset.shape[0] // max(dataset.size, 1))
    values, total = np.empty(dataset.shape, dtype=object), 0
    for start in range(0, dataset.shape[0], step):
        part = dataset[start : start + step]
        total += sum(map(len, part.reshape(-1)))
        if total > size + MEBIBYTE:
            raise SourceError(
                f"{file_name(dataset)}: {dataset.name} has values of more than {total:,} bytes in "
                f"a file of {size:,}: refused as a bomb of references"
            )
        values[start : start + step] = part
    return values


def _refuse_filters(dataset: h5py.Dataset, where: str) -> None:
    settings = dataset.id.get_create_plist()
    codes = [settings.get_filter(index)[0] for index in range(settings.get_nfilters())]
    packers = [code for code in codes if code in _PACKERS or code in _PLUGIN_FILTERS]
    if len(packers) > 1 or len(set(codes)) != len(codes):
        raise SourceError(
            f"{where} is compressed {len(codes)} times over (HDF5 filters {codes[:8]}): refused as "
            "a decompression bomb. Write the file anew with compression='gzip'"
        )
    for code in codes:
        if code in _OWN_FILTERS and h5py.h5z.filter_avail(code):
            continue
        name = _PLUGIN_FILTERS.get(code)
        # Importing the package is what makes its filters known to HDF5.
        if name and importlib.util.find_spec("hdf5plugin"):
            importlib.import_module("hdf5plugin")
            if h5py.h5z.filter_avail(code):
                continue
        remedy = "`pip install hdf5plugin`, or write" if name else "write"
        raise SourceError(
            f"{where} is compressed with {name or f'HDF5 filter {code}'}, which cannot be read "
            f"here: {remedy} the file anew with compression='gzip'"
        )
