"""GenePT-s: an observation as a sentence that names its genes, highest expressed first.

Chen & Zou (2023). A sentence costs as much as a gene's description, and every observation has its
own: therefore sampling, a forecast and caps come before the first request.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from genept.common import StoreError
from genept.embeddings.expression import expression_blocks
from genept.embeddings.pooling import TABLE_OF_KIND, embedding_batches, expression_weights
from genept.embeddings.representations import Sampling
from genept.embeddings.weighted_sum import kernel_name
from genept.schema import LINEAR
from genept.storage import Lake, NewPart, Origin, Part, sha256_of
from genept.text import Runner, TextEmbedder, VectorCache, embed_through_cache, plain_loop

METHOD = "genept-s"
RECIPE = "ranked-names"
"""Second half of the name of a space of sentences: no gene's description is in it."""

CODE = (
    "genept.embeddings.pooling",
    "genept.embeddings.expression",
    "genept.embeddings.weighted_sum",
    "genept.embeddings.weighted_sum_loops",
    "genept.embeddings.representations",
    "genept.embeddings.sentences",
    "genept.text.gene_vectors",
    "genept.schema.tables",
)
"""Modules whose behaviour decides what is embedded; sums of weights are the kernel's."""

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
    """Sentences of observations, and the share of each one's weight that is on named genes."""

    texts: list[str]
    coverage: NDArray[np.float32]


