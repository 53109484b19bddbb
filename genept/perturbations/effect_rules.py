"""Which genes a perturbation changes, by stated rules, from the expression of a screen.

The sums that they are made of are `genept.perturbations.effect_sums`; reading a file is
`genept.datasources.screen_files`; what names mean is `genept.perturbations.measured_screens`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genept.benchmarks import Floats
from genept.common import SourceError
from genept.datasources import CONTROL, ScreenExpression
from genept.nomenclature import Flags
from genept.perturbations.effect_sums import (
    MOST_VALUES,
    PER_CELL,
    blocks,
    group_chunks,
    group_sums,
    log_scaled,
    variance_of,
)

FALSE_DISCOVERIES: Final = 0.05
"""Rate of false discoveries within a perturbation, by Benjamini and Hochberg."""

MIN_Z: Final = 2.0
"""Of pseudobulk: least |z|."""

MIN_CONTROL_ROWS: Final = 10
"""Of pseudobulk: fewest control rows that z-scores are made of; with fewer, the values are taken
to be z-scores."""

MIN_CELLS: Final = 25
"""Of single cells: fewest cells of a perturbation, and of controls."""

MIN_FOLD: Final = 0.25
"""Of single cells: least |log2 fold change|."""

MIN_EXPRESSED: Final = 0.05
"""Of single cells: least share of cells that express a gene."""


class EffectChunk(NamedTuple):
    """The effects of some perturbations on every tested gene.

    Parameters
    ----------
    groups
        Numbers of the perturbations, shape (n,).
    tested, differential, up
        Whether the gene could be tested, is differentially expressed, and is higher than in
        controls; shape (n, n_genes).
    """

    groups: NDArray[np.int64]
    tested: Flags
    differential: Flags
    up: Flags


@dataclass(frozen=True)
class Prepared:
    """What is to be tested in a screen, and how.

    Parameters
    ----------
    groups
        Numbers of the perturbations that have enough rows.
    n_few
        Number of those that have not.
    genes
        Whether a gene is tested, shape (n_genes,).
    chunks
        Makes the effects, chunk by chunk.
    rule
        The rule in words, with its parameters.
    """

    groups: NDArray[np.int64]
    n_few: int
    genes: Flags
    chunks: Callable[[], Iterator[EffectChunk]]
    rule: str


def prepare(screen: ScreenExpression, most_values: int = MOST_VALUES) -> Prepared:
    """Read the controls of a screen, and prepare the tests against them.

    Parameters
    ----------
    screen
        The screen.
    most_values
        Perturbations × genes that are held in memory together.

    Returns
    -------
    Prepared
        Their chunks are computed when they are asked for.

    Raises
    ------
    SourceError
        There are too few controls, no perturbation has enough rows, or values are impossible.
    """
    return (_single_cells if screen.style == "single_cell" else _pseudobulk)(screen, most_values)


def discoveries(p: Floats, rate: float = FALSE_DISCOVERIES) -> Flags:
    """Choose tests by the procedure of Benjamini and Hochberg, row by row.

    Parameters
    ----------
    p
        p-values, shape (n_rows, n_tests); NaN: not tested.
    rate
        Rate of false discoveries.

    Returns
    -------
    NDArray of bool
        Which are discoveries, shape (n_rows, n_tests).
    """
    ordered = np.sort(p, axis=1)  # NaN comes last
    n = np.isfinite(p).sum(axis=1, keepdims=True)
    limit = rate * np.arange(1, p.shape[1] + 1) / np.maximum(n, 1)
    below = np.where(ordered <= limit, ordered, -1.0)
    return np.asarray(p <= below.max(axis=1, keepdims=True, initial=-1.0))


def _pseudobulk(screen: ScreenExpression, most_values: int) -> Prepared:
    from scipy.special import ndtr, stdtr

    n_genes = len(screen.measured)
    of_controls = screen.group == CONTROL
    n_controls = int(of_controls.sum())
    total, squares, lowest = np.zeros(n_genes), np.zeros(n_genes), 0.0
    for rows, block in blocks(screen):
        lowest = min(lowest, float(block.data.min(initial=0)))
        values = block[of_controls[rows]].toarray().astype(np.float64)
        total += values.sum(axis=0)
        squares += (values**2).sum(axis=0)
    scaled = n_controls >= MIN_CONTROL_ROWS
    if not scaled and lowest >= 0:
        raise SourceError(
            f"{n_controls} rows are controls, and no value is negative: expected z-scores, or at "
            f"least {MIN_CONTROL_ROWS} rows of non-targeting controls to make them of"
        )
    mean, deviation = np.zeros(n_genes), np.ones(n_genes)
    if scaled:
        mean = total / n_controls
        deviation = np.sqrt(variance_of(total, squares, n_controls))
    sizes = np.bincount(screen.group[screen.group >= 0], minlength=len(screen.perturbed))
    groups = np.flatnonzero(sizes)
    genes = np.isfinite(mean) & np.isfinite(deviation) & (deviation > 1e-6)

    def chunks() -> Iterator[EffectChunk]:
        for own in group_chunks(groups, n_genes, most_values):
            summed, _ = group_sums(screen, own, lambda block, _: block)
            n = sizes[own][:, None].astype(np.float64)
            with np.errstate(invalid="ignore", divide="ignore"):
                z = (summed - n * mean) / (np.sqrt(n) * deviation)
                t = z / np.sqrt(1 + n / n_controls) if scaled else z
            tested = genes & np.isfinite(t)
            tail = -np.abs(np.where(tested, t, 0))
            p = 2 * (stdtr(n_controls - 1, tail) if scaled else ndtr(tail))
            discovered = discoveries(np.where(tested, p, np.nan))
            yield EffectChunk(own, tested, discovered & (np.abs(z) >= MIN_Z), z > 0)

    origin = f"against {n_controls} control rows" if scaled else "as published"
    rule = (
        f"pseudobulk: z-scores {origin}, |z| >= {MIN_Z:g}, false discoveries "
        f"{FALSE_DISCOVERIES:.0%} within a perturbation (Benjamini-Hochberg)"
    )
    return Prepared(groups, 0, genes, chunks, rule)


def _single_cells(screen: ScreenExpression, most_values: int) -> Prepared:
    from scipy.special import stdtr

    n_genes, n_cells = len(screen.measured), len(screen.group)
    totals, expressed = np.zeros(n_cells), np.zeros(n_genes)
    own_sums, own_squares = np.zeros(n_genes), np.zeros(n_genes)
    taken = screen.group >= CONTROL
    for rows, block in blocks(screen):
        totals[rows] = np.asarray(block.sum(axis=1, dtype=np.float64)).ravel()
        kept = block[taken[rows]]
        expressed += np.bincount(kept.indices[kept.data > 0], minlength=n_genes)
        scaled = log_scaled(block, totals[rows])[screen.group[rows] == CONTROL]
        own_sums += np.asarray(scaled.sum(axis=0)).ravel()
        own_squares += np.asarray(scaled.power(2).sum(axis=0)).ravel()
    taken &= totals > 0
    group = np.where(taken, screen.group, CONTROL - 1)
    n_controls = int((group == CONTROL).sum())
    if n_controls < MIN_CELLS:
        raise SourceError(
            f"{n_controls} cells are controls (such as 'control' in field 'perturbation'); at "
            f"least {MIN_CELLS} are needed"
        )
    sizes = np.bincount(group[group >= 0], minlength=len(screen.perturbed))
    groups = np.flatnonzero(sizes >= MIN_CELLS)
    if not len(groups):
        raise SourceError(
            f"no perturbation has {MIN_CELLS} cells; the largest has {int(sizes.max(initial=0))}"
        )
    genes = expressed >= MIN_EXPRESSED * taken.sum()
    mean = own_sums / n_controls
    spread = variance_of(own_sums, own_squares, n_controls)
    variance = spread / n_controls

    def chunks() -> Iterator[EffectChunk]:
        for own in group_chunks(groups, n_genes, most_values):
            summed, squared = group_sums(
                screen, own, lambda block, rows: log_scaled(block, totals[rows])
            )
            n = sizes[own][:, None].astype(np.float64)
            own_mean = summed / n
            # A few dozen cells that happen to lack the zeros of a gene have a high mean and almost
            # no variance: with that variance alone, a quarter of null perturbations had "effects".
            own_variance = np.maximum(variance_of(summed, squared, n), spread) / n
            error = own_variance + variance
            with np.errstate(invalid="ignore", divide="ignore"):
                t = (own_mean - mean) / np.sqrt(error)
                freedom = error**2 / (own_variance**2 / (n - 1) + variance**2 / (n_controls - 1))
            tested = genes & np.isfinite(t) & np.isfinite(freedom)
            p = 2 * stdtr(np.where(tested, freedom, 1), -np.abs(np.where(tested, t, 0)))
            fold = np.log2((np.expm1(own_mean) + 1e-9) / (np.expm1(mean) + 1e-9))
            discovered = discoveries(np.where(tested, p, np.nan))
            yield EffectChunk(own, tested, discovered & (np.abs(fold) >= MIN_FOLD), fold > 0)

    rule = (
        f"single cells: log(1 + counts per {PER_CELL:g}), Welch's t-test of at least {MIN_CELLS} "
        f"cells against {n_controls} control cells, whose variance is the least, |log2 fold "
        f"change| >= {MIN_FOLD:g}, false discoveries {FALSE_DISCOVERIES:.0%} within a perturbation "
        f"(Benjamini-Hochberg), genes in at least {MIN_EXPRESSED:.0%} of cells"
    )
    return Prepared(groups, int(((sizes < MIN_CELLS) & (sizes > 0)).sum()), genes, chunks, rule)
