"""Valid files of every format that users bring, and seeded damage to them.

`outcomes` reads damaged files as `genept collections validate` does, many in one process.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np
from own_files import GENES, REFERENCE, counts

from genept.datasources.readers.sandbox import Parent

CELLS: Final = [f"cell-{row}" for row in range(40)]
KINDS: Final = ["T cell", "B cell"] * 20


@cache
def csv() -> bytes:
    rows = zip(CELLS, KINDS, counts().tolist(), strict=True)
    lines = [",".join(["id", "cell_type", *GENES])]
    lines += [",".join([cell, kind, *map(str, values)]) for cell, kind, values in rows]
    return ("\n".join(lines) + "\n").encode()


@cache
def gct() -> bytes:
    lines = ["#1.2", f"{len(GENES)}\t{len(CELLS)}", "\t".join(["Name", "Description", *CELLS])]
    lines += [
        "\t".join([gene, gene, *map(str, values)])
        for gene, values in zip(GENES, counts().T.tolist(), strict=True)
    ]
    return ("\n".join(lines) + "\n").encode()


@cache
def geo() -> bytes:
    quoted = ['"' + cell + '"' for cell in CELLS]
    lines = [
        '!Series_title\t"A series"',
        "\t".join(["!Sample_title", *quoted]),
        "\t".join(["!Sample_geo_accession", *quoted]),
        "\t".join(["!Sample_characteristics_ch1", *(f'"cell type: {kind}"' for kind in KINDS)]),
        "!series_matrix_table_begin",
        "\t".join(['"ID_REF"', *quoted]),
    ]
    lines += [
        "\t".join([f'"{gene}"', *map(str, values)])
        for gene, values in zip(GENES, counts().T.tolist(), strict=True)
    ]
    return ("\n".join([*lines, "!series_matrix_table_end"]) + "\n").encode()


@cache
def parquet() -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"id": CELLS, "cell_type": KINDS} | dict(zip(GENES[:20], counts().T, strict=False))
    packed = io.BytesIO()
    pq.write_table(pa.table(columns), packed, row_group_size=16)
    return packed.getvalue()


@cache
def h5ad() -> bytes:
    import h5py
    import scipy.sparse as sp

    packed = io.BytesIO()
    with h5py.File(packed, "w") as file:
        matrix = sp.csr_matrix(counts().astype(np.float32))
        group = file.create_group("X")
        group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})
        group.attrs["shape"] = np.array(matrix.shape)
        for name in ("data", "indices", "indptr"):
            values = getattr(matrix, name)
            group.create_dataset(
                name, data=values, compression="gzip", chunks=(min(600, values.size),)
            )
        text = h5py.string_dtype()
        for name, index in (("obs", CELLS), ("var", GENES)):
            table = file.create_group(name)
            table.attrs.update({"encoding-type": "dataframe", "_index": "_index"})
            table.attrs["column-order"] = np.array([], "S1")
            table.create_dataset("_index", data=index, dtype=text)
        kind = file["obs"].create_group("cell_type")
        kind.attrs["encoding-type"] = "categorical"
        kind.create_dataset("categories", data=["B cell", "T cell"], dtype=text)
        kind.create_dataset("codes", data=np.arange(40, dtype="i1") % 2)
        file["obs"].create_dataset("donor", data=np.arange(40.0) // 10)
    return packed.getvalue()


@cache
def tenx_h5() -> bytes:
    import h5py
    import scipy.sparse as sp

    packed = io.BytesIO()
    with h5py.File(packed, "w") as file:
        matrix = sp.csr_matrix(counts())
        group = file.create_group("matrix")
        group["shape"] = np.array(matrix.shape[::-1], "i4")
        group["barcodes"] = np.array([f"{cell}-1" for cell in CELLS], "S")
        for name, kind in (("data", "i4"), ("indices", "i8"), ("indptr", "i8")):
            values = getattr(matrix, name).astype(kind)
            group.create_dataset(
                name, data=values, compression="gzip", chunks=(min(600, values.size),)
            )
        features = group.create_group("features")
        n = len(GENES)
        for name, texts in (
            ("id", GENES), ("name", GENES), ("feature_type", ["Gene Expression"] * n),
            ("genome", ["GRCh38"] * n),
        ):  # fmt: skip
            features[name] = np.array(texts, "S")
    return packed.getvalue()


@cache
def _three() -> dict[str, bytes]:
    values = counts()
    cells, genes = np.nonzero(values)
    triplets = zip(genes + 1, cells + 1, values[cells, genes], strict=True)
    lines = [
        "%%MatrixMarket matrix coordinate integer general",
        "%",
        f"{len(GENES)} 40 {cells.size}",
    ]
    return {
        "matrix.mtx": "\n".join(
            [*lines, *(" ".join(map(str, triplet)) for triplet in triplets), ""]
        ).encode(),
        "features.tsv": "".join(f"{gene}\t{gene}\tGene Expression\n" for gene in GENES).encode(),
        "barcodes.tsv": "".join(f"{cell}-1\n" for cell in CELLS).encode(),
    }


def three() -> dict[str, bytes]:
    """Cell Ranger's three text files, for the caller to change."""
    return dict(_three())


