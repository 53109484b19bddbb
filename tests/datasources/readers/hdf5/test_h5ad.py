"""h5ad files of every layout and age, parsed and compared with what anndata itself reads."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from hdf5_layouts import (
    cellxgene,
    counts,
    ensembl,
    write_h5ad,
    write_h5ad_0_6,
    write_h5ad_0_7,
    write_sparse,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sources_layouts import collection_entry

from genept.common.errors import SourceError
from genept.datasources.formats import H5adOptions
from genept.datasources.parsers import parse_collection
from genept.datasources.readers import spool
from genept.datasources.readers.hdf5 import h5ad_matrix, rows
from genept.datasources.readers.hdf5.h5ad import describe_h5ad, read_h5ad, read_obsm
from genept.datasources.readers.parsed import ExpressionRows, ParsedCollection

MIRROR = Path(__file__).parents[5] / "shared" / "mirror"
PBMC = MIRROR / "single_cell" / "pbmc3k.h5ad"
COUNTS = counts()


def read(path: Path, unit: str = "counts", **options: Any) -> ParsedCollection:
    return read_h5ad(path, H5adOptions(**options), unit=unit, folder=path.parent)


def whole(expression: ExpressionRows, start: int = 0, stop: int | None = None) -> np.ndarray:
    blocks = list(expression.blocks(start, stop))
    for block in blocks:
        assert block.dtype == np.float32
        assert block.has_canonical_format
        block.check_format(full_check=True)
    if not blocks:
        return np.zeros((0, expression.shape[1]), np.float32)
    return sp.vstack(blocks).toarray()


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that files of some rows are read in many blocks, offsets and buckets."""
    for module in (rows, h5ad_matrix, spool):
        monkeypatch.setattr(module, "BLOCK_VALUES", 13)
    monkeypatch.setattr(spool, "BUCKET_VALUES", 13)
    monkeypatch.setattr(rows, "RUN_VALUES", 13)
    monkeypatch.setattr(rows, "OFFSETS", 5)


LAYOUTS: dict[str, Callable[[], tuple[Any, dict[str, Any]]]] = {
    "csr": lambda: (COUNTS, {}),
    "csr gzip": lambda: (COUNTS, {"compression": "gzip"}),
    "csr lzf": lambda: (COUNTS, {"compression": "lzf"}),
    "csc": lambda: (COUNTS.tocsc(), {}),
    "csc gzip": lambda: (COUNTS.tocsc(), {"compression": "gzip"}),
    "dense": lambda: (COUNTS.toarray(), {}),
    "dense gzip": lambda: (COUNTS.toarray(), {"compression": "gzip"}),
    "csr int64": lambda: (COUNTS.astype(np.int64), {}),
    "csr float64": lambda: (COUNTS.astype(np.float64), {}),
    "dense uint16": lambda: (COUNTS.toarray().astype(np.uint16), {}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_reads_as_anndata_reads_it(tmp_path, small_blocks, layout) -> None:
    matrix, how = LAYOUTS[layout]()
    path = write_h5ad(tmp_path / "a.h5ad", matrix, **how)
    parsed = read(path)
    expected = anndata.read_h5ad(path).X
    expected = expected.toarray() if sp.issparse(expected) else expected
    np.testing.assert_array_equal(whole(parsed.expression), expected)
    assert parsed.expression.shape == COUNTS.shape
    assert parsed.input_genes == tuple(f"G{i}" for i in range(11))


@pytest.mark.parametrize("layout", ["csr gzip", "csc", "dense", "dense gzip"])
def test_any_range_is_a_slice_of_the_whole(tmp_path, small_blocks, layout) -> None:
    matrix, how = LAYOUTS[layout]()
    expression = read(write_h5ad(tmp_path / "a.h5ad", matrix, **how)).expression
    all_rows = COUNTS.toarray()

    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, 23), st.one_of(st.none(), st.integers(0, 30)))
    def check(start: int, stop: int | None) -> None:
        np.testing.assert_array_equal(whole(expression, start, stop), all_rows[start:stop])

    check()


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.integers(0, 10_000),
    st.integers(1, 40),
    st.integers(1, 12),
    st.sampled_from(["i4", "i8", "u4", "u8"]),
    st.sampled_from(["i4", "i8", "u2"]),
    st.sampled_from(["csr", "csc"]),
)
def test_any_sparse_matrix_comes_back(
    tmp_path, small_blocks, seed, n_rows, n_columns, offsets, places, layout
) -> None:
    matrix = counts(n_rows, n_columns, seed)
    path = write_h5ad(tmp_path / "a.h5ad", matrix.asformat(layout))
    with h5py.File(path, "a") as file:
        for part in ("data", "indices", "indptr"):
            del file["X"][part]
        write_sparse(file["X"], matrix.asformat(layout), offsets=offsets, places=places)
    np.testing.assert_array_equal(whole(read(path).expression), matrix.toarray())


