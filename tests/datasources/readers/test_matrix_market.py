from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sources_files import column, dense, numbers, odd, parse_files
from sources_layouts import tarred, zipped

from genept.common.errors import SourceError
from genept.datasources.readers import matrix_market
from genept.datasources.readers.parsed import ParsedCollection

VALUES = numbers((7, 5))
VALUES[:, 0] = 1  # no cell is empty
BARCODES = [f"AAAC{cell}-1" for cell in range(7)]


def body(values: Any = VALUES, *, sizes: str | None = None, order: int = 1) -> str:
    cells, features = np.nonzero(values)
    lines = [
        f"{feature + 1} {cell + 1} {values[cell, feature]:g}"
        for cell, feature in zip(cells, features, strict=True)
    ][::order]
    head = sizes or f"{values.shape[1]} {values.shape[0]} {len(lines)}"
    return "%%MatrixMarket matrix coordinate integer general\n%meta\n" + "\n".join(
        [head, *lines, ""]
    )


FEATURES = "".join(f"ENSG{gene}\tSYM{gene}\tGene Expression\n" for gene in range(5))


def published(matrix: str | None = None, features: str = FEATURES) -> dict[str, bytes]:
    names = "".join(f"{barcode}\n" for barcode in BARCODES)
    return {
        "features.tsv.gz": gzip.compress(features.encode()),
        "barcodes.tsv.gz": gzip.compress(names.encode()),
        "matrix.mtx.gz": gzip.compress((body() if matrix is None else matrix).encode()),
    }


def parse(tmp_path: Path, files: dict[str, bytes], **options: Any) -> ParsedCollection:
    folder = tmp_path / "filtered"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return parse_files(tmp_path / "cache", "tenx_mtx", "counts", [folder], **options)


def test_version_3_in_any_order_and_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix_market, "CHUNK", 33)
    parsed = parse(tmp_path, published(body(order=-1)), genes="name")
    assert parsed.input_genes == tuple(f"ENSG{gene}" for gene in range(5))
    assert parsed.symbols == tuple(f"SYM{gene}" for gene in range(5))
    assert column(parsed, "observation_id") == BARCODES
    np.testing.assert_array_equal(dense(parsed), VALUES)
    np.testing.assert_array_equal(dense(parsed, 2, 4), VALUES[2:4])


def test_version_2_is_not_packed_and_has_no_types(tmp_path: Path) -> None:
    files = {name.removesuffix(".gz"): gzip.decompress(it) for name, it in published().items()}
    files["genes.tsv"] = files.pop("features.tsv").replace(b"\tGene Expression", b"")
    np.testing.assert_array_equal(dense(parse(tmp_path, files)), VALUES)


@pytest.mark.parametrize("pack", [zipped, tarred], ids=["zip", "tar"])
def test_archives_hold_several_folders(tmp_path: Path, pack: Any) -> None:
    files = {f"out/{kind}/{name}": it for kind in "ab" for name, it in published().items()}
    file = tmp_path / "x"
    file.write_bytes(pack(files))
    with pytest.raises(SourceError, match=r"has 2 files matrix.mtx .* name the folder"):
        parse_files(tmp_path / "cache", "tenx_mtx", "counts", [file])
    parsed = parse_files(tmp_path / "cache", "tenx_mtx", "counts", [file], member="out/b")
    np.testing.assert_array_equal(dense(parsed), VALUES)


def test_geo_publishes_three_files(tmp_path: Path) -> None:
    files = []
    for name, data in published().items():
        files.append(tmp_path / f"GSM1_{name}")
        files[-1].write_bytes(data)
    features, barcodes, matrix = files
    meta = tmp_path / "meta.csv"
    meta.write_text("cell,type\n" + "".join(f"{it},T\n" for it in BARCODES))
    parsed = parse_files(
        tmp_path / "cache",
        "tenx_mtx",
        "counts",
        [matrix, features, barcodes, meta],
        separate=True,
        metadata=[{"source": 3, "id": "cell"}],
        labels={"cell_type": "type"},
    )
    assert column(parsed, "cell_type") == ["T"] * 7
    np.testing.assert_array_equal(dense(parsed), VALUES)


def test_antibodies_are_split_out_and_empty_cells_counted(tmp_path: Path) -> None:
    values = VALUES.copy()
    values[3, 1:] = 0
    features = FEATURES.replace("SYM0\tGene Expression", "CD3\tAntibody Capture")
    parsed = parse(tmp_path, published(body(values), features))
    assert parsed.input_genes == tuple(f"ENSG{gene}" for gene in range(1, 5))
    assert ("ENSG0", "not_expression", 1) in odd(parsed)
    assert (BARCODES[3], "empty", 1) in odd(parsed)
    kept = values[:, 1:].any(axis=1)
    np.testing.assert_array_equal(dense(parsed), values[kept, 1:])


@pytest.mark.parametrize(
    ("matrix", "complaint"),
    [
        (body().replace("%%MatrixMarket", "%%Market"), "is no Matrix Market file"),
        (body().replace("integer", "pattern"), "is a coordinate pattern general matrix"),
        (body().replace("general", "symmetric"), "coordinate integer symmetric matrix"),
        (body().replace("coordinate", "array"), "is a array integer general matrix"),
        (body(sizes="5 7"), "should be its sizes"),
        (body(sizes="5 7 " + "9" * 6_000), "should be its sizes"),
        (body(sizes="9" * 6_000 + " 7 9"), "should be its sizes"),
        (body(sizes="5 8 9"), "is 5 × 8, but there are 5 features and 7 barcodes"),
        (body(sizes="5 7 999"), "declares 999 values, its size allows 35"),
        (body(sizes="5 7 35"), "declares 35 values, but has 19: was it cut short"),
        (body() + "6 1 1\n", "is of feature 6, but there are 5"),
        (body() + "1 0 1\n", "is of barcode 0, but there are 7"),
        (body() + "1 1\n", "a line that is not 'feature barcode value'"),
        (body() + "1 1 1.5\n", "holds 1.5, which is no count"),
        (body() + "1 1 -1\n", "holds -1, which is no count"),
        (body() + "1 1 16777217\n", "which is no count"),
        (body() + "1 1 nan\n", "holds NaN"),
        ("", "unpacks to nothing"),
        (body(sizes=f"5 7 {np.count_nonzero(VALUES) + 1}") + "1 1 1\n", "two values of gene 1"),
    ],
)
def test_a_matrix_that_contradicts_itself_is_refused(
    tmp_path: Path, matrix: str, complaint: str
) -> None:
    with pytest.raises(SourceError, match=complaint):
        parse(tmp_path, published(matrix))


def test_names_that_are_missing_are_refused(tmp_path: Path) -> None:
    files = published()
    del files["barcodes.tsv.gz"]
    with pytest.raises(SourceError, match=r"has 0 files barcodes\.tsv"):
        parse(tmp_path, files)
