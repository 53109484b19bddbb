"""Gzipped arrays come out as h5py reads them, whatever the range; damage is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genept.common.errors import SourceError
from genept.datasources.readers.hdf5.rows import read_range

N = 1000
STORED: dict[str, dict[str, Any]] = {
    "gzip": {"chunks": (64,), "compression": "gzip"},
    "shuffled": {"chunks": (64,), "compression": "gzip", "shuffle": True},
    "lzf": {"chunks": (64,), "compression": "lzf"},
    "plain": {},
    "foreign": {"chunks": (64,), "compression": "gzip", "dtype": ">i4"},
    "sparse": {"chunks": (64,), "compression": "gzip", "maxshape": (None,)},
    "never written": {"chunks": (64,), "compression": "gzip"},
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gzip") / "x.h5"
    values = np.random.default_rng(0).integers(0, 99, N).astype(np.int32)
    with h5py.File(path, "w") as file:
        for name, how in STORED.items():
            if name == "sparse":
                file.create_dataset(name, (N,), "i4", **how)[500:600] = values[500:600]
            elif name == "never written":
                file.create_dataset(name, (N,), "i4", **how)
            else:
                file.create_dataset(name, data=values.astype(how.get("dtype", "i4")), **how)
    return path


@pytest.mark.parametrize("name", STORED)
@given(start=st.integers(0, N), length=st.integers(0, N))
def test_any_range_is_what_h5py_reads(stored: Path, name: str, start: int, length: int) -> None:
    stop = min(start + length, N)
    with h5py.File(stored) as file:
        np.testing.assert_array_equal(read_range(file[name], start, stop), file[name][start:stop])


def test_a_damaged_chunk_is_named(stored: Path, tmp_path: Path) -> None:
    with h5py.File(stored) as file:
        at = file["gzip"].id.get_chunk_info_by_coord((128,)).byte_offset
    data = bytearray(stored.read_bytes())
    data[at + 20] ^= 0xFF
    broken = tmp_path / "broken.h5"
    broken.write_bytes(bytes(data))
    with h5py.File(broken) as file, pytest.raises(SourceError, match="begins at value 128 is dam"):
        read_range(file["gzip"], 100, 200)