def tarred(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


@cache
def zipped() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in three().items():
            kind = zipfile.ZIP_STORED if name == "barcodes.tsv" else zipfile.ZIP_DEFLATED
            archive.writestr(name, content, kind)
    return packed.getvalue()


def damaged(data: bytes, random: Random) -> bytes:
    """The same with one to three faults, such as disks, networks and attackers cause."""
    for _ in range(random.choice((1, 1, 2, 3))):
        data = random.choice(_FAULTS)(bytearray(data), random)
    return data


def _span(data: bytearray, random: Random) -> tuple[int, int]:
    start = random.randrange(max(len(data), 1))
    return start, start + random.choice((1, 2, 4, 8, 64, 512, 4096))


def _flipped(data: bytearray, random: Random) -> bytes:
    for _ in range(random.choice((1, 1, 4, 32))):
        if data:
            data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(data)


def _truncated(data: bytearray, random: Random) -> bytes:
    return bytes(data[: random.randrange(len(data) + 1)])


def _doubled(data: bytearray, random: Random) -> bytes:
    start, end = _span(data, random)
    return bytes(data[:end] + data[start:])


def _removed(data: bytearray, random: Random) -> bytes:
    start, end = _span(data, random)
    return bytes(data[:start] + data[end:])


def _filled(data: bytearray, random: Random) -> bytes:
    start, end = _span(data, random)
    block = data[start:end]
    data[start:end] = bytes([random.choice((0, 255, 13, 34, 44, 57))]) * len(block)
    return bytes(data)


def _spliced(data: bytearray, random: Random) -> bytes:
    start, end = _span(data, random)
    block = data[start:end]
    at = random.randrange(len(data) + 1)
    data[at : at + len(block)] = block
    return bytes(data)


def _renumbered(data: bytearray, random: Random) -> bytes:
    """Another number where a length may be."""
    size = random.choice((1, 2, 4, 8))
    number = random.choice((0, 1, 127, 255, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63, -1))
    at = random.randrange(len(data) + 1)
    data[at : at + size] = (number % 2 ** (8 * size)).to_bytes(size, "little")
    return bytes(data)


def _inserted(data: bytearray, random: Random) -> bytes:
    at = random.randrange(len(data) + 1)
    return bytes(data[:at]) + random.randbytes(random.choice((1, 3, 16))) + bytes(data[at:])


_FAULTS: Final[tuple[Callable[[bytearray, Random], bytes], ...]] = (
    _flipped, _flipped, _truncated, _doubled, _removed, _filled, _spliced, _renumbered, _inserted,
)  # fmt: skip


def _mtx(random: Random) -> bytes:
    members = three()
    name = random.choice(("matrix.mtx", "matrix.mtx", "features.tsv", "barcodes.tsv"))
    return gzip.compress(tarred(members | {name: damaged(members[name], random)}), 1)


def _tar(random: Random) -> bytes:
    plain = damaged(tarred(three()), random)
    return random.choice((bytes, gzip.compress))(plain)


FORMATS: Final[dict[str, tuple[str, Callable[[], bytes], Callable[[Random], bytes]]]] = {
    "csv": ("mine.csv", csv, lambda random: damaged(csv(), random)),
    "gct": ("mine.gct", gct, lambda random: damaged(gct(), random)),
    "geo": ("series_matrix.txt", geo, lambda random: damaged(geo(), random)),
    "parquet": ("mine.parquet", parquet, lambda random: damaged(parquet(), random)),
    "h5ad": ("mine.h5ad", h5ad, lambda random: damaged(h5ad(), random)),
    "tenx_h5": ("mine.h5", tenx_h5, lambda random: damaged(tenx_h5(), random)),
    "mtx": ("mine.tar.gz", lambda: gzip.compress(tarred(three())), _mtx),
    "tar": ("mine.tar", lambda: tarred(three()), _tar),
    "zip": ("mine.zip", zipped, lambda random: damaged(zipped(), random)),
}


def looked_at(path: Path, **more: Any) -> int:
    """Inspect a file and try its ingest; return the number of observations that it would have."""
    from genept.collections.dry_run import try_out
    from genept.collections.sidecar import validated_sidecar
    from genept.common.errors import SourceError

    sidecar = validated_sidecar({"id": "mine", **more}, "x")
    trial = try_out(path, None, sidecar, REFERENCE, bucket="b", product="p", limits=None)
    if trial.dry_run is None:
        raise SourceError("; ".join(trial.detected.open_questions))
    return trial.dry_run.n_observations


def outcomes(parent: Parent, format_: str, seeds: Iterable[int]) -> dict[str, Any]:
    """Outcomes of the damaged files of `seeds`: how many were read or refused, and other errors."""
    from genept.common.errors import SourceError, StoreError

    name, _, damage = FORMATS[format_]
    counted, others = Counter[str](), []
    path = parent.folder / name
    for seed in seeds:
        parent.ask(begun=seed)
        data = damage(Random(f"{format_} {seed}"))  # noqa: S311
        path.write_bytes(data)
        try:
            looked_at(path)
            counted["read"] += 1
        except (SourceError, StoreError) as error:
            counted["refused"] += 1
            if not str(error).strip():
                others.append([seed, "a refusal without a word"])
        except BaseException as error:
            trace = traceback.extract_tb(error.__traceback__)
            last = [frame for frame in trace if "/genept/" in frame.filename][-1:]
            where = "".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in last)
            others.append([seed, f"{type(error).__name__} {where}: {str(error)[:120]}"])
    return {"counted": dict(counted), "others": others}
