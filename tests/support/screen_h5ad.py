"""Made-up screens of perturbations in h5ad, in the styles of Replogle et al. and of scPerturb."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from planted import gene, reference_of
from scipy.sparse import csr_matrix

from genept.nomenclature.reference import Reference

N_GENES = 120
SYMBOLS = [f"GEN{number}A" for number in range(1, N_GENES + 1)]
IDS = [f"ENSG{number:011d}" for number in range(1, N_GENES + 1)]
REFERENCE = Reference(
    "hgnc-test",
    reference_of(*(gene(number, name) for number, name in enumerate(SYMBOLS, start=1))),
)


def planted_folds(n: int, seed: int = 0, changed: int = 12) -> np.ndarray:
    """Log2 fold changes of `n` perturbations on every gene: some are 2 up or 2 down, most are 0."""
    rng = np.random.default_rng(seed)
    folds = np.zeros((n, N_GENES))
    for row in folds:
        row[rng.choice(N_GENES, changed, replace=False)] = rng.choice([-2.0, 2.0], changed)
    return folds


def cell_counts(folds: np.ndarray, cells: int, controls: int, seed: int = 0) -> np.ndarray:
    """Counts of cells: those of each perturbation in turn, then those of the controls."""
    rng = np.random.default_rng(seed)
    base = rng.gamma(2, 2, N_GENES) + 0.5
    rates = np.vstack([np.repeat(base * 2.0**folds, cells, axis=0), np.tile(base, (controls, 1))])
    depth = rng.lognormal(0, 0.3, (len(rates), 1))
    return rng.poisson(rates * depth * rng.gamma(5, 0.2, rates.shape)).astype(np.float32)


def write_cells(
    path: Path, labels: list[str], counts: np.ndarray, *, lines: list[str] | None = None
) -> Path:
    """An h5ad in the style of scPerturb: a row a cell, symbols, `perturbation`, `cell_line`."""
    obs = pd.DataFrame(
        {"perturbation": labels, "cell_line": lines or ["K562"] * len(labels)},
        index=[f"cell-{at}" for at in range(len(labels))],
    )
    obs["perturbation"] = obs["perturbation"].astype("category")
    var = pd.DataFrame({"ensembl_id": IDS}, index=SYMBOLS)
    anndata.AnnData(csr_matrix(counts), obs=obs, var=var).write_h5ad(path)
    return path


def write_single_cells(
    path: Path, folds: np.ndarray, *, cells: int = 60, controls: int = 400, seed: int = 0
) -> Path:
    """Cells with planted effects: gene 1 is perturbed by the first row of `folds`, and so on."""
    labels = [SYMBOLS[at] for at in range(len(folds)) for _ in range(cells)]
    return write_cells(
        path, labels + ["control"] * controls, cell_counts(folds, cells, controls, seed)
    )


def write_pseudobulk(
    path: Path, folds: np.ndarray, *, controls: int = 60, seed: int = 0, scale: float = 0.1
) -> Path:
    """An h5ad in the style of Replogle et al.: a row a perturbation, Ensembl ids, z-scores."""
    rng = np.random.default_rng(seed)
    n = len(folds)
    values = scale * (rng.standard_normal((n + controls, N_GENES)) + 0.2)
    values[:n] += scale * 4 * folds
    names = [f"{at}_{SYMBOLS[at]}_P1P2_{IDS[at]}" for at in range(n)]
    names += [f"{n + at}_non-targeting_non-targeting_non-targeting" for at in range(controls)]
    obs = pd.DataFrame({"num_cells": 80}, index=pd.Index(names, name="gene_transcript"))
    var = pd.DataFrame({"gene_name": SYMBOLS}, index=pd.Index(IDS, name="gene_id"))
    anndata.AnnData(values.astype(np.float32), obs=obs, var=var).write_h5ad(path)
    return path
