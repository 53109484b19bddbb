"""GenePT-s: an observation as a sentence that names its genes, highest expressed first.

Chen & Zou (2023). Of large collections a seeded, recorded sample of observations is embedded.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from genept.embeddings.pooling import expression_weights
from genept.schema import LINEAR

LABELS: Final = ("cell_type", "diagnosis", "tissue_subtype", "tissue")


@dataclass(frozen=True)
class Sampling:
    """A sample of at most `cap` observations of a collection, each label in proportion.

    Every label keeps at least one observation if `cap` allows it. The sample depends on the seed
    and the ids alone, not on the order of rows.

    Parameters
    ----------
    cap
        Most observations.
    label
        Column of `observations` whose values keep their shares; None: at random.
    seed
        Another seed gives another sample.
    """

    cap: int
    label: str | None = None
    seed: int = 2023

    def __post_init__(self) -> None:
        if self.cap < 1:
            raise ValueError(f"a sample has at least one observation, not {self.cap}")

    def choose(self, observations: pl.DataFrame) -> tuple[list[str], dict[str, Any]]:
        """Draw the sample.

        Parameters
        ----------
        observations
            `observation_id` and the label.

        Returns
        -------
        ids, record
            Ids in order; and how they were chosen, as JSON values.
        """
        strata = self._strata(observations)
        sizes = {name: len(ids) for name, ids in strata.items()}
        shares = _proportional(sizes, min(self.cap, observations.height))
        chosen = sorted(
            id_
            for name, ids in strata.items()
            for id_ in sorted(ids, key=self._draw)[: shares[name]]
        )
        return chosen, asdict(self) | {
            "n_observations": observations.height,
            "n_chosen": len(chosen),
            "chosen_of_label": {name: [shares[name], sizes[name]] for name in sizes},
        }

    def _strata(self, observations: pl.DataFrame) -> dict[str, list[str]]:
        ids = observations["observation_id"].to_list()
        if self.label is None:
            return {"": ids}
        strata = defaultdict[str, list[str]](list)
        labels = observations[self.label].cast(pl.String).to_list()
        for id_, label in sorted(zip(ids, labels, strict=True), key=lambda pair: pair[1] or ""):
            strata["(none)" if label is None else label].append(id_)
        return strata

    def _draw(self, observation_id: str) -> bytes:
        return hashlib.sha256(f"{self.seed}:{observation_id}".encode()).digest()


def _proportional(sizes: dict[str, int], total: int) -> dict[str, int]:
    """Shares of `total` in proportion to `sizes`, at least one each; remainders by size."""
    population = sum(sizes.values())
    shares = {name: total * size // population for name, size in sizes.items()}
    by_size = sorted(sizes, key=lambda name: (-sizes[name], name))
    for name in by_size if total >= len(sizes) else []:
        shares[name] = max(shares[name], 1)
    by_remainder = sorted(by_size, key=lambda name: -(total * sizes[name] % population))
    while (left := total - sum(shares.values())) != 0:
        for name in by_remainder if left > 0 else by_size:
            if left > 0 and shares[name] < sizes[name]:
                shares[name], left = shares[name] + 1, left - 1
            elif left < 0 and shares[name] > 1:
                shares[name], left = shares[name] - 1, left + 1
    return shares


def label_of(observations: pl.DataFrame) -> str | None:
    """Return the finest label that a collection's observations have.

    Parameters
    ----------
    observations
        Rows of table `observations`.

    Returns
    -------
    str or None
        Name of the column; None if there is no label.
    """
    return next(
        (label for label in LABELS if observations[label].null_count() < len(observations)), None
    )


PREFIX: Final = {
    "single_cell": "A cell with genes ranked by expression: ",
    "bulk": "A sample with genes ranked by expression: ",
}
"""How a sentence begins. That of cells is Chen & Zou's; they have no bulk samples."""


TOP: Final = 1000
"""Genes that a sentence names at most (Chen & Zou)."""


_NOTHING: Final = np.uint64(np.iinfo(np.uint64).max)

_RANK: Final = np.uint64(0xFFFFFFFF)


CountTokens = Callable[[Sequence[str]], list[int]]
"""Tokens of each text as the model counts them, its special tokens included."""


