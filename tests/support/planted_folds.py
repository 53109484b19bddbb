"""Pairs of genes with nested folds, in the layout of the 38-method comparison."""

from itertools import combinations
from typing import Any

import numpy as np

N_GENES = 54
"""Genes 1 … 54: a third of them is tested in each outer fold, a third of the others in an inner."""


def nested_folds(related: Any = None, n_genes: int = N_GENES) -> dict[str, Any]:
    """The file, of every pair of the genes.

    Parameters
    ----------
    related
        From two gene ids to whether they belong together; None: those of a like remainder.
    n_genes
        Number of genes.
    """
    related = related or (lambda a, b: a % 4 == b % 4)
    pairs = list(combinations(range(1, n_genes + 1), 2))
    part = {gene: gene % 3 for gene in range(1, n_genes + 1)}
    inner = {gene: gene // 3 % 3 for gene in range(1, n_genes + 1)}

    def of(sides: Any) -> list[int]:
        return [at for at, (a, b) in enumerate(pairs) if sides(a) and sides(b)]

    folds = {}
    for outer in range(3):
        training = np.array([part[gene] != outer for gene in sorted(part)])
        folds[str(outer)] = {
            "train_idx": of(lambda gene, known=training: known[gene - 1]),
            "test_idx": of(lambda gene, known=training: not known[gene - 1]),
            "inner_splits": [
                [
                    of(lambda g, known=training, n=n: known[g - 1] and inner[g] != n),
                    of(lambda g, known=training, n=n: known[g - 1] and inner[g] == n),
                ]
                for n in range(3)
            ],
        }
    return {
        "pairs": [[str(a), str(b)] for a, b in pairs],
        "labels": [int(bool(related(a, b))) for a, b in pairs],
        "cv_splits": folds,
    }
