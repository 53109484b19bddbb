"""ARCHS4: samples chosen by metadata, read column by column."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.sparse as sp
from hdf5_layouts import ensembl, write_archs4
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sources_layouts import collection_entry

from genept.common.errors import SourceError
from genept.datasources.formats import Archs4Options
from genept.datasources.parsers import parse_collection
from genept.datasources.readers.hdf5 import archs4_samples, sample_columns
from genept.datasources.readers.hdf5.archs4 import read_archs4
from genept.datasources.readers.hdf5.archs4_samples import connected
from genept.datasources.readers.hdf5.sample_columns import SampleColumns
from genept.datasources.readers.parsed import ParsedCollection

VALUES = np.random.default_rng(3).poisson(2, (13, 31)).astype("u4")


@pytest.fixture
def published(tmp_path: Path) -> Path:
    return write_archs4(tmp_path / "human_gene_v2.6.h5", VALUES)


def read(path: Path, **options: Any) -> ParsedCollection:
    return read_archs4(path, Archs4Options(**options))


def whole(expression: Any, start: int = 0, stop: int | None = None) -> np.ndarray:
    blocks = list(expression.blocks(start, stop))
    for block in blocks:
        assert block.dtype == np.float32
        block.check_format(full_check=True)
        assert block.has_sorted_indices
    return sp.vstack(blocks).toarray() if blocks else np.zeros((0, expression.shape[1]))


def ids(parsed: ParsedCollection) -> list[str]:
    return parsed.observations["observation_id"].to_list()


def test_samples_of_a_series(published) -> None:
    parsed = read(published, series=("GSE2",))
    # GSM0 is in GSE1 and GSE2; GSM6 is likely a single cell.
    assert ids(parsed) == ["GSM0", "GSM5", "GSM7", "GSM8", "GSM9"]
    assert [(q.input_id, q.reason) for q in parsed.quarantined] == [("GSM6", "single_cell")]
    assert "0.9 > 0.5" in parsed.quarantined[0].detail
    np.testing.assert_array_equal(whole(parsed.expression), VALUES[:, [0, 5, 7, 8, 9]].T)
    assert parsed.input_genes[0] == "G0"
    assert parsed.input_genes[-1] == "G0#2", "ARCHS4 repeats some 2,000 symbols"
    assert parsed.symbols == tuple(ensembl(13))
    assert set(parsed.observations["group_id"]) == {"GSE1"}, "GSM0 ties GSE2 to GSE1"


def test_selections_add_up(published) -> None:
    parsed = read(
        published,
        series=("GSE3",),
        samples=("GSM1",),
        contains={"source_name_ch1": "LIVER", "title": "sample 2"},
        max_singlecell_probability=None,
    )
    expected = [1, 2, *range(10, 15), 20, 22, 24, 26, 28]
    assert ids(parsed) == [f"GSM{i}" for i in expected]
    assert parsed.quarantined == ()
    np.testing.assert_array_equal(whole(parsed.expression), VALUES[:, expected].T)


def test_labels_and_groups(published) -> None:
    parsed = read(
        published,
        samples=("GSM1", "GSM2", "GSM10"),
        group="title",
        genes="symbol",
        labels={"tissue": "characteristics_ch1/tissue", "batch": "source_name_ch1"},
        constants={"diagnosis": "normal"},
        missing=("blood",),
    )
    assert parsed.observations["tissue"].to_list() == ["part 1", "part 0", "part 0"]
    assert parsed.observations["batch"].to_list() == [None, "Liver", "Liver"]
    assert parsed.observations["group_id"].to_list() == ["sample 1", "sample 2", "sample 10"]
    assert set(parsed.observations["diagnosis"]) == {"normal"}
    assert parsed.symbols[-1] == "G0"


def test_a_characteristic_that_is_not_there_is_none(published) -> None:
    parsed = read(published, samples=("GSM1",), labels={"tissue": "characteristics_ch1/cell line"})
    assert parsed.observations["tissue"].to_list() == [None]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sets(st.integers(0, 30), min_size=1),
    st.integers(0, 31),
    st.one_of(st.none(), st.integers(0, 40)),
    st.sampled_from([(4, 3), (13, 1), (2, 31), (5, 7), (1, 1)]),
    st.integers(1, 60),
)
def test_any_samples_and_range(tmp_path, monkeypatch, samples, start, stop, chunks, block) -> None:
    monkeypatch.setattr(sample_columns, "BLOCK_VALUES", block)
    path = tmp_path / f"{chunks}.h5"
    if not path.exists():
        write_archs4(path, VALUES, chunks=chunks)
    chosen = np.array(sorted(samples))
    rows = pickle.loads(pickle.dumps(SampleColumns(path, chosen, 13)))
    np.testing.assert_array_equal(whole(rows, start, stop), VALUES[:, chosen].T[start:stop])


def test_metadata_is_read_in_windows(published, monkeypatch) -> None:
    at_once = read(published, series=("GSE2", "GSE5"), labels={"batch": "title"})
    monkeypatch.setattr(archs4_samples, "WINDOW", 4)
    in_windows = read(published, series=("GSE2", "GSE5"), labels={"batch": "title"})
    assert at_once.observations.equals(in_windows.observations)


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        (["GSE3", "GSE1,GSE2", "GSE2", "GSE4"], ["GSE3", "GSE1", "GSE1", "GSE4"]),
        (["GSE2", "GSE2\tGSE3", "GSE3,GSE1"], ["GSE1", "GSE1", "GSE1"]),
        ([""], [""]),
    ],
)
def test_series_that_share_a_sample_are_one_group(series, expected) -> None:
    assert connected(series) == expected


@given(st.lists(st.lists(st.integers(0, 8), min_size=1, max_size=3), max_size=12))
def test_no_series_is_in_two_groups(lists) -> None:
    groups = connected([",".join(f"GSE{number}" for number in members) for members in lists])
    for number in range(9):
        of_one = {group for group, members in zip(groups, lists, strict=True) if number in members}
        assert len(of_one) <= 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"series": ("GSE1", "GSE99")}, r"has no GSE99 \(1 of 2 in series_id\)"),
        ({"samples": ("GSM77",)}, r"has no GSM77 \(1 of 1 in geo_accession\)"),
        ({"contains": {"title": "nix"}}, "no sample is of the series or samples, or matches"),
        ({"contains": {"nix": "x"}}, "has no 'meta/samples/nix'; found"),
        ({"samples": ("GSM6",)}, "all 1 chosen samples are likely single cells; raise"),
        ({"samples": ("GSM1",), "genes": "nix"}, "genes has no 'nix'"),
    ],
)
def test_what_is_not_there_is_named(published, options, says) -> None:
    with pytest.raises(SourceError, match=rf"human_gene_v2\.6\.h5: .*{says}"):
        read(published, **options)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("shape", r"data/expression is uint32 of shape \(13, 30\); expected .* 13 genes × 31"),
        ("fractions", "data/expression is float64"),
        ("large", "data/expression holds 16,777,217, beyond"),
        ("lengths", r"meta/samples/title has the shape \(30,\) for 31 samples"),
        ("layout", "has no 'data'"),
    ],
)
def test_other_layouts_are_refused(published, how, says) -> None:
    with h5py.File(published, "a") as file:
        if how == "large":
            file["data/expression"][3, 1] = 2**24 + 1
        elif how == "lengths":
            kept = file["meta/samples/title"][:-1]
            del file["meta/samples/title"]
            file["meta/samples/title"] = kept
        else:
            del file["data"]
            if how == "shape":
                file["data/expression"] = VALUES[:, :-1]
            elif how == "fractions":
                file["data/expression"] = VALUES / 3
    with pytest.raises(SourceError, match=rf"human_gene_v2\.6\.h5: .*{says}"):
        whole(read(published, samples=("GSM1",), contains={"title": "sample 1"}).expression)


def test_something_must_be_selected() -> None:
    with pytest.raises(ValueError, match="select samples by `series`, `samples` or `contains`"):
        Archs4Options()


def test_through_a_catalogue_entry(make_archives, published) -> None:
    entry = collection_entry("archs4", "counts", "x", series=["GSE2"])
    archives = make_archives(collections={"c": entry}, x=published.read_bytes())
    parsed = parse_collection(archives, archives.catalogue.collections["c"])
    assert parsed.expression.shape == (5, 13)
