"""Tasks on pairs of genes: the publisher's fixed split, and repeated gene-disjoint ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.benchmarks.heads import LOGISTIC, Matrix, Scores, binary_scores
from genept.benchmarks.tasks import FREQUENCY, GeneVectors, Labels, Task, predictions

FIXED: Final = "publishers-train-test"
DISJOINT: Final = "gene-disjoint-80-20-repeated"
SUM: Final = "sum"
FEATURES: Final = (SUM, "product", "absolute-difference", "concatenation", "all-symmetric")


@dataclass(frozen=True, kw_only=True)
class Pairs(Task):
    """Which pairs of genes belong together.

    The fixed split is the publisher's, every row as published, on the sum of the two vectors:
    that is how GenePT was scored. The clean ones drop self-pairs, contradictions and
    repetitions, and no gene of a test pair is in a training pair.
    """

    seeds: tuple[int, ...] = (0, 1, 2)

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

    def predict(
        self, rows: pl.DataFrame, vectors: GeneVectors, *, brief: bool = False
    ) -> pl.DataFrame:
        """Score every test pair of every split."""
        seeds = self.seeds[:1] if brief else self.seeds
        found = [
            self._fit(DISJOINT, fold, vectors, *gene_disjoint(rows, seed), SUM)
            for fold, seed in enumerate(seeds)
        ]
        train, test = rows.filter(split="train"), _once(rows.filter(split="test"))
        features = (SUM,) if brief else FEATURES
        found += [self._fit(FIXED, 0, vectors, train, test, one) for one in features]
        return pl.concat(found)

    def baseline(self, rows: pl.DataFrame) -> tuple[str, pl.DataFrame]:
        """How often each gene is in a training pair that belongs together."""
        train, test = rows.filter(split="train"), _once(rows.filter(split="test"))
        found = [_frequency(FIXED, 0, train, test)]
        for fold, seed in enumerate(self.seeds):
            found.append(_frequency(DISJOINT, fold, *gene_disjoint(rows, seed)))
        return FREQUENCY, pl.concat(found)

    def _fit(
        self,
        split: str,
        fold: int,
        vectors: GeneVectors,
        train: pl.DataFrame,
        test: pl.DataFrame,
        feature: str,
    ) -> pl.DataFrame:
        model = LOGISTIC if feature == SUM else f"{LOGISTIC}:{feature}"
        x, new = _features(vectors, train, feature), _features(vectors, test, feature)
        if feature != SUM:  # products of unit vectors are tiny beside the penalty
            mean, spread = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-8)
            x, new = (x - mean) / spread, (new - mean) / spread
        score = binary_scores(LOGISTIC, x, train["label"].to_numpy(), new, seed=fold)
        return _of_pairs(model, split, fold, test, score)


def gene_disjoint(
    rows: pl.DataFrame, seed: int, test_share: float = 0.2
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Training and test pairs that share no gene; pairs across the two are left out."""
    scored = rows.filter(fate="scored")
    genes = np.unique(np.concatenate([scored["gene_a"], scored["gene_b"]]).astype(str))
    drawn = np.random.default_rng(seed).permutation(genes)[: round(test_share * len(genes))]
    test = pl.Series(drawn).implode()
    in_test = [pl.col(side).is_in(test) for side in ("gene_a", "gene_b")]
    chosen = scored.filter(in_test[0], in_test[1])
    return scored.filter(~in_test[0], ~in_test[1]), _once(chosen)


def _once(rows: pl.DataFrame) -> pl.DataFrame:
    """Each ordered pair once: a pair that is published twice is scored once."""
    return rows.unique(["gene_a", "gene_b"], keep="first", maintain_order=True)


def _features(vectors: GeneVectors, pairs: pl.DataFrame, feature: str) -> Matrix:
    a, b = vectors.of(pairs["gene_a"].to_list()), vectors.of(pairs["gene_b"].to_list())
    match feature:
        case "sum":
            return a + b
        case "product":
            return a * b
        case "absolute-difference":
            apart: Matrix = np.abs(a - b)
            return apart
        case "concatenation":
            return np.concatenate([a, b], axis=1)
        case "all-symmetric":
            return np.concatenate([a + b, a * b, np.abs(a - b)], axis=1)
    raise ValueError(f"unknown feature {feature!r}; known are {FEATURES}")


def _frequency(split: str, fold: int, train: pl.DataFrame, test: pl.DataFrame) -> pl.DataFrame:
    """Sum of the two genes' smoothed log-odds of being in a pair that belongs together."""
    names, codes = _coded(train, test)
    n = train.height
    seen = np.concatenate([codes[0][:n], codes[1][:n]])
    positive = np.tile(train["label"].to_numpy(), 2)
    ones = np.bincount(seen, positive, len(names))
    zeros = np.bincount(seen, 1 - positive, len(names))
    prior = positive.mean()
    odds = np.log((ones + prior) / (zeros + 1 - prior))
    score: Scores = odds[codes[0][n:]] + odds[codes[1][n:]]
    return _of_pairs(LOGISTIC, split, fold, test, score)


def _coded(
    train: pl.DataFrame, test: pl.DataFrame
) -> tuple[NDArray[np.str_], tuple[NDArray[np.intp], NDArray[np.intp]]]:
    sides = [np.concatenate([train[side], test[side]]) for side in ("gene_a", "gene_b")]
    names, codes = np.unique(np.concatenate(sides).astype(str), return_inverse=True)
    half = len(codes) // 2
    return names, (codes[:half], codes[half:])


def _of_pairs(model: str, split: str, fold: int, test: pl.DataFrame, score: Scores) -> pl.DataFrame:
    return predictions(
        model,
        split,
        fold,
        test["gene_a"].to_list(),
        test["label"].cast(pl.String).to_list(),
        partners=test["gene_b"].to_list(),
        score=score,
    )