def test_blocks_hold_no_more_than_their_share(tmp_path, small_blocks) -> None:
    for layout in ("csr", "csc"):
        path = write_h5ad(tmp_path / f"{layout}.h5ad", COUNTS.asformat(layout))
        sizes = [block.nnz for block in read(path).expression.blocks()]
        assert max(sizes) <= 13
        assert len(sizes) > 3


@pytest.mark.parametrize("layout", ["csr", "csc", "dense"])
def test_rows_can_be_sent_to_another_process(tmp_path, layout) -> None:
    parsed = read(write_h5ad(tmp_path / "a.h5ad", LAYOUTS[layout]()[0]))
    sent = pickle.loads(pickle.dumps(parsed.expression))
    np.testing.assert_array_equal(whole(sent, 3, 9), COUNTS.toarray()[3:9])


def test_what_was_turned_over_goes_with_the_object(tmp_path) -> None:
    parsed = read(write_h5ad(tmp_path / "a.h5ad", COUNTS.tocsc()))
    scratch = parsed.expression.folder  # type: ignore[attr-defined]
    sent = pickle.loads(pickle.dumps(parsed.expression))
    del sent
    assert scratch.exists(), "a copy does not own the file"
    del parsed
    assert not scratch.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5ad"]


# --- which matrix ------------------------------------------------------------


def test_raw_and_layers_by_option(tmp_path) -> None:
    path = write_h5ad(
        tmp_path / "a.h5ad",
        COUNTS.log1p(),
        raw=COUNTS,
        layers={"counts": COUNTS.tocsc() * 2, "dense": COUNTS.toarray() * 3},
    )
    for matrix, factor in (("raw", 1), ("layers/counts", 2), ("layers/dense", 3)):
        parsed = read(path, matrix=matrix)
        np.testing.assert_array_equal(whole(parsed.expression), COUNTS.toarray() * factor)
    logged = read(path, unit="log2", matrix="X")
    np.testing.assert_allclose(whole(logged.expression), COUNTS.log1p().toarray())
    assert describe_h5ad(path).matrices == {
        "X": "csr, float32",
        "raw": "csr, float32",
        "layers/counts": "csc, float32",
        "layers/dense": "dense, float32",
    }


def test_counts_that_are_none_are_refused_with_what_else_there_is(tmp_path) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", COUNTS.log1p(), raw=COUNTS)
    with pytest.raises(SourceError, match=r"X holds 0\.69.* no count.*also holds raw: set `matrix"):
        read(path)
    path = write_h5ad(tmp_path / "b.h5ad", COUNTS.log1p())
    with pytest.raises(SourceError, match=r"b\.h5ad: X holds.*no raw and no layer: ask for the"):
        read(path)


@pytest.mark.parametrize("matrix", ["raw", "layers/counts"])
def test_a_matrix_that_is_not_there(tmp_path, matrix) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", COUNTS)
    with pytest.raises(SourceError, match=rf"has no {matrix}; it holds X: set the option"):
        read(path, matrix=matrix)


def test_other_names_of_matrices_are_no_option() -> None:
    for wrong in ("Raw", "layers/", "layers/a/b", "../X"):
        with pytest.raises(ValueError, match="matrix"):
            H5adOptions(matrix=wrong)


