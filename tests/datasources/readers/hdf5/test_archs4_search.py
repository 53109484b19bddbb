"""Samples of ARCHS4 are found by what their authors say of them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hdf5_layouts import TEXT, write_archs4

from genept.datasources.readers.hdf5 import archs4_samples
from genept.datasources.readers.hdf5.archs4_search import search_archs4
from genept.datasources.readers.sample_query import SampleQuery

SAMPLES = [
    ("GSE1", "HCC of a patient", "Liver", "tissue: Liver tumour,disease: hepatocellular carcinoma"),
    ("GSE1,GSE9", "normal", "liver", "tissue: liver,disease: normal"),
    ("GSE2", "hepatocytes", "primary hepatocytes of liver", "age: 5"),
    ("GSE3", "a kidney of a donor with liver failure", "kidney", "organ: kidney"),
    ("GSE11", "blood", "blood", "cell type: T cell,disease state: Hepatocellular Carcinoma, late"),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = write_archs4(tmp_path / "h.h5", np.ones((3, 5)), chunks=(3, 1))
    with h5py.File(path, "a") as file:
        fields = ("series_id", "title", "source_name_ch1", "characteristics_ch1")
        for field, values in zip(fields, zip(*SAMPLES, strict=True), strict=True):
            del file[f"meta/samples/{field}"]
            file.create_dataset(f"meta/samples/{field}", data=values, dtype=TEXT)
        file["meta/samples/singlecellprobability"][4] = 0.9
    return path


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (SampleQuery(series=("GSE1",)), [0, 1]),
        (SampleQuery(series=("GSE9", "GSE3")), [1, 3]),
        (SampleQuery(tissue=("LIVER",)), [0, 1, 2]),
        (SampleQuery(tissue=("kidney", "blood")), [3, 4]),
        (SampleQuery(disease=("hepatocellular carcinoma",)), [0, 4]),
        (SampleQuery(tissue=("liver",), disease=("normal", "carcinoma")), [0, 1]),
        (SampleQuery(text=("liver",)), [0, 1, 2, 3]),
        (SampleQuery(text=("liver", "donor")), [3]),
        (SampleQuery(text=("liver",), series=("GSE1",), tissue=("tumour",)), [0]),
        (SampleQuery(text=("nothing",)), []),
    ],
)
@pytest.mark.parametrize("window", [2, 65_536])
def test_each_part_of_a_query_must_match(path, monkeypatch, query, expected, window) -> None:
    monkeypatch.setattr(archs4_samples, "WINDOW", window)
    assert search_archs4(path, query)["sample"].to_list() == [f"GSM{at}" for at in expected]


def test_what_is_found_is_described(path) -> None:
    found = search_archs4(path, SampleQuery(text=("hepatocellular",)))
    assert found.rows() == [
        ("GSM0", *SAMPLES[0][:3], "Liver tumour", "hepatocellular carcinoma", 0.1),
        ("GSM4", *SAMPLES[4][:3], None, "Hepatocellular Carcinoma, late", 0.9),
    ]
