"""Tasks on pairs of genes: the publisher's fixed split, and repeated gene-disjoint ones.

Pairs with labels of both kinds are `PairTask`; where only those that belong together are
published, as of interactions, `InteractionTask` draws the others (`drawn_pairs`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import polars as pl

from genept.benchmarks.classifiers import LOGISTIC
from genept.benchmarks.fitted_heads import (
    Scores,
    chosen_strength,
    logistic_scores,
    standardised_by_training,
)
from genept.benchmarks.pairs.pair_fusion import fused_scores
from genept.benchmarks.pairs.pair_inputs import FEATURES, SUM, pair_features
from genept.benchmarks.pairs.pair_splits import (
    Halves,
    drawn_pairs,
    gene_disjoint,
    inner_split,
    numbered,
    once,
)
from genept.benchmarks.pairs.pair_sums import PairSums
from genept.benchmarks.task_base import FREQUENCY, GeneVectors, Labels, Task, predictions

FIXED: Final = "publishers-train-test"
DISJOINT: Final = "gene-disjoint-80-20-repeated"
LARGEST: Final = 50_000
"""Training pairs of features that do not decide: some have a thousand columns."""

FEWEST: Final = 50
"""Pairs of each kind on each side of a split at least."""


@dataclass(frozen=True, kw_only=True)
class PairTask(Task):
    """Which pairs of genes are associated.

    The fixed split is the publisher's, every row as published, on the sum of the two vectors:
    that is how GenePT was scored. The clean ones drop self-pairs, contradictions and
    repetitions, and no gene of a test pair is in a training pair; there, features are standardised
    and C is chosen on the pairs of a fifth of the training genes, for every representation alike.
    Sparse vectors are read by the feature that decides alone.

    Parameters
    ----------
    seeds
        Of the gene-disjoint splits.
    """

    seeds: tuple[int, ...] = (0, 1, 2)

    scored_by: ClassVar[tuple[str, ...]] = (*Task.scored_by, "genept.benchmarks.pairs")
    takes_sparse: ClassVar[bool] = True
    sparse_is_slow: ClassVar[bool] = True
    fuses: ClassVar[bool] = True

    @property
    def feature(self) -> str:
        """What of the two vectors decides: ``logistic-regression:product``; by default the sum."""
        return self.model.partition(":")[2] or SUM

    def rows(self, labels: Labels) -> pl.DataFrame:
        """The pairs of which both names have a gene."""
        named = pl.col("gene_a").is_not_null() & pl.col("gene_b").is_not_null()
        return labels.pairs.filter(named, task=self.id).sort("split", "position")

    def genes(self, rows: pl.DataFrame) -> set[str]:
        """Every gene that is in a pair."""
        return {*rows["gene_a"], *rows["gene_b"]}

    def known(self, rows: pl.DataFrame, genes: Sequence[str]) -> pl.DataFrame:
        """The pairs of these genes."""
        among = list(genes)
        return rows.filter(pl.col("gene_a").is_in(among), pl.col("gene_b").is_in(among))

    def permuted(self, rows: pl.DataFrame, seed: int = 0) -> pl.DataFrame:
        """The same pairs with each other's labels, within each split."""
        rng = np.random.default_rng(seed)
        parts = [
            part.with_columns(part["label"][rng.permutation(part.height).tolist()])
            for part in rows.partition_by("split", maintain_order=True)
        ]
        return pl.concat(parts)

    def unfit(self, rows: pl.DataFrame) -> str | None:
        """A split that has not both kinds of pairs on both sides."""
        for name, _, sides in self._splits(rows):
            for side, pairs in zip(("training", "test"), sides, strict=True):
                counted = [pairs.filter(label=label).height for label in (1, 0)]
                if min(counted) < FEWEST:
                    return (
                        f"only {counted[0]} {side} pairs of {name} belong together and "
                        f"{counted[1]} do not, and {FEWEST} of each are needed"
                    )
        return None

    def predict(
        self, rows: pl.DataFrame, vectors: GeneVectors, *, draw: int | None = None
    ) -> pl.DataFrame:
        """Score every test pair of every split; the first draw has the publisher's split, too."""
        return pl.concat(
            self._fit(split, fold, vectors, *halves, SUM if split == FIXED else self.feature)
            for split, fold, halves in self._splits(rows, draw)
        )

    def predict_fused(
        self, rows: pl.DataFrame, members: Sequence[GeneVectors], *, draw: int | None = None
    ) -> pl.DataFrame:
        """The same from several representations, with heads of their own: see `pair_fusion`."""
        scored = []
        for split, fold, (train, test) in self._splits(rows, draw):
            genes, (seen, new) = numbered(train, test)
            score = fused_scores(
                [vectors.features_of(genes) for vectors in members], seen,
                train["label"].to_numpy() == 1, inner_split(train), new,
            )  # fmt: skip
            scored.append(scored_pairs(LOGISTIC, split, fold, test, score))
        return pl.concat(scored)

    def further(self, rows: pl.DataFrame, vectors: GeneVectors) -> pl.DataFrame | None:
        """Other features on the first gene-disjoint split, of some of its training pairs."""
        if vectors.is_sparse:
            return None
        train, test = self.disjoint(rows, self.seeds[0])
        some = train.sample(min(train.height, LARGEST), seed=0)
        return pl.concat(
            self._fit(DISJOINT, 0, vectors, some, test, feature)
            for feature in FEATURES
            if feature != self.feature
        )

    def disjoint(self, rows: pl.DataFrame, seed: int) -> Halves:
        """Training and test pairs that share no gene."""
        return gene_disjoint(rows, seed)

    def fixed(self, rows: pl.DataFrame) -> Halves | None:
        """The publisher's training and test pairs, if there are any."""
        train, test = rows.filter(split="train"), once(rows.filter(split="test"))
        return (train, test) if train.height and test.height else None

    def baseline(self, rows: pl.DataFrame) -> tuple[str, pl.DataFrame] | None:
        """How often each gene is in a training pair that belongs together."""
        return FREQUENCY, pl.concat(
            _frequency(LOGISTIC if split == FIXED else self.model, split, fold, *halves)
            for split, fold, halves in self._splits(rows)
        )

    def _splits(
        self, rows: pl.DataFrame, draw: int | None = None
    ) -> Iterator[tuple[str, int, Halves]]:
        """Name, fold, and both halves: the gene-disjoint splits, then the publisher's.

        Of a draw, one gene-disjoint split; the publisher's with the first draw alone.
        """
        if draw is None:
            for fold, seed in enumerate(self.seeds):
                yield DISJOINT, fold, self.disjoint(rows, seed)
        else:
            yield DISJOINT, draw, self.disjoint(rows, self.seeds[draw % len(self.seeds)])
        if not draw and (fixed := self.fixed(rows)):
            yield FIXED, 0, fixed

    @staticmethod
    def _fit(
        split: str, fold: int, vectors: GeneVectors, train: pl.DataFrame, test: pl.DataFrame,
        feature: str,
    ) -> pl.DataFrame:  # fmt: skip
        if feature == SUM:
            return scored_pairs(LOGISTIC, split, fold, test, _of_sums(split, vectors, train, test))
        label = train["label"].to_numpy() == 1
        x, new = standardised_by_training(
            pair_features(vectors, train, feature), pair_features(vectors, test, feature)
        )
        c = chosen_strength(x, label, *inner_split(train))
        (score,) = logistic_scores(x, label, new, (c,))
        return scored_pairs(f"{LOGISTIC}:{feature}", split, fold, test, score)


