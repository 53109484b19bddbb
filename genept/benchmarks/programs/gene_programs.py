"""Gene programs: clusters of genes in a space, the terms they share, and their activity in cells.

Found without labels, by k-means on unit vectors (the co-embedding programs of Chen & Zou 2023).
What a program shares is tested against terms; size-matched random clusters are the control.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.stats import false_discovery_control, hypergeom
from sklearn.cluster import MiniBatchKMeans
from threadpoolctl import threadpool_limits

from genept.benchmarks.task_base import GeneVectors
from genept.embeddings import expression_weights

GENES_PER_PROGRAM: Final = 100
"""On average, about the size of a pathway or process."""

SMALLEST: Final = 5
SHARED: Final = 3
"""Fewest genes that a term and a program share for the term to be tested."""

LEVEL: Final = 0.05
KEPT: Final = 5
"""Terms of a program that are published, the most significant first."""

DEALS: Final = 10
"""Random assignments of genes to programs, for the control."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Programs:
    """Which program each gene is in.

    Parameters
    ----------
    genes
        Ensembl ids.
    of_gene
        Number of the program of each gene, shape (n,); programs are numbered by size.
    similarity
        Cosine of each gene with the mean of its program.
    """

    genes: tuple[str, ...]
    of_gene: NDArray[np.intp]
    similarity: Numbers

    @property
    def n(self) -> int:
        """Number of programs."""
        return int(self.of_gene.max()) + 1

    @property
    def sizes(self) -> NDArray[np.intp]:
        """Number of genes of each program."""
        return np.bincount(self.of_gene, minlength=self.n)

    @property
    def membership(self) -> sp.csr_matrix:
        """Genes × programs, 0 or 1."""
        ones = np.ones(len(self.genes))
        place = (np.arange(len(self.genes)), self.of_gene)
        return sp.csr_matrix((ones, place), shape=(len(self.genes), self.n))

    def dealt(self, seed: int) -> Programs:
        """As many programs of the same sizes, of genes drawn at random."""
        order = np.random.default_rng(seed).permutation(len(self.genes))
        return Programs(self.genes, self.of_gene[order], self.similarity)


