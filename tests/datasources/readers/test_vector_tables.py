"""Tables of vectors as people have them; pickles never."""

from __future__ import annotations

import gzip
import pickle

import numpy as np
import polars as pl
import pytest

from genept.common.errors import SourceError
from genept.datasources.readers.vector_tables import read_vector_table

NAMES = ["TP53", "ENSG00000139618"]
VECTORS = np.array([[1, 0.5], [0, -2]], dtype=np.float32)


def write_npz(path):
    np.savez(path, names=np.array(NAMES), vectors=VECTORS)


def write_parquet(path):
    pl.DataFrame({"gene": NAMES, "vector": VECTORS.tolist()}).write_parquet(path)


def write_wide(path):
    pl.DataFrame({"gene": NAMES, "0": VECTORS[:, 0], "1": VECTORS[:, 1]}).write_parquet(path)


def write_csv(path):
    path.write_text(",0,1\nTP53,1,5e-1\nENSG00000139618,0,-2\n")


def write_tsv_gz(path):
    path.write_bytes(gzip.compress(b"gene\t0\t1\nTP53\t1\t0.5\nENSG00000139618\t0\t-2\n"))


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("v.npz", write_npz),
        ("v.parquet", write_parquet),
        ("wide.parquet", write_wide),
        ("v.csv", write_csv),
        ("v.tsv.gz", write_tsv_gz),
    ],
)
def test_every_format_gives_the_same(tmp_path, name, write):
    write(tmp_path / name)
    table = read_vector_table(tmp_path / name)
    assert table.names == NAMES
    assert table.vectors.dtype == np.float32
    np.testing.assert_array_equal(table.vectors, VECTORS)


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("a pickle was loaded",)


@pytest.mark.parametrize("name", ["vectors.pickle", "vectors.pkl", "vectors.csv"])
def test_a_pickle_is_refused_unread_with_the_remedy(tmp_path, name):
    (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(SourceError, match=r"is a pickle.*parquet, npz or csv"):
        read_vector_table(tmp_path / name)


def test_object_arrays_are_refused_as_the_pickles_they_are(tmp_path):
    np.savez(tmp_path / "v.npz", names=np.array([*NAMES, Bomb()], dtype=object), vectors=VECTORS)
    with pytest.raises(SourceError, match="'names' is of dtype object, which is a pickle"):
        read_vector_table(tmp_path / "v.npz")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("v.npy", b"\x93NUMPY", "has no names: save an .npz"),
        ("v.h5", b"x", "of which format"),
        ("v.csv", b"gene;0;1\nA;1;2\n", "has one column"),
        ("v.csv", b"gene,0,1\nA,1,x\n", "column '1' of A is x, expected a number"),
        ("v.csv", b"gene,0,1\nA,1,\n", "column '1' of A is None"),
        ("v.parquet", b"PAR1....", "v.parquet: "),
        ("v.npz", b"PK\x03\x04", "v.npz: "),
        ("v.csv", b"", "v.csv: "),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=reason):
        read_vector_table(tmp_path / name)


def test_misshapen_tables_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", names=np.array(["A"]), vectors=VECTORS)
    with pytest.raises(SourceError, match=r"1 names and vectors of shape \(2, 2\)"):
        read_vector_table(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", gene=np.array(NAMES), vectors=VECTORS)
    with pytest.raises(SourceError, match="one array called names or"):
        read_vector_table(tmp_path / "b.npz")
    ragged = pl.DataFrame({"gene": NAMES, "vector": [[1.0, 2.0], [1.0]]})
    ragged.write_parquet(tmp_path / "c.parquet")
    with pytest.raises(SourceError, match="vectors of 1 and 2 dimensions"):
        read_vector_table(tmp_path / "c.parquet")
