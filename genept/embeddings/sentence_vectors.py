"""GenePT-s through the lake: sentences of a collection, embedded through the vector cache.

Each sentence costs as much as a gene's description, and every observation has its own: therefore
sampling, a forecast and caps come before the first request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from genept.common import StoreError
from genept.embeddings.expression import expression_blocks
from genept.embeddings.pooling import TABLE_OF_KIND, embedding_batches
from genept.embeddings.sentences import TOP, RankedNames, Sampling, SentenceError, Sentences
from genept.embeddings.weighted_sum import kernel_name
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
    "genept.embeddings.sentences",
    "genept.embeddings.sentence_vectors",
    "genept.text.gene_vectors",
    "genept.schema.tables",
)
"""Modules whose behaviour decides what is embedded; sums of weights are the kernel's."""


class CountingTextEmbedder(TextEmbedder, Protocol):
    """A text embedder that can say how long a text is to it."""

    def count_tokens(self, texts: list[str]) -> list[int]:
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
    top: int = TOP,
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
    top
        Most gene names in a sentence.
    runner
        Runs the batches of texts.
    say
        Called with the forecast before the first request, unless the lake holds the parts already.

    Returns
    -------
    list of Part
        Of `cell_embeddings` or `sample_embeddings`, with method ``genept-s``, one for each
        shard of `expression` that has chosen observations; `coverage` is the share of an
        observation's weight on genes that its sentence names. How observations were chosen
        is in the settings of their origin.

    Raises
    ------
    SentenceError
        If a cap would be exceeded (nothing has been embedded then), or an observation
        expresses nothing.
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
            "method": METHOD, "unit": unit, "top": top, "embedder": embedder.identity,
            "kernel": kernel_name(), "sampling": record,
        },
        libraries=("numpy",),
    )  # fmt: skip

    def compute() -> list[NewPart]:
        limit = embedder.max_tokens
        counter = None if limit is None else lambda texts: embedder.count_tokens(list(texts))
        names = RankedNames(lake.read(axis), kind, top=top, max_tokens=limit, count_tokens=counter)
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


def chosen(part: Part) -> str:
    """Describe how the observations of a part of GenePT-s were sampled.

    Parameters
    ----------
    part
        A part with method ``genept-s``.

    Returns
    -------
    str
        One line, from the settings of its origin.
    """
    record = part.origin["settings"]["sampling"]
    by = f"each {record['label']} in proportion" if record["label"] else "at random"
    return (
        f"{record['n_chosen']:,} of {record['n_observations']:,} observations, {by}, by seed "
        f"{record['seed']}; at most {record['cap']:,}"
    )


def sentences_of(
    lake: Lake, expression: Part, n_genes: int, names: RankedNames, unit: str, chosen: set[str]
) -> tuple[list[str], Sentences]:
    """Ids and sentences of those chosen observations that are in one part, in its order."""
    ids: list[str] = []
    texts: list[str] = []
    coverage = [np.empty(0, np.float32)]
    for of_block, block in expression_blocks(lake, expression, n_genes):
        keep = [row for row, id_ in enumerate(of_block) if id_ in chosen]
        if keep:
            sentences = names(block[keep], unit)
            ids += [of_block[row] for row in keep]
            texts += sentences.texts
            coverage.append(sentences.coverage)
    return ids, Sentences(texts, np.concatenate(coverage))