@pytest.mark.parametrize(
    ("declared", "stored", "says"),
    [
        ("array", "csr", "declared as 'array', but is a group of arrays"),
        ("csr_matrix", "dense", "declared as 'csr_matrix', but is one array"),
        ("csc_matrix", "csr", r"indptr has 24 offsets, expected 12"),
        ("awkward-array", "csr", "declared as 'awkward-array'; expected csr_matrix"),
        ("", "csr", "declared as 'nothing'"),
    ],
)
def test_a_matrix_that_is_not_what_it_declares(tmp_path, declared, stored, says) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", LAYOUTS[stored]()[0])
    with h5py.File(path, "a") as file:
        file["X"].attrs["encoding-type"] = declared
    with pytest.raises(SourceError, match=rf"a\.h5ad: X.*{says}"):
        read(path)


@pytest.mark.parametrize("layout", ["csr", "csc", "dense"])
def test_a_transposed_matrix_is_refused(tmp_path, layout) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", LAYOUTS[layout]()[0])
    other = write_h5ad(tmp_path / "b.h5ad", sp.csr_matrix(COUNTS.T))
    with h5py.File(path, "a") as file, h5py.File(other) as turned:
        for table in ("obs", "var"):
            del file[table]
            turned.copy(table, file)
    with pytest.raises(SourceError, match="X is 23 × 11, but there are 11 .*it is transposed"):
        read(path)


def test_observations_that_are_named_like_genes_are_refused(tmp_path) -> None:
    obs = pd.DataFrame(index=ensembl(23))
    path = write_h5ad(tmp_path / "a.h5ad", COUNTS, obs=obs)
    with pytest.raises(SourceError, match="100% of the observations are named like genes"):
        read(path)


# --- what is broken in a matrix ----------------------------------------------


def broken(group: h5py.Group, how: str) -> None:
    indptr, indices = group["indptr"], group["indices"]
    row = int(np.flatnonzero(np.diff(indptr[:]) > 1)[2])
    at = int(indptr[row])
    if how == "above range":
        indices[at] = 99
    elif how == "below range":
        indices[at] = -1
    elif how == "unsorted":
        indices[at], indices[at + 1] = indices[at + 1], indices[at]
    elif how == "repeated":
        indices[at + 1] = indices[at]
    elif how == "falling offsets":
        indptr[row + 1] = at - 1
    elif how == "offsets too far":
        indptr[-1] = indptr[-1] + 5
    elif how == "a row too long":
        indptr[1:-1] = indptr[-1]
    elif how == "lengths":
        kept = group["data"][:-1]
        del group["data"]
        group["data"] = kept
    elif how == "text":
        n = group["data"].size
        del group["data"]
        group.create_dataset("data", data=["1,234"] * n, dtype=h5py.string_dtype())


@pytest.mark.parametrize("layout", ["csr", "csc"])
@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("above range", r"holds the index 99, but only 0 to \d+ exist"),
        ("below range", r"holds the index -1, but only 0 to"),
        ("unsorted", r"indices of number \d+ are unsorted or repeated; .*sum_duplicates"),
        ("repeated", r"indices of number \d+ are unsorted or repeated"),
        ("falling offsets", r"indptr gives -\d+ values to number \d+"),
        ("offsets too far", r"indptr goes from 0 to \d+, expected 0 to"),
        ("a row too long", r"indptr gives \d+ values to number 0"),
        ("lengths", r"values and \d+ indices; expected as many"),
        ("text", "/data is object"),
    ],
)
def test_a_broken_matrix_is_refused_by_place(tmp_path, layout, how, says) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", COUNTS.asformat(layout))
    with h5py.File(path, "a") as file:
        broken(file["X"], how)
    with pytest.raises(SourceError, match=rf"a\.h5ad: X.*{says}"):
        whole(read(path).expression)
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5ad"], "nothing is left behind"


def test_disorder_across_windows_is_found(tmp_path, monkeypatch) -> None:
    column = sp.csc_matrix(np.ones((6, 1), np.float32))
    path = write_h5ad(tmp_path / "a.h5ad", column)
    with h5py.File(path, "a") as file:
        file["X/indices"][:] = [1, 3, 0, 2, 4, 5]
    monkeypatch.setattr(h5ad_matrix, "BLOCK_VALUES", 2)
    with pytest.raises(SourceError, match="indices of number 0 are unsorted"):
        read(path)


