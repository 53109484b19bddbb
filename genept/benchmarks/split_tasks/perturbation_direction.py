"""Ordered pairs of genes by cell line: whether one goes up or down when the other is knocked down.

Splits share no gene, so that how often a gene goes up says nothing. Effects of perturbations that
nobody measured on genes that were, with predictors of their own, are `genept.perturbations`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from genept.benchmarks.pairs import DISJOINT, Halves, PairTask, gene_disjoint
from genept.benchmarks.task_base import GeneVectors


@dataclass(frozen=True, kw_only=True)
class EffectDirectionTask(PairTask):
    """Whether a gene goes up when another is knocked down, of the genes that change.

    Each cell line has gene-disjoint splits of its own, over the authors' training and test pairs;
    the score is the mean over all of them. The first gene of a pair is the one that is knocked
    down, so the deciding head reads both vectors side by side.
    """

    fuses: ClassVar[bool] = False

    @property
    def without_labels(self) -> str:
        """Why there are no labels, and the commands that read them."""
        return (
            f"no labels are available: `genept sources fetch {self.dataset}:k562-dir`, or a "
            "mirror, has those of a cell line"
        )

    def further(self, rows: pl.DataFrame, vectors: GeneVectors) -> None:
        """No other features: those that forget which gene is knocked down ask another question."""

    def _splits(
        self, rows: pl.DataFrame, draw: int | None = None
    ) -> Iterator[tuple[str, int, Halves]]:
        """Gene-disjoint splits of every cell line; of a draw, one of each."""
        lines = rows["split"].str.split("-").list.first()
        chosen = range(len(self.seeds)) if draw is None else [draw % len(self.seeds)]
        for number, line in enumerate(lines.unique().sort()):
            of_line = rows.filter(lines == line)
            for at in chosen:
                fold = number * len(self.seeds) + at
                yield DISJOINT, fold, gene_disjoint(of_line, self.seeds[at])
