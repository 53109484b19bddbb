"""The control of shuffled texts: each gene is given the text of another, by a seeded order.

It keeps everything of a space but which text belongs to which gene: what a model scores on it,
the texts' distribution gave away. The vectors are those that the texts have anyway.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

SEED = 0


def shuffled(genes: Sequence[str], *, seed: int = SEED) -> npt.NDArray[np.intp]:
    """Position of the gene whose text each gene is given.

    Genes are put in an order that depends on the seed and on each gene's id alone, and each is
    given the text of the next: a permutation without a fixed point, which hardly changes when a
    gene is added. A single gene keeps its own.
    """
    keys = [hashlib.sha256(f"{seed}:{gene}".encode()).digest() for gene in genes]
    order = np.array(sorted(range(len(genes)), key=keys.__getitem__), dtype=np.intp)
    given = np.empty(len(genes), dtype=np.intp)
    given[order] = np.roll(order, -1)
    return given