def _of_sums(split: str, vectors: GeneVectors, train: pl.DataFrame, test: pl.DataFrame) -> Scores:
    """Scores of test pairs; the publisher's split with vectors and C as they were published."""
    genes, (seen, new) = numbered(train, test)
    sums = PairSums(
        vectors.features_of(genes), seen, new, train["label"].to_numpy() == 1,
        is_standardised=split != FIXED,
    )  # fmt: skip
    chosen = () if split == FIXED else (sums.chosen_strength(*inner_split(train)),)
    return sums.scores(*chosen)


@dataclass(frozen=True, kw_only=True)
class InteractionTask(PairTask):
    """Which pairs are partners, where only partners are published.

    On each side of a gene-disjoint split as many pairs are drawn as there are partners, every
    gene as often as it has partners there: how well connected a gene is says nothing, and so
    neither does the sum of the two vectors. Name another feature in `model`.
    """

    fuses: ClassVar[bool] = False

    def disjoint(self, rows: pl.DataFrame, seed: int) -> Halves:
        """Partners and drawn pairs, no gene on both sides."""
        train, test = (
            pl.concat([partners, drawn_pairs(partners, rows, seed)])
            for partners in gene_disjoint(rows, seed)
        )
        return train, test

    def fixed(self, rows: pl.DataFrame) -> None:
        """No publisher's split."""

    def permuted(self, rows: pl.DataFrame, seed: int = 0) -> pl.DataFrame:
        """The same genes with their partners permuted."""
        scored = rows.filter(fate="scored")
        return drawn_pairs(scored, scored.clear(), seed).with_columns(label=pl.lit(1, pl.Int64))


def _frequency(
    model: str, split: str, fold: int, train: pl.DataFrame, test: pl.DataFrame
) -> pl.DataFrame:
    """Sum of the two genes' smoothed log-odds of being in a pair that belongs together."""
    sides = [np.concatenate([train[side], test[side]]) for side in ("gene_a", "gene_b")]
    names, codes = np.unique(np.stack(sides).astype(str), return_inverse=True)
    seen = codes[:, : (n := train.height)].ravel()
    positive = np.tile(train["label"].to_numpy(), 2)
    ones = np.bincount(seen, positive, len(names))
    zeros = np.bincount(seen, 1 - positive, len(names))
    prior = positive.mean()
    odds = np.log((ones + prior) / (zeros + 1 - prior))
    score: Scores = odds[codes[0, n:]] + odds[codes[1, n:]]
    return scored_pairs(model, split, fold, test, score)


def scored_pairs(
    model: str, split: str, fold: int, test: pl.DataFrame, score: Scores
) -> pl.DataFrame:
    """Scores of test pairs as predictions.

    Parameters
    ----------
    model, split, fold
        What scored them.
    test
        The pairs, with their labels.
    score
        Of each pair.

    Returns
    -------
    pl.DataFrame
        As `genept.benchmarks.task_base.predictions` returns it.
    """
    first, second = (test[side].to_list() for side in ("gene_a", "gene_b"))
    truth = test["label"].cast(pl.String).to_list()
    return predictions(model, split, fold, first, truth, partners=second, score=score)
