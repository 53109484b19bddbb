"""Cell Ranger's HDF5, versions 2 and 3."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.sparse as sp
from hdf5_layouts import counts, ensembl, write_tenx_v2, write_tenx_v3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sources_layouts import collection_entry

from genept.common.errors import SourceError
from genept.datasources.formats import TenxH5Options
from genept.datasources.parsers import parse_collection
from genept.datasources.readers.hdf5 import rows
from genept.datasources.readers.hdf5.tenx import read_tenx_h5
from genept.datasources.readers.parsed import ParsedCollection

COUNTS = counts()
MIXED = ["Gene Expression"] * 7 + ["Antibody Capture", "CRISPR Guide Capture"] * 2


def read(path: Path, **options: Any) -> ParsedCollection:
    return read_tenx_h5(path, TenxH5Options(**options))


def whole(parsed: ParsedCollection, start: int = 0, stop: int | None = None) -> np.ndarray:
    blocks = list(parsed.expression.blocks(start, stop))
    for block in blocks:
        block.check_format(full_check=True)
        assert block.has_canonical_format
    empty = np.zeros((0, parsed.expression.shape[1]))
    return sp.vstack(blocks).toarray() if blocks else empty


def test_version_3_reads_barcodes_by_features(tmp_path) -> None:
    parsed = read(write_tenx_v3(tmp_path / "a.h5", COUNTS))
    np.testing.assert_array_equal(whole(parsed), COUNTS.toarray())
    assert parsed.input_genes == tuple(f"G{i}" for i in range(11))
    assert parsed.symbols == tuple(ensembl(11))
    assert parsed.observations["observation_id"].to_list()[:2] == ["ACGT0000-1", "ACGT0001-2"]
    assert parsed.observations["group_id"].to_list()[:3] == ["1", "2", "1"]
    assert parsed.quarantined == ()


def test_options(tmp_path) -> None:
    path = write_tenx_v3(tmp_path / "a.h5", COUNTS)
    parsed = read(path, genes="name", group="none", constants={"tissue": "blood"})
    assert parsed.symbols == parsed.input_genes
    assert parsed.observations["group_id"].equals(
        parsed.observations["observation_id"].rename("group_id")
    )
    assert set(parsed.observations["tissue"]) == {"blood"}


def test_version_2(tmp_path) -> None:
    parsed = read(write_tenx_v2(tmp_path / "a.h5", {"GRCh38": COUNTS}))
    np.testing.assert_array_equal(whole(parsed), COUNTS.toarray())
    assert parsed.symbols == tuple(ensembl(11))


def test_several_genomes_need_a_choice(tmp_path) -> None:
    mouse = counts(seed=1)
    path = write_tenx_v2(tmp_path / "v2.h5", {"hg19": COUNTS, "mm10": mouse})
    with pytest.raises(SourceError, match=r"v2\.h5: holds the genomes \['hg19', 'mm10'\]; set"):
        read(path)
    with pytest.raises(SourceError, match="holds the genomes"):
        read(path, genome="rn6")
    np.testing.assert_array_equal(whole(read(path, genome="hg19")), COUNTS.toarray())

    genomes = ["GRCh38"] * 6 + ["mm10"] * 5
    ids = [f"{genome}_{id_}" for genome, id_ in zip(genomes, ensembl(11), strict=True)]
    path = write_tenx_v3(tmp_path / "v3.h5", COUNTS, genomes=genomes, ids=ids)
    with pytest.raises(SourceError, match=r"holds the genomes \['GRCh38', 'mm10'\]"):
        read(path)
    parsed = read(path, genome="GRCh38")
    assert parsed.symbols == tuple(ensembl(6))
    np.testing.assert_array_equal(whole(parsed), COUNTS.toarray()[:, :6])
    assert {item.reason for item in parsed.quarantined} == {"other_genome"}
    assert len(parsed.quarantined) == 5


def test_other_features_are_split_out_and_counted(tmp_path) -> None:
    path = write_tenx_v3(tmp_path / "a.h5", COUNTS, types=MIXED, genomes=["GRCh38"] * 7 + [""] * 4)
    parsed = read(path)
    np.testing.assert_array_equal(whole(parsed), COUNTS.toarray()[:, :7])
    assert [(item.input_id, item.reason) for item in parsed.quarantined] == [
        (f"G{i}", "control_feature") for i in range(7, 11)
    ]
    assert "is of type 'Antibody Capture'" in parsed.quarantined[0].detail


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 25), st.one_of(st.none(), st.integers(0, 30)), st.booleans())
def test_any_range_is_a_slice_of_the_whole(tmp_path, monkeypatch, start, stop, mixed) -> None:
    monkeypatch.setattr(rows, "RUN_VALUES", 9)
    monkeypatch.setattr(rows, "OFFSETS", 4)
    parsed = read(write_tenx_v3(tmp_path / "a.h5", COUNTS, types=MIXED if mixed else None))
    parsed = pickle.loads(pickle.dumps(parsed))
    columns = 7 if mixed else 11
    np.testing.assert_array_equal(
        whole(parsed, start, stop), COUNTS.toarray()[start:stop, :columns]
    )


def test_names_may_repeat_ids_may_not_be_lost(tmp_path) -> None:
    names = ["TBCE"] * 2 + [f"G{i}" for i in range(9)]
    parsed = read(write_tenx_v3(tmp_path / "a.h5", COUNTS, names=names))
    assert parsed.input_genes[:2] == ("TBCE", "TBCE#2")
    assert parsed.symbols == tuple(ensembl(11))


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("no group", r"neither the group `matrix` of Cell Ranger 3 nor a genome's of 2"),
        ("shape", r"says its shape is \(3, 3\), but there are 11 features and 23 barcodes"),
        ("shape of one", r"says its shape is \(11,\), but there are 11 features"),
        ("shape of none", r"says its shape is \(11,\), but there are 11 features"),
        ("barcodes", r"barcodes are not unique: 'ACGT0000-1'"),
        ("features", r"columns differ in length"),
        ("no genes", r"no features of type 'Gene Expression', only \['Antibody Capture'\]"),
        ("repeated", r"matrix: the indices of number \d+ are unsorted or repeated"),
        ("range", r"holds the index 77, but only 0 to 10 exist"),
        ("large", r"holds 16,777,217, beyond"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, how, says) -> None:
    types = ["Antibody Capture"] * 11 if how == "no genes" else None
    path = write_tenx_v3(tmp_path / "a.h5", COUNTS, types=types)
    with h5py.File(path, "a") as file:
        matrix = file["matrix"]
        if how == "no group":
            file.move("matrix", "other")
        elif how == "shape":
            matrix["shape"][:] = [3, 3]
        elif how.startswith("shape of"):
            del matrix["shape"]
            matrix["shape"] = [11] if how == "shape of one" else 11
        elif how == "barcodes":
            matrix["barcodes"][5] = matrix["barcodes"][0]
        elif how == "features":
            kept = matrix["features/name"][:-1]
            del matrix["features/name"]
            matrix["features/name"] = kept
        elif how == "repeated":
            row = int(np.flatnonzero(np.diff(matrix["indptr"][:]) > 1)[0])
            at = int(matrix["indptr"][row])
            matrix["indices"][at] = matrix["indices"][at + 1]
        elif how == "range":
            matrix["indices"][3] = 77
        elif how == "large":
            matrix["data"][3] = 2**24 + 1
    with pytest.raises(SourceError, match=rf"a\.h5: .*{says}"):
        whole(read(path))


def test_through_a_catalogue_entry(make_archives, tmp_path) -> None:
    path = write_tenx_v3(tmp_path / "a.h5", COUNTS)
    entry = collection_entry("tenx_h5", "counts", "x", constants={"tissue": "blood"})
    archives = make_archives(collections={"c": entry}, x=path.read_bytes())
    parsed = parse_collection(archives, archives.catalogue.collections["c"])
    assert parsed.expression.shape == (23, 11)
