"""Small files that fill memory or time of a reader that trusts what they claim."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib

import mutations
import numpy as np


def _h5(write) -> bytes:
    import h5py

    packed = io.BytesIO(mutations.h5ad())
    with h5py.File(packed, "r+") as file:
        write(h5py, file)
    return packed.getvalue()


def stacked_deflate() -> bytes:
    """An h5ad whose values are deflated twice: 1,000,000 to 1."""
    n = 1 << 26

    def write(h5py, file):
        del file["obs/donor"]
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((n,))
        properties.set_deflate(9)
        properties.set_deflate(9)
        space = h5py.h5s.create_simple((n,))
        data = h5py.h5d.create(file["obs"].id, b"donor", h5py.h5t.NATIVE_INT8, space, properties)
        packer = zlib.compressobj(9)
        deflated = b"".join(
            [*(packer.compress(bytes(1 << 20)) for _ in range(n >> 20)), packer.flush()]
        )
        data.write_direct_chunk((0,), zlib.compress(deflated, 9))

    return _h5(write)


def shared_references() -> bytes:
    """An h5ad of 100,000 ids that are references to one text of 200 kB."""
    import struct

    def write(h5py, file):
        del file["obs/_index"]
        text = h5py.string_dtype()
        dataset = file["obs"].create_dataset("_index", (100_000,), text, chunks=(100_000,))
        dataset[0] = "x" * 200_000

    data = bytearray(_h5(write))
    # The first reference of the array: length, address and number of the heap's object.
    at = data.index(struct.pack("<I", 200_000) + b"", data.index(b"_index"))
    reference = bytes(data[at : at + 16])
    while data[at + 16 : at + 32] != bytes(16):
        at = data.index(reference[:4], at + 4)
        reference = bytes(data[at : at + 16])
    data[at : at + 16 * 100_000] = reference * 100_000
    return bytes(data)


def huge_dictionary_value() -> bytes:
    """A parquet whose labels are one value of 4 MB, 4,000 times."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    packed = io.BytesIO()
    n = 4_000
    table = pa.table(
        {
            "id": [f"cell-{row}" for row in range(n)],
            "cell_type": pa.DictionaryArray.from_arrays(
                pa.array(np.zeros(n, np.int32)), pa.array(["x" * (4 << 20)])
            ),
            **{gene: np.ones(n, np.int32) for gene in mutations.GENES},
        }
    )
    pq.write_table(table, packed, compression="zstd", store_schema=False)
    return packed.getvalue()


def many_rows() -> bytes:
    """A parquet of 20,000,000 rows in some 200 kB."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    packed = io.BytesIO()
    n, groups = 2_000_000, 10
    schema = pa.schema({"id": pa.int32(), "GEN1": pa.int32(), "GEN2": pa.int32()})
    zeros = pa.array(np.zeros(n, np.int32))
    table = pa.table({"id": zeros, "GEN1": zeros, "GEN2": zeros}, schema=schema)
    with pq.ParquetWriter(packed, schema, compression="zstd") as writer:
        for _ in range(groups):
            writer.write_table(table, row_group_size=n)
    return packed.getvalue()


def long_tar_name() -> bytes:
    """A tar.gz whose first name is 96 MiB long."""
    size = 96 << 20
    entry = tarfile.TarInfo("long")
    entry.type, entry.size = tarfile.GNUTYPE_LONGNAME, size
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    parts = [packer.compress(entry.tobuf())]
    parts += [packer.compress(b"a" * (1 << 20)) for _ in range(size >> 20)]
    return b"".join([*parts, packer.flush()])


def duplicates() -> bytes:
    """A Matrix Market file with 24,000,000 values of one cell and gene, in a tar.gz."""
    members = mutations.three()
    n = 24_000_000
    body = gzip.compress(b"1 1 1\n" * 1000, 9)  # many members are one file
    head = f"%%MatrixMarket matrix coordinate integer general\n{len(mutations.GENES)} 40 {n}\n"
    members["matrix.mtx.gz"] = gzip.compress(head.encode()) + body * (n // 1000)
    del members["matrix.mtx"]
    return gzip.compress(mutations.tarred(members), 6)


def duplicates_undeclared() -> bytes:
    """The same, declared as a few."""
    members = mutations.three()
    head = f"%%MatrixMarket matrix coordinate integer general\n{len(mutations.GENES)} 40 2400\n"
    lines = "\n".join(
        f"1 1 {value}" for value in np.random.default_rng(0).integers(1, 9999, 10_000)
    )
    members["matrix.mtx"] = head.encode() + f"{lines}\n".encode() * 200
    return gzip.compress(mutations.tarred(members), 6)


BOMBS = {
    "stacked.h5ad": stacked_deflate,
    "references.h5ad": shared_references,
    "dictionary.parquet": huge_dictionary_value,
    "rows.parquet": many_rows,
    "name.tar.gz": long_tar_name,
    "duplicates.tar.gz": duplicates,
    "undeclared.tar.gz": duplicates_undeclared,
}
