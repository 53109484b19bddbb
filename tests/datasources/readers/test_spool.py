from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix, vstack
from sources_files import numbers

from genept.common.errors import SourceError
from genept.datasources.readers import spool as spools
from genept.datasources.readers import spool as triplets
from genept.datasources.readers.assembly import SelectedRows, selected
from genept.datasources.readers.parsed import InMemory
from genept.datasources.readers.spool import (
    Buckets,
    Spool,
    made_once,
    write_gene_means,
    write_panel,
)


def spooled(folder: Path, values: Any, widths: tuple[int, ...], **changes: Any) -> Spool:
    first = 0
    for panel, width in enumerate(widths):
        write_panel(folder, panel, [csr_matrix(values[:, first : first + width])])
        first += width
    return Spool(folder, values.shape, widths, **changes)


def read(expression: Any, start: int = 0, stop: int | None = None) -> Any:
    blocks = list(expression.blocks(start, stop))
    for block in blocks:
        assert block.dtype == np.float32
        assert block.indices.dtype == np.int32
        assert block.has_sorted_indices
    empty = csr_matrix((0, expression.shape[1]), dtype=np.float32)
    return vstack([empty, *blocks]).toarray()


VALUES = numbers((1300, 17))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1400), st.integers(0, 1400), st.sampled_from([(17,), (5, 12), (1, 8, 8)]))
def test_any_range_of_rows_is_read_from_any_panels(
    tmp_path_factory: pytest.TempPathFactory, start: int, stop: int, widths: tuple[int, ...]
) -> None:
    spool = spooled(tmp_path_factory.mktemp("s"), VALUES, widths)
    np.testing.assert_array_equal(read(spool, start, stop), VALUES[start:stop])


def test_a_spool_is_sent_to_another_process_as_a_path(tmp_path: Path) -> None:
    spool = spooled(tmp_path, VALUES, (9, 8))
    sent = pickle.dumps(spool)
    assert len(sent) < 2000
    np.testing.assert_array_equal(read(pickle.loads(sent), 600, 700), VALUES[600:700])
    np.testing.assert_array_equal(spool.stored(), (VALUES != 0).sum(axis=1))


def test_blocks_are_bounded_by_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spools, "BLOCK_VALUES", 40)
    spool = spooled(tmp_path, VALUES, (17,))
    sizes = [block.nnz for block in spool.blocks()]
    assert max(sizes) <= 40
    assert sum(sizes) == (VALUES != 0).sum()


def test_missing_values_are_read_as_means_and_a_mean_of_zero_is_not_stored(tmp_path: Path) -> None:
    values = np.array([[np.nan, 2, 0], [1, np.nan, 3]], np.float32)
    spool = spooled(tmp_path, values, (2, 1), imputed=True)
    write_gene_means(tmp_path, np.array([7, 0, 1], np.float32))
    np.testing.assert_array_equal(read(spool), [[7, 2, 0], [1, 0, 3]])
    assert sum(block.nnz for block in spool.blocks()) == 4


def test_a_spool_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    spool = spooled(tmp_path, VALUES, (17,))
    data = tmp_path / "00000.data"
    os.truncate(data, data.stat().st_size - 4)
    with pytest.raises(SourceError, match="was cut short: remove its folder and run again"):
        read(spool)


def test_a_folder_is_made_once_and_whole_or_not_at_all(tmp_path: Path) -> None:
    def fails(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise SourceError("bad")

    with pytest.raises(SourceError, match="bad"):
        made_once(tmp_path, "k", fails)
    assert list(tmp_path.iterdir()) == []
    made_once(tmp_path, "k", lambda folder: (folder / "whole").touch())
    assert (made_once(tmp_path, "k", fails) / "whole").exists()


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    def fails(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(SourceError, match="no space left in"):
        made_once(tmp_path, "k", fails)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from([7, 50, 10_000]))
def test_triplets_in_any_order_become_rows(
    tmp_path_factory: pytest.TempPathFactory, seed: int, bucket: int
) -> None:
    folder = tmp_path_factory.mktemp("b")
    rng = np.random.default_rng(seed)
    values = numbers((60, 9), seed)
    rows, columns = np.nonzero(values)
    order = rng.permutation(len(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(triplets, "BUCKET_VALUES", bucket)
        buckets = Buckets(folder, (60, 9), len(rows))
    for part in np.array_split(order, 3):
        buckets.add(rows[part], columns[part], values[rows[part], columns[part]])
    blocks = list(buckets.blocks("x"))
    np.testing.assert_array_equal(vstack(blocks).toarray(), values)
    assert list(folder.iterdir()) == []


def test_two_values_of_one_gene_are_refused(tmp_path: Path) -> None:
    buckets = Buckets(tmp_path, (3, 3), 2)
    once = np.array([1])
    for value in (1, 2):
        buckets.add(once, once + 1, np.array([value], np.float32))
    with pytest.raises(SourceError, match="x: observation 2 has two values of gene 3"):
        list(buckets.blocks("x"))


def test_two_values_of_one_gene_are_refused_before_the_rest_is_read(tmp_path: Path) -> None:
    buckets = Buckets(tmp_path, (3, 3), 2)
    rows, columns = np.array([1, 0, 1]), np.array([2, 2, 2])
    with pytest.raises(SourceError, match="^observation 2 has two values of gene 3"):
        buckets.add(rows, columns, np.array([1, 2, 3], np.float32))
    assert list(tmp_path.iterdir()) == []


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_selected_rows_are_those_that_were_kept(data: st.DataObject) -> None:
    whole = InMemory(csr_matrix(VALUES))
    share = data.draw(st.sampled_from([0.002, 0.5, 0.999]))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    kept = np.flatnonzero(rng.random(1300) < share)
    some = SelectedRows(whole, kept)
    start, stop = data.draw(st.integers(0, 1400)), data.draw(st.integers(0, 1400))
    assert some.shape == (len(kept), 17)
    np.testing.assert_array_equal(read(some, start, stop), VALUES[kept][start:stop])


def test_all_rows_are_the_expression_itself() -> None:
    whole = InMemory(csr_matrix(VALUES))
    assert selected(whole, np.ones(1300, bool)) is whole
