"""Splits of pairs of genes into training and test pairs that share no gene, and drawn pairs.

What is fitted on them is `genept.benchmarks.pairs.pair_tasks`.
"""

from typing import Final

import numpy as np
import polars as pl

from genept.benchmarks.pairs.pair_sums import Pairs
from genept.benchmarks.scores import Indices

SIDES: Final = ("gene_a", "gene_b")
ATTEMPTS: Final = 20

Halves = tuple[pl.DataFrame, pl.DataFrame]
"""Training and test pairs of a split."""


def numbered(*parts: pl.DataFrame) -> tuple[list[str], list[Pairs]]:
    """Genes of pairs, and the rows of the two genes of each pair among them, shape (2, n)."""
    genes = pl.concat([part[side] for part in parts for side in SIDES]).unique().sort()
    number = pl.Enum(genes)
    return genes.to_list(), [
        np.stack([part[side].cast(number).to_physical().to_numpy() for side in SIDES])
        for part in parts
    ]


def drawn_pairs(partners: pl.DataFrame, known: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Pairs of the genes of `partners`, each gene on its side as often as there, labelled 0.

    Second genes are permuted, again where that made a pair of a gene with itself, one that is in
    `known`, or one twice; the few for which no other partner remains are left out.

    Parameters
    ----------
    partners
        Pairs that belong together: ``gene_a``, ``gene_b``, ``label``.
    known
        Pairs that must not be drawn.
    seed
        Of the permutations.

    Returns
    -------
    pl.DataFrame
        As many rows as `partners`, or a few less.
    """
    rng = np.random.default_rng(seed)
    first, second = (partners[side].to_numpy().astype(str) for side in ("gene_a", "gene_b"))
    taken = {frozenset(pair) for pair in known.select("gene_a", "gene_b").iter_rows()}
    left, kept = np.arange(len(first)), np.zeros(len(first), bool)
    for _ in range(ATTEMPTS):
        second[left] = rng.permutation(second[left])
        for at in left:
            pair = frozenset((str(first[at]), str(second[at])))
            if len(pair) == 2 and pair not in taken:
                taken.add(pair)
                kept[at] = True
        left = np.flatnonzero(~kept)
    drawn = partners.with_columns(gene_a=pl.Series(first), gene_b=pl.Series(second))
    return drawn.filter(pl.Series(kept)).with_columns(label=pl.lit(0, pl.Int64))


def gene_disjoint(rows: pl.DataFrame, seed: int) -> Halves:
    """Training pairs, and those of a fifth of the genes; pairs across the two are left out.

    Parameters
    ----------
    rows
        Rows of table `gene_pairs`; those that are not scored take no part.
    seed
        Of the genes that are drawn.

    Returns
    -------
    tuple of pl.DataFrame
        Training pairs; test pairs, each ordered pair once.
    """
    scored = rows.filter(fate="scored")
    genes = pl.concat([scored["gene_a"], scored["gene_b"]]).unique().sort().to_numpy().astype(str)
    drawn = np.random.default_rng(seed).permutation(genes)[: round(0.2 * len(genes))]
    test = pl.Series(drawn).implode()
    in_test = [pl.col(side).is_in(test) for side in ("gene_a", "gene_b")]
    chosen = scored.filter(in_test[0], in_test[1])
    return scored.filter(~in_test[0], ~in_test[1]), once(chosen)


def inner_split(train: pl.DataFrame) -> tuple[Indices, Indices]:
    """Positions of training pairs, and of those of a fifth of their genes: no gene is in both."""
    genes = pl.concat([train[side] for side in SIDES]).unique().sort().to_numpy().astype(str)
    drawn = np.random.default_rng(0).permutation(genes)[: round(0.2 * len(genes))]
    in_test = [train[side].is_in(drawn.tolist()).to_numpy() for side in SIDES]
    inside, outside = (np.flatnonzero(a & b) for a, b in (~np.array(in_test), np.array(in_test)))
    return inside, outside


def once(rows: pl.DataFrame) -> pl.DataFrame:
    """Each ordered pair once: a pair that is published twice is scored once."""
    return rows.unique(["gene_a", "gene_b"], keep="first", maintain_order=True)
