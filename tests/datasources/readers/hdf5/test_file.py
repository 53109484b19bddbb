"""HDF5 files that lead out of themselves, lie about what they hold, or are damaged."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hdf5_layouts import counts, write_archs4, write_h5ad, write_tenx_v3

from genept.common.errors import SourceError
from genept.datasources.formats import Archs4Options, H5adOptions, TenxH5Options
from genept.datasources.readers.hdf5 import file as hdf5
from genept.datasources.readers.hdf5.archs4 import read_archs4
from genept.datasources.readers.hdf5.file import (
    as_dataset,
    at_path,
    child,
    open_hdf5,
    refuse_foreign,
)
from genept.datasources.readers.hdf5.h5ad import describe_h5ad, read_h5ad, read_obsm
from genept.datasources.readers.hdf5.tenx import read_tenx_h5

COUNTS = counts()

READERS: dict[str, Callable[[Path], object]] = {
    "h5ad": lambda path: read_h5ad(path, H5adOptions(), unit="counts"),
    "describe": describe_h5ad,
    "obsm": lambda path: read_obsm(path, "X_pca"),
    "tenx": lambda path: read_tenx_h5(path, TenxH5Options()),
    "archs4": lambda path: read_archs4(path, Archs4Options(series=("GSE1",))),
}


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.h5"
    with h5py.File(path, "w") as file:
        file["names"] = np.arange(23, dtype="f4")
        file.create_group("X")
    return path


def written(folder: Path, reader: str) -> Path:
    if reader == "tenx":
        return write_tenx_v3(folder / "a.h5", COUNTS)
    if reader == "archs4":
        return write_archs4(folder / "a.h5", COUNTS.toarray().T)
    return write_h5ad(folder / "a.h5", COUNTS, obsm={"X_pca": np.ones((23, 2), np.float32)})


def plant(group: h5py.Group, how: str, secret: str) -> None:
    if how == "external link":
        group["odd"] = h5py.ExternalLink(secret, "/names")
    elif how == "dangling link":
        group["odd"] = h5py.ExternalLink("no-such-file", "/names")
    elif how == "soft link":
        group["odd"] = h5py.SoftLink("/odd/elsewhere")
    elif how == "external storage":
        group.create_dataset("odd", shape=(4,), dtype="f4", external=[(secret, 0, 16)])
    elif how == "virtual":
        layout = h5py.VirtualLayout(shape=(23,), dtype="f4")
        layout[:] = h5py.VirtualSource(secret, "names", shape=(23,))
        group.create_virtual_dataset("odd", layout)


HOW = ("external link", "dangling link", "soft link", "external storage", "virtual")


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("reader", READERS)
def test_a_file_that_leads_out_of_itself_is_refused_wherever_it_does(
    tmp_path, secret, reader, how
) -> None:
    path = written(tmp_path, reader)
    READERS[reader](path)
    with h5py.File(path, "a") as file:
        plant(file.create_group("deep/er"), how, str(secret))
    with pytest.raises(SourceError, match=r"a\.h5: deep/er/odd leads out of the file"):
        READERS[reader](path)


@pytest.mark.parametrize("how", HOW)
def test_what_is_opened_is_checked_again(tmp_path, secret, how) -> None:
    """Rows are read in another process, from a file that may have changed since."""
    parsed = read_h5ad(written(tmp_path, "h5ad"), H5adOptions(), unit="counts")
    with h5py.File(tmp_path / "a.h5", "a") as file:
        del file["X/data"]
        plant(file["X"], how, str(secret))
        file["X"].move("odd", "data")
    with pytest.raises(SourceError, match="X/data leads out of the file"):
        next(parsed.expression.blocks())


@pytest.mark.parametrize("name", ["..", ".", "a/b", "/obs", "", "nix"])
def test_a_name_is_no_path(tmp_path, name) -> None:
    path = written(tmp_path, "h5ad")
    with open_hdf5(path) as file, pytest.raises(SourceError, match=r"a\.h5: has no "):
        child(file["obs"], name)


def test_a_ring_of_groups_ends(tmp_path) -> None:
    path = written(tmp_path, "h5ad")
    with h5py.File(path, "a") as file:
        file["obs/ring"] = file["/"]
    with open_hdf5(path) as file:
        refuse_foreign(file)


def test_a_flood_of_objects_is_refused(tmp_path, monkeypatch) -> None:
    path = written(tmp_path, "h5ad")
    monkeypatch.setattr(hdf5, "MAX_OBJECTS", 10)
    with pytest.raises(SourceError, match="holds more than 10 objects"):
        read_h5ad(path, H5adOptions(), unit="counts")


# --- claims ------------------------------------------------------------------


@pytest.mark.parametrize("part", ["X/data", "X/indptr", "obs/_index", "var/_index"])
def test_a_claim_that_nothing_is_stored_for_is_refused_in_little_memory(tmp_path, part) -> None:
    path = written(tmp_path, "h5ad")
    with h5py.File(path, "a") as file:
        kind = file[part].dtype
        del file[part]
        file.create_dataset(part, shape=(10**12,), dtype=kind, chunks=(10**6,), compression="gzip")
    tracemalloc.start()
    try:
        with pytest.raises(SourceError, match=rf"a\.h5: /{part} claims [\d,]+ bytes .*only 0 are"):
            read_h5ad(path, H5adOptions(), unit="counts")
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_a_dense_claim_is_refused(tmp_path) -> None:
    path = written(tmp_path, "h5ad")
    with h5py.File(path, "a") as file:
        del file["X"]
        made = file.create_dataset("X", shape=(10**7, 10**5), dtype="f4", chunks=(1, 10**5))
        made.attrs["encoding-type"] = "array"
    with pytest.raises(SourceError, match="/X claims 4,000,000,000,000 bytes"):
        read_h5ad(path, H5adOptions(), unit="counts")


def test_chunks_that_fill_memory_are_refused(tmp_path, monkeypatch) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.arange(1000), chunks=(1000,))
    monkeypatch.setattr(hdf5, "MAX_CHUNK", 4000)
    with (
        open_hdf5(path) as file,
        pytest.raises(SourceError, match="chunks of 8,000 bytes .at most 4,000.; write it anew"),
    ):
        as_dataset(at_path(file, "x"))


def test_a_large_chunk_is_kept_while_rows_share_it(tmp_path) -> None:
    path = written(tmp_path, "h5ad")
    n = 3 * hdf5.MEBIBYTE
    with h5py.File(path, "a") as file:
        data = file["X/data"][:]
        del file["X/data"]
        made = file.create_dataset("X/data", (data.size,), "f8", maxshape=(n,), chunks=(n,))
        made[:] = data
    parsed = read_h5ad(path, H5adOptions(), unit="counts")
    with open_hdf5(path, chunk=parsed.expression.chunk) as file:  # type: ignore[attr-defined]
        assert file["X/data"].id.get_access_plist().get_chunk_cache()[1] == 8 * n


def test_more_than_is_read_in_one_piece_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(hdf5, "MAX_WHOLE", 100)
    with pytest.raises(SourceError, match="claims 184 bytes; at most 100 are read in one piece"):
        read_h5ad(written(tmp_path, "h5ad"), H5adOptions(), unit="counts")


# --- filters -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (32001, "compressed with Blosc, .*pip install hdf5plugin"),
        (32015, "compressed with Zstandard, .*pip install hdf5plugin"),
        (40000, "compressed with HDF5 filter 40000, .*here: write the file anew"),
    ],
)
def test_a_filter_that_is_not_here_says_what_to_install(tmp_path, code, says) -> None:
    if h5py.h5z.filter_avail(code):
        pytest.skip("this filter is installed here")
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        made.set_chunk((10,))
        # Optional, so that it can be written where the filter is not.
        made.set_filter(code, h5py.h5z.FLAG_OPTIONAL, (1,))
        space = h5py.h5s.create_simple((10,))
        h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_FLOAT, space, dcpl=made)
    with open_hdf5(path) as file, pytest.raises(SourceError, match=rf"a\.h5: /x is {says}"):
        as_dataset(at_path(file, "x"))


# --- damage ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is missing or empty"),
        (b"<!DOCTYPE html><html></html>", re.escape("begins with b'<!DOCTYPE html><'")),
        (b"\x1f\x8b\x08\x00", "is not HDF5"),
    ],
)
def test_other_files_under_the_name(tmp_path, content, says) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(content)
    for reader in READERS.values():
        with pytest.raises(SourceError, match=rf"a\.h5: .*{says}.*fetch it again"):
            reader(path)


def test_a_file_cut_short(tmp_path) -> None:
    path = written(tmp_path, "h5ad")
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(SourceError, match=r"a\.h5: is damaged or cut short: .*truncated"):
        READERS["h5ad"](path)


def test_a_chunk_with_damage_is_refused_when_it_is_read(tmp_path) -> None:
    path = write_h5ad(tmp_path / "a.h5", COUNTS, compression="gzip")
    parsed = read_h5ad(path, H5adOptions(), unit="log2")
    with h5py.File(path) as file:
        where = file["X/data"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[where.byte_offset : where.byte_offset + where.size] = b"\xff" * where.size
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"a\.h5: /X/data: the chunk .* is damaged"):
        list(parsed.expression.blocks())


def test_a_group_where_an_array_should_be(tmp_path) -> None:
    path = written(tmp_path, "tenx")
    with h5py.File(path, "a") as file:
        del file["matrix/data"]
        file.create_group("matrix/data")
    with pytest.raises(SourceError, match="/matrix/data is not an array"):
        READERS["tenx"](path)
    with h5py.File(path, "a") as file:
        del file["matrix"]
        file["matrix"] = 1
    with pytest.raises(SourceError, match="/matrix is not a group"):
        READERS["tenx"](path)