class SentenceError(ValueError):
    """An observation of which no sentence can be made, or more sentences than allowed."""


@dataclass(frozen=True)
class Sentences:
    """Sentences of some observations.

    Parameters
    ----------
    texts
        One for each observation.
    coverage
        Share of each observation's weight (`genept.embeddings.pooling`) on genes that it names.
    """

    texts: list[str]
    coverage: npt.NDArray[np.float32]


class RankedNames:
    """Writes the sentences of one collection.

    A gene whose symbol is only its Ensembl id has no name that a text embedder could know, so
    no sentence names it; its weight counts in the coverage. Genes of equal expression are
    named in the order of their symbols, then of their Ensembl ids. Genes that weigh nothing
    are left out. Scaling an observation does not change its ranking, so counts are ranked as
    they are.

    Parameters
    ----------
    axis
        The collection's `gene_axis`: `gene_index`, `ensembl_gene_id`, `symbol`.
    kind
        ``single_cell`` or ``bulk``.
    top
        Genes that a sentence names at most.
    max_tokens, count_tokens
        A sentence ends before the gene with which it would have more tokens. They are counted
        gene by gene, which is exact where words are split one by one, as WordPiece does.
        None: as long as `top` allows; a model then reads no further than it can.
    """

    def __init__(
        self,
        axis: pl.DataFrame,
        kind: str,
        *,
        top: int = TOP,
        max_tokens: int | None = None,
        count_tokens: CountTokens | None = None,
    ) -> None:
        if (max_tokens is None) != (count_tokens is None):
            raise ValueError("a token budget needs both `max_tokens` and `count_tokens`")
        self.prefix, self.top = PREFIX[kind], top
        symbols = axis.sort("gene_index")["symbol"].to_numpy()
        ids = axis.sort("gene_index")["ensembl_gene_id"].to_numpy()
        self._is_named = (symbols != ids).astype(np.bool_)
        order = np.lexsort((ids.astype(str), symbols.astype(str)))
        self._names = symbols[order].astype(object)
        self._rank = np.empty(len(order), np.uint64)
        self._rank[order] = np.arange(len(order), dtype=np.uint64)
        self._tokens: npt.NDArray[np.int64] | None = None
        if count_tokens is not None and max_tokens is not None:
            none, prefix = count_tokens(["", self.prefix])
            named = count_tokens([f" {name}" for name in self._names])
            self._tokens = np.array(named, np.int64) - none
            self._left = max_tokens - prefix

    def __call__(self, expression: sp.csr_matrix, unit: str) -> Sentences:
        """Sentences of observations × genes, in `unit`.

        Raises
        ------
        SentenceError
            If an observation expresses no gene that has a name, or none fits into the budget.
        """
        weights = expression_weights(expression, unit)
        values = expression.data if unit in LINEAR else weights.data
        # Positive floats rise with their bits, so a key sorts by falling value, then by rank.
        descending = ~np.ascontiguousarray(values, np.float32).view(np.uint32).astype(np.uint64)
        keys = (descending << np.uint64(32)) | self._rank[weights.indices]
        keys[(weights.data <= 0) | ~self._is_named[weights.indices]] = _NOTHING
        texts = []
        share = np.empty(weights.shape[0], np.float32)
        for row in range(weights.shape[0]):
            span = slice(weights.indptr[row], weights.indptr[row + 1])
            named = self._named(keys[span])
            if not named.size:
                raise SentenceError(
                    f"row {row} expresses no gene that has a name, or its first name is over the "
                    "token budget"
                )
            names = self._names[(named & _RANK).astype(np.int64)]
            texts.append(self.prefix + " ".join(names.tolist()))
            of_row = weights.data[span].astype(np.float64)
            share[row] = of_row[keys[span] <= named[-1]].sum() / of_row.sum()
        return Sentences(texts, np.minimum(share, 1))

    def _named(self, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        """Those keys whose genes are named, in order."""
        ordered = np.sort(keys)
        ordered = ordered[: min(self.top, int(np.searchsorted(ordered, _NOTHING)))]
        if self._tokens is None:
            return ordered
        spent = np.cumsum(self._tokens[(ordered & _RANK).astype(np.int64)])
        return ordered[: int(np.searchsorted(spent, self._left, side="right"))]