def find_programs(vectors: GeneVectors) -> Programs:
    """Clusters of genes by cosine similarity; the same vectors give the same clusters."""
    unit = vectors.dense / np.linalg.norm(vectors.dense, axis=1, keepdims=True)
    n = max(2, len(unit) // GENES_PER_PROGRAM)
    with threadpool_limits(1):
        clusters = MiniBatchKMeans(n, random_state=0, n_init=1, batch_size=4096).fit_predict(unit)
    sizes = np.bincount(clusters, minlength=n)
    rank = np.empty(n, np.intp)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(n)
    number = rank[clusters]
    sums = np.zeros((n, unit.shape[1]))
    np.add.at(sums, number, unit)
    lengths = np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    similarity: Numbers = (unit * (sums / lengths)[number]).sum(axis=1).astype(np.float64)
    return Programs(vectors.genes, number, similarity)


def enrichment(programs: Programs, members: pl.DataFrame) -> pl.DataFrame:
    """Terms that a program's genes share more often than chance gives (hypergeometric).

    Parameters
    ----------
    members
        `ensembl_gene_id` and `label`, the term; genes without a program are left out.

    Returns
    -------
    pl.DataFrame
        program, term, n_program, n_term, n_shared, p, q: corrected over all programs and terms
        by Benjamini and Hochberg. Programs and terms of fewer than five genes are not tested.
    """
    place = pl.DataFrame({"ensembl_gene_id": programs.genes}).with_row_index("gene")
    known = members.select("ensembl_gene_id", "label").unique().join(place, on="ensembl_gene_id")
    sized = known.filter(pl.len().over("label") >= SMALLEST)
    terms = sized["label"].unique().sort()
    at = sized["label"].cast(pl.Enum(terms)).to_physical().to_numpy()
    membership = sp.csr_matrix(
        (np.ones(len(at)), (at, sized["gene"].to_numpy())), shape=(len(terms), len(programs.genes))
    )
    shared = np.asarray((membership @ programs.membership).todense())
    n_term = np.asarray(membership.sum(axis=1)).ravel()
    n_program = programs.sizes
    term, program = np.nonzero((shared >= SHARED) & (n_program >= SMALLEST))
    drawn = (len(programs.genes), n_term[term], n_program[program])
    p = np.asarray(hypergeom.sf(shared[term, program] - 1, *drawn))
    tested = int((n_program >= SMALLEST).sum()) * len(terms)
    # Pairs that share fewer genes count as tested, with p = 1, which is conservative.
    every = np.append(p, np.ones(tested - len(p)))
    q = np.asarray(false_discovery_control(every))[: len(p)] if tested else p
    rows = pl.DataFrame(
        {
            "program": program,
            "term": terms.gather(term) if len(terms) else pl.Series([], dtype=pl.String),
            "n_program": n_program[program],
            "n_term": n_term[term],
            "n_shared": shared[term, program],
            "p": p,
            "q": q,
        }
    ).cast(dict.fromkeys(("program", "n_program", "n_term", "n_shared"), pl.Int64))
    return rows.sort("program", "p", "term")


def is_enriched(programs: Programs, enriched: pl.DataFrame) -> NDArray[np.bool_]:
    """Whether each program of five genes or more shares any term."""
    significant = enriched.filter(pl.col("q") < LEVEL)["program"]
    return np.isin(np.flatnonzero(programs.sizes >= SMALLEST), significant.to_numpy())


def activity(
    programs: Programs, counts: sp.csr_matrix, genes: Sequence[str], types: list[str], unit: str
) -> pl.DataFrame:
    """How active each program is in each cell type, beside the other cells.

    Parameters
    ----------
    counts
        Cells × genes, in `unit`.
    genes
        Of the columns.
    types
        Of the rows.

    Returns
    -------
    pl.DataFrame
        program, cell_type, activity, n_genes, n_cells. Activity is the mean over the program's
        genes of (mean in the type - mean) / standard deviation over all cells. Genes that are
        in fewer than three cells take no part, and programs of fewer than five such genes.
    """
    weights = expression_weights(sp.csr_matrix(counts, dtype=np.float32), unit)
    names, codes = np.unique(np.asarray(types, np.str_), return_inverse=True)
    n_cells = np.bincount(codes)
    by_type = sp.csr_matrix((np.ones(len(codes)), (codes, np.arange(len(codes)))))
    mean = np.asarray(weights.mean(axis=0)).ravel()
    squares = np.asarray(weights.multiply(weights).mean(axis=0)).ravel()
    spread = np.sqrt(np.maximum(squares - mean**2, 0))
    seen = (weights.getnnz(axis=0) >= SHARED) & (spread > 0)
    of_type = np.asarray((by_type @ weights).todense()) / n_cells[:, None]
    score = np.where(seen, (of_type - mean) / np.where(seen, spread, 1), 0)

    place = {gene: at for at, gene in enumerate(programs.genes)}
    columns = np.array([at for at, gene in enumerate(genes) if seen[at] and gene in place], np.intp)
    number = programs.of_gene[[place[genes[at]] for at in columns]]
    n_genes = np.bincount(number, minlength=programs.n)
    sums = np.zeros((len(names), programs.n))
    np.add.at(sums.T, number, score[:, columns].T)
    active = sums / np.maximum(n_genes, 1)
    large = np.flatnonzero(n_genes >= SMALLEST)
    rows = {
        "program": np.repeat(large, len(names)),
        "cell_type": np.tile(names, len(large)),
        "activity": active[:, large].T.ravel(),
        "n_genes": np.repeat(n_genes[large], len(names)),
        "n_cells": np.tile(n_cells, len(large)),
    }
    return pl.DataFrame(rows)