@pytest.mark.parametrize("value", [2**24 + 1, -(2**24) - 1])
@pytest.mark.parametrize("type_", ["i4", "i8", "f8"])
@pytest.mark.parametrize("layout", ["csr", "csc", "dense"])
def test_a_number_that_float32_would_round(tmp_path, layout, type_, value) -> None:
    matrix = COUNTS.astype(type_)
    matrix.data[-1] = value
    matrix = matrix.toarray() if layout == "dense" else matrix.asformat(layout)
    path = write_h5ad(tmp_path / "a.h5ad", matrix)
    with pytest.raises(SourceError, match=rf"X holds {value:,}, beyond .*float32 would round it"):
        whole(read(path, unit="log2").expression)


def test_a_dense_matrix_in_columns_is_refused_under_a_cap(tmp_path, monkeypatch) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", COUNTS)
    with h5py.File(path, "a") as file:
        del file["X"]
        made = file.create_dataset("X", data=COUNTS.toarray(), chunks=(23, 1), compression="gzip")
        made.attrs["encoding-type"] = "array"
    np.testing.assert_array_equal(whole(read(path).expression), COUNTS.toarray())
    monkeypatch.setattr(rows, "DENSE_CAP", 500)
    with pytest.raises(SourceError, match=r"X is dense, in chunks of \(23, 1\).*csr_matrix"):
        read(path)


def test_turning_over_needs_a_folder_to_write_in(tmp_path) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", COUNTS.tocsc())
    (tmp_path / "file").touch()
    with pytest.raises(SourceError, match="stored by genes .CSC. and cannot be turned over in"):
        read_h5ad(path, H5adOptions(), unit="counts", folder=tmp_path / "file")


def test_turning_over_needs_space(tmp_path, monkeypatch) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", COUNTS.tocsc())
    monkeypatch.setattr(h5ad_matrix.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10}))
    with pytest.raises(SourceError, match=r"takes [\d,]+ bytes in .*, and 10 are free"):
        read(path)


# --- names and labels --------------------------------------------------------


def described() -> pd.DataFrame:
    kinds = pd.Categorical([None if i == 4 else "TB"[i % 2] for i in range(23)])
    return pd.DataFrame(
        {
            "cell_type": kinds,
            "donor": pd.Categorical([f"d{i % 3}" for i in range(23)]),
            "cluster": np.arange(23) % 4,
            "kept": np.arange(23) % 2 == 0,
            "nullable": pd.array([None if i == 2 else i for i in range(23)], dtype="Int64"),
            "truth": pd.array([None if i == 2 else True for i in range(23)], dtype="boolean"),
            "whole": [np.nan if i == 1 else float(i) for i in range(23)],
            "fraction": np.linspace(0, 1, 23),
            "plain": [f"p{i}" for i in range(23)],
        },
        index=[f"c{i}" for i in range(23)],
    )


def test_columns_become_groups_and_labels(tmp_path) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", COUNTS, obs=described())
    parsed = read(
        path,
        group="donor",
        labels={"cell_type": "cell_type", "batch": "cluster"},
        constants={"tissue": "blood"},
        missing=("B",),
    )
    assert parsed.observations["observation_id"].to_list() == [f"c{i}" for i in range(23)]
    assert parsed.observations["group_id"].to_list() == [f"d{i % 3}" for i in range(23)]
    assert parsed.observations["cell_type"].to_list()[:5] == ["T", None, "T", None, None]
    assert parsed.observations["batch"].to_list()[:5] == ["0", "1", "2", "3", "0"]
    assert set(parsed.observations["tissue"]) == {"blood"}
    assert read(path).observations["group_id"].to_list() == [f"c{i}" for i in range(23)]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("nullable", ["0", "1", None]),
        ("truth", ["True", "True", None]),
        ("whole", ["0", None, "2"]),
        ("kept", ["True", "False", "True"]),
        ("plain", ["p0", "p1", "p2"]),
    ],
)
def test_columns_of_every_kind_are_text(tmp_path, field, expected) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", COUNTS, obs=described())
    assert read(path, labels={"batch": field}).observations["batch"].to_list()[:3] == expected