class RankedNames:
    """Writes the sentences of one collection.

    A gene whose symbol is only its Ensembl id has no name that a text embedder could know, so no
    sentence names it; its weight counts in the coverage. Genes of equal expression are named in the
    order of their symbols, then of their Ensembl ids; genes that weigh nothing are left out. Counts
    are ranked as they are: scaling an observation does not change its ranking.

    With `max_tokens` and `count_tokens`, a sentence ends before the gene with which it would have
    more tokens. They are counted gene by gene, which is exact where words are split one by one, as
    WordPiece does.
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
        self._tokens: NDArray[np.int64] | None = None
        if count_tokens is not None and max_tokens is not None:
            none, prefix = count_tokens(["", self.prefix])
            named = count_tokens([f" {name}" for name in self._names])
            self._tokens = np.array(named, np.int64) - none
            self._left = max_tokens - prefix

    def __call__(self, expression: sp.csr_matrix, unit: str) -> Sentences:
        """Sentences of observations × genes, in `unit`.

        Raises `SentenceError` if an observation expresses no gene that has a name, or if none fits
        into the budget.
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

    def _named(self, keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Those keys whose genes are named, in order."""
        ordered = np.sort(keys)
        ordered = ordered[: min(self.top, int(np.searchsorted(ordered, _NOTHING)))]
        if self._tokens is None:
            return ordered
        spent = np.cumsum(self._tokens[(ordered & _RANK).astype(np.int64)])
        return ordered[: int(np.searchsorted(spent, self._left, side="right"))]


class CountingTextEmbedder(TextEmbedder, Protocol):
    """A text embedder that can say how long a text is to it."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special ones included, before anything is cut."""


@dataclass(frozen=True)
class Caps:
    """Limits of embedding the sentences of one collection.

    Parameters
    ----------
    texts, tokens
        The most that may be embedded; None: no limit.
    """

    texts: int | None = None
    tokens: int | None = None

    def require(self, n_texts: int, n_tokens: int) -> None:
        """Refuse more than is allowed; raises `SentenceError`."""
        for what, n, cap in (("sentences", n_texts, self.texts), ("tokens", n_tokens, self.tokens)):
            if cap is not None and n > cap:
                raise SentenceError(
                    f"{n:,} {what} are to be embedded, {cap:,} are allowed: raise the cap, or "
                    "embed fewer observations"
                )


def embed_sentences(
    lake: Lake,
    *,
    kind: str,
    unit: str,
    observations: Part,
    axis: Part,
    expression: Sequence[Part],
    embedder: CountingTextEmbedder,
    product: str,
    sampling: Sampling,
    caps: Caps = Caps(),
    runner: Runner = plain_loop,
    say: Callable[[str], None] | None = None,
) -> list[Part]:
    """Embed the sentences of (a sample of) one collection with a text model.

    A sentence ends where the model would stop reading, so that its hash says what was read:
    MiniLM reads 256 tokens, some 70 gene names, not the 1,000 of Chen & Zou.

    Parameters
    ----------
    lake
        Where the parts are, and where the vectors are stored.
    kind, unit
        Of the collection.
    observations, axis, expression
        The collection's parts of tables `observations`, `gene_axis` and `expression`.
    embedder
        The text model.
    product
        Key prefix of the cache of vectors.
    sampling
        Which observations are embedded.
    caps
        Limits on what may be embedded anew; none by default.
    runner
        Runs the batches of texts.
    say
        Called with the forecast before the first request, unless the lake holds the parts already.

    Returns
    -------
    list of Part
        Of `cell_embeddings` or `sample_embeddings`, with method ``genept-s``, one for each
        shard of `expression` that has chosen observations; `coverage` is the share of an
        observation's weight on named genes. The settings of their origin say how it was sampled.

    Raises
    ------
    SentenceError
        A cap would be exceeded (nothing was embedded then), or an observation expresses nothing.
    """
    (collection,) = observations.partition
    space, table = f"{embedder.id}/{RECIPE}", TABLE_OF_KIND[kind]
    wanted, record = sampling.choose(lake.read(observations))
    origin = Origin(
        code=CODE,
        inputs={
            "observations": observations.sha256, "gene_axis": axis.sha256,
            "expression": sha256_of([part.sha256 for part in expression]),
        },
        settings={
            "method": METHOD, "unit": unit, "top": TOP, "embedder": embedder.identity,
            "kernel": kernel_name(), "sampling": record,
        },
        libraries=("numpy",),
    )  # fmt: skip

    def compute() -> list[NewPart]:
        limit = embedder.max_tokens
        counter = None if limit is None else embedder.count_tokens
        names = RankedNames(lake.read(axis), kind, max_tokens=limit, count_tokens=counter)
        shards = [
            (part.number, *of_part)
            for part in expression
            if (of_part := sentences_of(lake, part, axis.rows, names, unit, set(wanted)))[0]
        ]
        if lost := sorted(set(wanted).difference(*(ids for _, ids, _ in shards))):
            raise StoreError(
                f"{len(lost)} of the {len(wanted)} chosen observations, such as {lost[0]!r}, have "
                "no expression: materialise both from the same ingest"
            )
        texts = [text for _, _, sentences in shards for text in sentences.texts]
        cache = VectorCache(lake.store, product, embedder)
        missing = cache.missing(texts)
        counts = embedder.count_tokens(missing) if missing else []
        n_tokens = sum(n if limit is None else min(n, limit) for n in counts)  # as far as it reads
        if say is not None:
            say(
                f"{collection}: {len(missing):,} sentences of {n_tokens:,} tokens are to be "
                f"embedded, {record['n_chosen']:,} observations chosen"
            )
        caps.require(len(missing), n_tokens)
        vectors = embed_through_cache(embedder, cache, texts, runner)
        partition, parts, start = (space, METHOD, collection), [], 0
        for number, ids, sentences in shards:
            embedding = vectors[start : start + len(ids)]
            start += len(ids)
            rows = embedding_batches(table, partition, ids, embedding, sentences.coverage)
            parts.append(NewPart(table, rows, partition, embedder.dimensions, number))
        return parts

    return lake.build(f"embeddings/{space}/{METHOD}/{collection}", origin, compute)


def sentences_of(
    lake: Lake, expression: Part, n_genes: int, names: RankedNames, unit: str, chosen: set[str]
) -> tuple[list[str], Sentences]:
    """Ids and sentences of those chosen observations that are in one part, in its order."""
    ids: list[str] = []
    texts: list[str] = []
    coverage = [np.empty(0, np.float32)]
    for of_block, block in expression_blocks(lake, expression, n_genes):
        if keep := [row for row, id_ in enumerate(of_block) if id_ in chosen]:
            sentences = names(block[keep], unit)
            ids += [of_block[row] for row in keep]
            texts += sentences.texts
            coverage.append(sentences.coverage)
    return ids, Sentences(texts, np.concatenate(coverage))
