"""GenePT-s through the lake: sentences of a collection, embedded through the vector cache.

Each sentence costs as much as a gene's description, and every observation has one of its
own: so a sample, a forecast and a cap come before the first call.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from genept.embeddings.expression import expression_blocks
from genept.embeddings.pooling import TABLE_OF_KIND, embedding_rows
from genept.embeddings.sampling import Sampling
from genept.embeddings.sentences import TOP, CountTokens, Forecast, RankedNames, Sentences
from genept.store.errors import StoreError
from genept.store.lake import Lake, NewPart, Part
from genept.store.provenance import Origin
from genept.tables import TABLES
from genept.text.cache import VectorCache
from genept.text.embedder import TextEmbedder
from genept.text.embedding import Runner, embed_through_cache, plain_loop

METHOD = "genept-s"
RECIPE = "ranked-names"
"""Second half of the name of a space of sentences: no gene's description is in it."""

AT_ONCE = 4096
"""Rows of a batch that is written."""


class CountingTextEmbedder(TextEmbedder, Protocol):
    """A text embedder that can say how long a text is to it."""

    def count_tokens(self, texts: list[str]) -> list[int]:
        """Tokens of each text, special ones included, before anything is cut."""


@dataclass(frozen=True)
class Caps:
    """What embedding the sentences of one collection may take; none: any."""

    texts: int | None = None
    tokens: int | None = None


def embed_sentences(
    lake: Lake,
    *,
    kind: str,
    unit: str,
    observations: Part,
    axis: Part,
    expression: Part,
    embedder: CountingTextEmbedder,
    product: str,
    sampling: Sampling,
    caps: Caps = Caps(),
    top: int = TOP,
    runner: Runner = plain_loop,
) -> Part:
    """Embed the sentences of (a sample of) one collection with a text model.

    A sentence ends where the model would stop reading, so that its hash says what was read:
    MiniLM reads 256 tokens, some 70 gene names, not the 1,000 of Chen & Zou.

    Returns
    -------
    Part
        Of `cell_embeddings` or `sample_embeddings`, with method ``genept-s``; `coverage`
        is the share of an observation's weight on genes that its sentence names. How
        observations were chosen is in the settings of its origin.

    Raises
    ------
    SentenceError
        If a cap would be exceeded (nothing has been embedded then), or an observation
        expresses nothing.
    """
    (collection,) = expression.partition
    space, table = f"{embedder.id}/{RECIPE}", TABLE_OF_KIND[kind]
    chosen, record = sampling.choose(lake.read(observations))
    origin = Origin(
        code=(
            *(f"genept.embeddings.{one}" for one in ("sampling", "sentences", "sentence_vectors")),
            *("genept.embeddings.weights", "genept.text.embedding", "genept.tables"),
        ),
        inputs={part.table: part.sha256 for part in (observations, axis, expression)},
        settings={
            "method": METHOD, "unit": unit, "top": top, "embedder": embedder.identity,
            "sampling": record,
        },
        libraries=("numpy",),
    )  # fmt: skip

    def compute() -> list[NewPart]:
        names = RankedNames(
            lake.read(axis), kind, top=top, max_tokens=embedder.max_tokens,
            count_tokens=None if embedder.max_tokens is None else _counter(embedder),
        )  # fmt: skip
        ids, made = sentences_of(lake, expression, axis.rows, names, unit, set(chosen))
        cache = VectorCache(lake.store, product, embedder)
        forecast(cache, embedder, made.texts).require_at_most(caps.texts, caps.tokens)
        vectors = embed_through_cache(embedder, cache, made.texts, runner)
        schema = TABLES[table].schema(embedder.dimensions)

        def batches() -> Iterator[pa.RecordBatch]:
            for start in range(0, len(ids), AT_ONCE):
                rows = slice(start, start + AT_ONCE)
                yield embedding_rows(
                    schema, (space, METHOD, collection), ids[rows], vectors[rows],
                    made.coverage[rows],
                )  # fmt: skip

        return [NewPart(table, batches(), (space, METHOD, collection), embedder.dimensions)]

    (part,) = lake.build(f"embeddings/{space}/{METHOD}/{collection}", origin, compute)
    return part


def sentences_of(
    lake: Lake, expression: Part, n_genes: int, names: RankedNames, unit: str, chosen: set[str]
) -> tuple[list[str], Sentences]:
    """Ids and sentences of the chosen observations of one part, in its order.

    Raises
    ------
    StoreError
        If not all chosen observations are in the part.
    """
    ids: list[str] = []
    made: list[Sentences] = []
    for of_block, block in expression_blocks(lake, expression, n_genes):
        keep = [row for row, one in enumerate(of_block) if one in chosen]
        if keep:
            ids += [of_block[row] for row in keep]
            made.append(names(block[keep], unit))
    if len(ids) != len(chosen):
        raise StoreError(
            f"{len(chosen) - len(ids)} of the {len(chosen)} chosen observations have no "
            "expression: materialise both from the same ingest"
        )
    return ids, Sentences(
        [text for one in made for text in one.texts],
        np.concatenate([one.n_genes for one in made]),
        np.concatenate([one.coverage for one in made]),
    )


def forecast(cache: VectorCache, embedder: CountingTextEmbedder, texts: list[str]) -> Forecast:
    """What it takes to embed these sentences: those without a vector, as far as they are read."""
    missing = cache.missing(texts)
    limit = embedder.max_tokens
    counts = embedder.count_tokens(missing) if missing else []
    return Forecast(len(missing), sum(counts if limit is None else (min(n, limit) for n in counts)))


def _counter(embedder: CountingTextEmbedder) -> CountTokens:
    return lambda texts: embedder.count_tokens(list(texts))