def test_nullable_text(tmp_path) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", COUNTS)
    text = pd.array([None if i == 1 else f"t{i}" for i in range(23)], dtype="string")
    with (
        anndata.settings.override(allow_write_nullable_strings=True),
        h5py.File(path, "a") as file,
    ):
        anndata.io.write_elem(file["obs"], "text", text)
        assert set(file["obs/text"]) == {"values", "mask"}
    labels = read(path, labels={"batch": "text"}).observations["batch"]
    assert labels.to_list()[:3] == ["t0", None, "t2"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"group": "nix"}, r"obs has no 'nix'; found \['_index', 'cell_type'"),
        ({"group": "cell_type"}, r"obs\['cell_type'\]: 1 observations are of no group"),
        ({"labels": {"batch": "fraction"}}, "not a column of text or whole numbers but of float64"),
        ({"observations": "donor"}, "ids are not unique: 'd0'"),
        ({"observations": "cell_type"}, "some observations have no id"),
        ({"genes": "nix"}, "var has no 'nix'"),
    ],
)
def test_fields_that_do_not_fit_are_refused(tmp_path, options, says) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", COUNTS, obs=described())
    with pytest.raises(SourceError, match=rf"a\.h5ad: .*{says}"):
        read(path, **options)


@pytest.mark.parametrize("value", [1e300, -1e300, 2.0**53 + 2])
@pytest.mark.parametrize("options", [{"labels": {"batch": "large"}}, {"observations": "large"}])
def test_a_float_that_no_integer_holds_is_no_name(tmp_path, value, options) -> None:
    """Cast to an integer, it would become −9223372036854775808, and several would be one."""
    obs = described().assign(large=np.arange(23.0) + 1)
    obs.loc["c5", "large"] = value
    path = write_h5ad(tmp_path / "a.h5ad", COUNTS, obs=obs)
    with pytest.raises(SourceError, match="not a column of text or whole numbers but of float64"):
        read(path, **options)


def test_repeated_observations_are_refused_with_the_remedy(tmp_path) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", COUNTS)
    with h5py.File(path, "a") as file:
        file["obs/_index"][7] = "c3"
    with pytest.raises(SourceError, match=r"obs_names_make_unique.*not unique: 'c3'"):
        read(path)


def test_text_that_is_not_utf_8_is_refused(tmp_path) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", COUNTS)
    with h5py.File(path, "a") as file:
        del file["obs/_index"]
        file["obs/_index"] = np.array([b"caf\xe9%d" % i for i in range(23)])
    with pytest.raises(SourceError, match=r"a\.h5ad: holds text that is not UTF-8"):
        read(path)


@pytest.mark.parametrize("codes", [[5] * 23, [-2] * 23])
def test_codes_without_a_category_are_refused(tmp_path, codes) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", COUNTS, obs=described())
    with h5py.File(path, "a") as file:
        file["obs/donor/codes"][:] = codes
    with pytest.raises(SourceError, match=r"obs\['donor'\]: codes from .* for 3 categories"):
        read(path, group="donor")


def test_columns_of_other_lengths_are_refused(tmp_path) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", COUNTS, obs=described())
    with h5py.File(path, "a") as file:
        kept = file["obs/donor/codes"][:-1]
        del file["obs/donor/codes"]
        file["obs/donor/codes"] = kept
    for options in ({"group": "donor"}, {"labels": {"batch": "donor"}}):
        with pytest.raises(SourceError, match=r"obs: 22 values of (group|batch) for 23 ids"):
            read(path, **options)


# --- genes -------------------------------------------------------------------


def test_ensembl_ids_win_over_symbols(tmp_path) -> None:
    var = pd.DataFrame(
        {"gene_ids": ensembl(11), "length": np.arange(11) * 1.5, "ensembl_version": 1.5},
        index=[f"G{i}" for i in range(11)],
    )
    path = write_h5ad(tmp_path / "a.h5ad", COUNTS, var=var)
    parsed = read(path)
    assert parsed.input_genes[:2] == ("G0", "G1")
    assert parsed.symbols == tuple(ensembl(11))
    contents = describe_h5ad(path)
    assert contents.genes == "gene_ids"
    assert contents.genes_because == "100.0% of 'gene_ids' are human Ensembl ids"
    assert read(path, genes="_index").symbols[0] == "G0"


