"""Effects from expression: planted ones are found, of nothing at most the nominal rate."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import false_discovery_control, ttest_ind_from_stats
from screen_h5ad import (
    N_GENES,
    SYMBOLS,
    cell_counts,
    planted_folds,
    write_cells,
    write_pseudobulk,
    write_single_cells,
)

from genept.common.errors import SourceError
from genept.datasources.screen_files import read_screen
from genept.perturbations.effect_rules import discoveries, prepare
from genept.perturbations.measured_screens import sampled


def effects(path, most_values: int = 1 << 22):
    """Tested, differential and up of all perturbations of a file, side by side."""
    prepared = prepare(read_screen(path), most_values)
    chunks = list(prepared.chunks())
    arrays = [np.concatenate([chunk[at] for chunk in chunks]) for at in range(4)]
    assert (arrays[0] == prepared.groups).all()
    return prepared, *arrays[1:]


@pytest.mark.parametrize("write", [write_single_cells, write_pseudobulk])
def test_planted_effects_are_found_with_their_direction(tmp_path, write) -> None:
    folds = planted_folds(30)
    _, tested, differential, up = effects(write(tmp_path / "screen.h5ad", folds))
    changed = folds != 0
    assert tested.all()
    assert differential[changed].mean() > 0.95
    assert differential[~changed].mean() < 0.03
    hit = differential & changed
    assert (up[hit] == (folds[hit] > 0)).all()


@pytest.mark.parametrize("write", [write_single_cells, write_pseudobulk])
@pytest.mark.parametrize("seed", [1, 2])
def test_of_nothing_at_most_the_nominal_rate_is_found(tmp_path, write, seed: int) -> None:
    nothing = np.zeros((100, N_GENES))
    few = {"cells": 25} if write is write_single_cells else {}
    path = write(tmp_path / "null.h5ad", nothing, seed=seed, **few)
    _, tested, differential, _ = effects(path)
    assert tested.all()
    # All of them are false, so each perturbation that has one counts: 5 % of 100, and chance.
    assert differential.any(axis=1).sum() <= 10
    assert differential.mean() < 0.002


def test_the_statistic_is_welchs_with_at_least_the_variance_of_controls(tmp_path) -> None:
    folds = planted_folds(3, seed=4)
    counts = cell_counts(folds, 40, 90, seed=5)
    labels = [name for name in SYMBOLS[:3] for _ in range(40)] + ["control"] * 90
    _, _, differential, _ = effects(write_cells(tmp_path / "cells.h5ad", labels, counts))
    scaled = np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True))
    controls = scaled[120:]
    for at in range(3):
        own = scaled[40 * at : 40 * at + 40]
        deviation = np.maximum(own.std(axis=0, ddof=1), controls.std(axis=0, ddof=1))
        p = ttest_ind_from_stats(
            *(own.mean(axis=0), deviation, len(own)),
            *(controls.mean(axis=0), controls.std(axis=0, ddof=1), len(controls)),
            equal_var=False,
        ).pvalue
        fold = np.log2(np.expm1(own.mean(axis=0)) / np.expm1(controls.mean(axis=0)))
        expected = (false_discovery_control(p) <= 0.05) & (np.abs(fold) >= 0.25)
        assert (differential[at] == expected).all()


@pytest.mark.parametrize("write", [write_single_cells, write_pseudobulk])
def test_chunks_of_perturbations_change_nothing(tmp_path, write) -> None:
    path = write(tmp_path / "screen.h5ad", planted_folds(9))
    _, *whole = effects(path)
    _, *pieces = effects(path, 2 * N_GENES)
    for one, other in zip(whole, pieces, strict=True):
        assert (one == other).all()


def test_rare_genes_and_perturbations_of_few_cells_are_not_tested(tmp_path) -> None:
    counts = cell_counts(np.zeros((2, N_GENES)), 30, 50)
    counts[:, 7] = 0
    counts[0, 7] = 1
    labels = [SYMBOLS[0]] * 30 + [SYMBOLS[1]] * 24 + ["other_than+this"] * 6 + ["control"] * 50
    prepared, tested, _, _ = effects(write_cells(tmp_path / "cells.h5ad", labels, counts))
    assert prepared.groups.tolist() == [0]
    assert prepared.n_few == 1
    assert not tested[:, 7].any()
    assert tested.sum() == N_GENES - 1


def test_a_gene_that_is_infinite_or_constant_is_not_tested(tmp_path) -> None:
    import anndata

    path = write_pseudobulk(tmp_path / "bulk.h5ad", planted_folds(4))
    data = anndata.read_h5ad(path)
    data.X[1, 3] = np.inf  # as deposited: z-scores of a gene without variance
    data.X[4:, 5] = 0.25
    data.X[:, 6] = np.nan
    data.write_h5ad(path)
    _, tested, differential, _ = effects(path)
    expected = np.ones((4, N_GENES), bool)
    expected[1, 3] = False
    expected[:, [5, 6]] = False
    assert (tested == expected).all()
    assert not differential[~expected].any()


def test_without_control_rows_values_are_z_scores(tmp_path) -> None:
    folds = planted_folds(20)
    path = write_pseudobulk(tmp_path / "z.h5ad", folds, controls=0, scale=1)
    prepared, _, differential, _ = effects(path)
    assert "z-scores as published" in prepared.rule
    assert differential[folds != 0].mean() > 0.95
    import anndata

    data = anndata.read_h5ad(path)
    data.X = np.abs(data.X)
    data.write_h5ad(path)
    with pytest.raises(SourceError, match="0 rows are controls, and no value is negative"):
        prepare(read_screen(path), 1 << 20)


def test_too_few_controls_or_cells_are_refused(tmp_path) -> None:
    counts = cell_counts(np.zeros((1, N_GENES)), 30, 24)
    path = write_cells(tmp_path / "a.h5ad", [SYMBOLS[0]] * 30 + ["control"] * 24, counts)
    with pytest.raises(SourceError, match="24 cells are controls"):
        prepare(read_screen(path), 1 << 20)
    path = write_cells(tmp_path / "b.h5ad", [SYMBOLS[0]] * 24 + ["control"] * 30, counts)
    with pytest.raises(SourceError, match="no perturbation has 25 cells; the largest has 24"):
        prepare(read_screen(path), 1 << 20)


def test_discoveries_are_those_of_benjamini_and_hochberg() -> None:
    rng = np.random.default_rng(0)
    p = rng.random((50, 30)) ** 3
    expected = false_discovery_control(p, axis=1) <= 0.05
    assert (discoveries(p) == expected).all()
    with_gap = np.insert(p, 7, np.nan, axis=1)
    assert (np.delete(discoveries(with_gap), 7, axis=1) == expected).all()
    assert not discoveries(with_gap)[:, 7].any()
    assert not discoveries(np.full((2, 3), np.nan)).any()


def test_a_sample_of_pairs_is_of_its_share_and_of_the_names_alone() -> None:
    rows, columns = [f"P{at}" for at in range(300)], [f"M{at}" for at in range(400)]
    chosen = sampled(rows, columns, 0.2)
    assert abs(chosen.mean() - 0.2) < 0.01
    assert abs(chosen.mean(axis=0) - 0.2).max() < 0.15
    assert abs(chosen.mean(axis=1) - 0.2).max() < 0.15
    assert (sampled(rows[5:9], columns[::-1], 0.2) == chosen[5:9, ::-1]).all()
    assert sampled(rows, columns, 1.0).all()
    assert not sampled(rows, columns, 0.0).any()