def test_an_index_of_ensembl_ids_stays(tmp_path) -> None:
    var = pd.DataFrame({"gene_ids": [f"x{i}" for i in range(11)]}, index=ensembl(11))
    assert describe_h5ad(write_h5ad(tmp_path / "a.h5ad", COUNTS, var=var)).genes == "_index"


def test_without_ids_the_index_is_looked_up_and_it_is_said(tmp_path) -> None:
    contents = describe_h5ad(write_h5ad(tmp_path / "a.h5ad", COUNTS))
    assert contents.genes_because == (
        "no field holds human Ensembl ids, so names are the index, '_index'"
    )
    assert (contents.n_observations, contents.n_genes) == (23, 11)
    assert contents.matrix == "X"


def test_repeated_names_of_genes_are_distinguished(tmp_path) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", COUNTS)
    with h5py.File(path, "a") as file:
        file["var/_index"][5] = "G1"
    parsed = read(path)
    assert parsed.input_genes[5] == "G1#2"
    assert parsed.symbols[5] == "G1"


# --- age ---------------------------------------------------------------------


def test_a_file_of_anndata_0_6(tmp_path) -> None:
    path = write_h5ad_0_6(tmp_path / "a.h5ad", COUNTS)
    parsed = read(path, matrix="raw", labels={"cell_type": "louvain"}, group="donor")
    np.testing.assert_array_equal(whole(parsed.expression), COUNTS.toarray())
    assert parsed.observations["cell_type"].to_list()[:4] == [None, "B", "T", None]
    assert parsed.observations["group_id"].to_list()[:3] == ["0", "1", "0"]
    assert parsed.observations["observation_id"][22] == "c22"
    assert (parsed.input_genes[1], parsed.symbols[1]) == ("G1", "ENSG00000000002")


def test_a_file_of_anndata_0_7(tmp_path) -> None:
    path = write_h5ad_0_7(tmp_path / "a.h5ad", COUNTS)
    parsed = read(path, labels={"cell_type": "cell_type"})
    np.testing.assert_array_equal(whole(parsed.expression), COUNTS.toarray())
    assert parsed.observations["cell_type"].to_list()[:4] == [None, "B", "T", None]
    assert "__categories" not in describe_h5ad(path).observation_fields


# --- CELLxGENE ---------------------------------------------------------------


def test_cellxgene_needs_no_options(tmp_path) -> None:
    path = cellxgene(tmp_path / "a.h5ad")
    parsed = read(path)
    np.testing.assert_array_equal(whole(parsed.expression), COUNTS.toarray()[:, :10])
    first = parsed.observations.row(0, named=True)
    assert first == {
        "observation_id": "c0",
        "group_id": "d0",
        "batch": None,
        "cell_type": "T cell",
        "tissue": "blood",
        "tissue_subtype": None,
        "diagnosis": "normal",
    }
    assert parsed.observations["cell_type"][22] is None, "unknown is no type of cell"
    assert [(item.input_id, item.reason) for item in parsed.quarantined] == [
        ("ERCC-00002", "control_feature")
    ]
    assert describe_h5ad(path).follows_cellxgene
    assert describe_h5ad(path).matrix == "raw"
    assert read(path, group=None, labels={}).observations["group_id"][0] == "c0"


@pytest.mark.parametrize("layout", ["csr", "csc", "dense"])
def test_genes_that_cellxgene_filtered_are_kept_out_of_x(tmp_path, small_blocks, layout) -> None:
    path = cellxgene(tmp_path / "a.h5ad")
    with h5py.File(path, "a") as file:
        del file["X"]
        with h5py.File(write_h5ad(tmp_path / "b.h5ad", LAYOUTS[layout]()[0]), "r") as other:
            other.copy("X", file)
    parsed = read(path, matrix="X")
    expected = COUNTS.toarray()[:, [0, *range(2, 10)]]
    np.testing.assert_array_equal(whole(parsed.expression), expected)
    np.testing.assert_array_equal(whole(parsed.expression, 4, 17), expected[4:17])
    assert {item.input_id: item.reason for item in parsed.quarantined} == {
        "ENSG00000000002": "filtered_by_publisher",
        "ERCC-00002": "control_feature",
    }
    assert parsed.expression.shape == (23, 9) == (23, len(parsed.symbols))


@pytest.mark.parametrize("where", ["obs", "uns"])
def test_other_organisms_are_refused(tmp_path, where) -> None:
    if where == "obs":
        path = cellxgene(tmp_path / "a.h5ad", organism="Mus musculus")
        says = "Mus musculus"
    else:
        uns = {"organism_ontology_term_id": "NCBITaxon:10090"}
        path, says = cellxgene(tmp_path / "a.h5ad", uns=uns), "NCBITaxon:10090"
    with pytest.raises(SourceError, match=f"holds cells of {says}; only Homo sapiens"):
        read(path)


@pytest.mark.parametrize("where", ["obs", "uns"])
def test_a_file_that_says_that_it_was_generated_is_refused(tmp_path, where) -> None:
    obs = pd.DataFrame({"generated": [at == 3 for at in range(23)]}, index=[*map(str, range(23))])
    marked = {"obs": obs} if where == "obs" else {"uns": {"generated": True}}
    with pytest.raises(SourceError, match="a generated profile is no measurement"):
        read(write_h5ad(tmp_path / "a.h5ad", COUNTS, **marked))
    obs["generated"] = False
    read(write_h5ad(tmp_path / "b.h5ad", COUNTS, obs=obs, uns={"generated": False}))


# --- vectors -----------------------------------------------------------------


def test_vectors_of_obsm(tmp_path) -> None:
    vectors = np.arange(46, dtype=np.float64).reshape(23, 2)
    path = write_h5ad(tmp_path / "a.h5ad", COUNTS, obsm={"X_pca": vectors, "s": COUNTS})
    ids, read_back = read_obsm(path, "X_pca")
    assert ids[:2] == ("c0", "c1")
    assert read_back.dtype == np.float32
    np.testing.assert_array_equal(read_back, vectors)
    with pytest.raises(SourceError, match=r"has no 'obsm/nix'; found \['X_pca', 's'\]"):
        read_obsm(path, "nix")
    with pytest.raises(SourceError, match="obsm/s is not a dense array"):
        read_obsm(path, "s")
    with h5py.File(path, "a") as file:
        file["obsm/X_pca"][5, 1] = np.nan
    with pytest.raises(SourceError, match="obsm/X_pca is not finite at 'c5'"):
        read_obsm(path, "X_pca")


# --- through the catalogue ---------------------------------------------------


def test_through_a_catalogue_entry(make_archives, tmp_path) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", COUNTS, obs=described())
    options = {"group": "donor", "labels": {"cell_type": "cell_type"}}
    entry = collection_entry("h5ad", "counts", "x", **options)
    archives = make_archives(collections={"c": entry}, x=path.read_bytes())
    parsed = parse_collection(archives, archives.catalogue.collections["c"])
    np.testing.assert_array_equal(whole(parsed.expression), COUNTS.toarray())


@pytest.mark.skipif(not PBMC.exists(), reason="the mirror of public files is not here")
def test_the_mirrors_cells_are_what_anndata_reads() -> None:
    parsed = read(PBMC, labels={"cell_type": "cell_type"}, missing=("unassigned(QC-filtered)",))
    expected = anndata.read_h5ad(PBMC)
    assert parsed.expression.shape == (2_700, 32_738)
    mine = sp.vstack(list(parsed.expression.blocks()))
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(mine, part), getattr(expected.X, part))
    assert parsed.observations["observation_id"].to_list() == list(expected.obs_names)
    assert parsed.symbols == tuple(expected.var["ensembl_id_10x_hg19"])
    assert [name.split("#")[0] for name in parsed.input_genes] == list(expected.var_names)
    types = parsed.observations["cell_type"]
    assert types.null_count() == 62
    assert types.drop_nulls().n_unique() == 9
    labelled = parsed.observations.filter(pl.col("cell_type").is_not_null())
    of_anndata = expected.obs["cell_type"].astype(str)
    assert labelled["cell_type"].to_list() == [
        label for label in of_anndata if label != "unassigned(QC-filtered)"
    ]
