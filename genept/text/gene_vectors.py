"""Gene embeddings: one part of table `gene_embeddings` per space; and how vectors are stored.

Missing vectors are embedded by `genept.text.cached_embedding`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from genept.schema.tables import TABLES
from genept.storage import Lake, NewPart, ObjectStore, Origin, Part, VectorFile, put_table
from genept.text.cached_embedding import embed_through_cache, genes_in_time
from genept.text.composition import text_sha256
from genept.text.embedders import EmbeddingError, Space, TextEmbedder, embedding_column
from genept.text.hosted import (
    PendingBatchesError,
    PendingTextsError,
    SpendingLimit,
    jobs_of,
    require_collected,
)
from genept.text.local import LSA, RandomVectors, shuffled
from genept.text.metered import MeteredEmbedder, Runner, plain_loop
from genept.text.vector_cache import VectorCache

EmbedRemotely = Callable[[MeteredEmbedder, Part], None]
"""Has the texts of a part (its column `text`) embedded elsewhere: their vectors are in the cache
when it returns. Raises `EmbeddingError` if they are not."""


def has_gene_vectors(
    lake: Lake, space: Space, descriptions: Part, version: str | None = None
) -> bool:
    """Whether the lake holds what `embed_genes` would build.

    Parameters
    ----------
    lake, space, descriptions, version
        As of `embed_genes`.

    Returns
    -------
    bool
    """
    return lake.known(_step(space), _origin(space, descriptions, version)) is not None


def embed_genes(
    lake: Lake,
    space: Space,
    descriptions: Part,
    open_embedder: Callable[[], TextEmbedder],
    *,
    product: str,
    version: str | None = None,
    runner: Runner = plain_loop,
    spending_limit: SpendingLimit | None = None,
    remote: EmbedRemotely | None = None,
) -> Part:
    """Build the gene vectors of one space, unless the lake holds them already.

    Parameters
    ----------
    lake
        Where the table is stored.
    space
        The space.
    descriptions
        The recipe's part of table `gene_descriptions`.
    open_embedder
        Opens the pretrained or hosted text model; called only if the space needs one and is new.
    product
        Key prefix of the installation.
    version
        Changes with the declaration of the embedder; None: the space needs none.
    runner
        Runs the batches.
    spending_limit
        What a hosted model may cost; None: no limit.
    remote
        Has the missing vectors of a hosted model stored; None: it is asked from here.

    Returns
    -------
    Part
        Of table `gene_embeddings`.

    Raises
    ------
    EmbeddingError
        The model is not that of the space, a text could not be embedded, or texts are in a batch
        under way (`PendingBatchesError`).
    """
    origin = _origin(space, descriptions, version)

    def vectors_of(rows: pl.DataFrame) -> tuple[pl.DataFrame, npt.NDArray[np.float32]]:
        """The genes that the space can place, and a vector for each."""
        texts = rows["text"].to_list()
        if space.is_random:
            return rows, RandomVectors(space.size).embed(rows["ensembl_gene_id"].to_list())
        if space.is_lsa:
            lsa = LSA.fit(texts, space.size)
            rows = rows.filter(pl.Series(lsa.covers(texts)))
            return rows, lsa.embed(rows["text"].to_list())
        embedder = opened()
        cache = VectorCache(lake.store, product, embedder)
        if remote and isinstance(embedder, MeteredEmbedder) and cache.missing(texts):
            remote(embedder, descriptions)
            cache.refresh()
            missing = cache.missing(texts)
            wanted = [text_sha256(text) for text in missing]
            require_collected(PendingTextsError, embedder.id, jobs_of(cache), wanted)
            if missing:  # never paid for from here, too
                raise EmbeddingError(f"{embedder.id}: {len(missing)} texts have no vector still")
        return rows, embed_through_cache(embedder, cache, texts, runner, spending_limit)

    @functools.cache
    def opened() -> TextEmbedder:
        embedder = open_embedder()
        if embedder.id != space.embedder:
            raise EmbeddingError(f"space {space.id!r} was handed the embedder {embedder.id!r}")
        return embedder

    def compute() -> list[NewPart]:
        rows = lake.read(descriptions)
        if space.needs_embedder:
            rows = genes_in_time(rows, opened())
        if space.variant == "shuffled":
            given = shuffled(rows["ensembl_gene_id"].to_list())
            rows = rows.with_columns(rows.select("text", "text_sha256")[given.tolist()])
        rows, vectors = vectors_of(rows)
        ids, symbols, texts = (
            rows[name].to_arrow() for name in ("ensembl_gene_id", "symbol", "text_sha256")
        )
        return [gene_embedding_rows(space, ids, symbols, embedding_column(vectors), texts)]

    (part,) = lake.build(_step(space), origin, compute)
    return part


def _step(space: Space) -> str:
    return f"gene_embeddings/{space.id}"


def _origin(space: Space, descriptions: Part, version: str | None) -> Origin:
    return Origin(
        code=("genept.text", "genept.schema.tables"),
        inputs={"gene_descriptions": descriptions.sha256},
        settings={"space": space.id, "embedder": version},
        libraries=("numpy", "onnxruntime", "scikit-learn", "tokenizers"),
    )


def gene_embedding_rows(
    space: Space,
    ids: pa.Array | pa.ChunkedArray,
    symbols: pa.Array | pa.ChunkedArray,
    vectors: pa.Array | pa.ChunkedArray,
    texts: pa.Array | pa.ChunkedArray,
) -> NewPart:
    """Make a space's part of table `gene_embeddings`.

    Parameters
    ----------
    space
        The space.
    ids, symbols, vectors
        Of the genes: Ensembl ids, symbols, and lists of fixed size.
    texts
        SHA-256 of the texts, null where there is none.

    Returns
    -------
    NewPart
        To be stored.
    """
    dimensions = vectors.type.list_size
    schema = TABLES["gene_embeddings"].schema(dimensions)
    columns = [pa.repeat(space.id, len(ids)), ids, symbols, vectors, texts]
    rows = pa.table(
        [column.cast(type_) for column, type_ in zip(columns, schema.types, strict=True)],
        names=schema.names,
    )
    return NewPart("gene_embeddings", rows, (space.id,), dimensions)


class StoredVectors(VectorFile):
    """The declaration of a table of vectors that was stored from a user's file.

    Parameters
    ----------
    table_sha256
        SHA-256 of the stored table, which is part of its key.
    dimensions
        Length of the vectors.
    shortest, longest
        Smallest and largest Euclidean length in the user's file.
    registered
        When, in UTC.
    """

    table_sha256: str
    dimensions: int
    shortest: float
    longest: float
    registered: datetime


def stored_vectors(
    store: ObjectStore, product: str, rows: pa.Table, lengths: tuple[float, float]
) -> dict[str, Any]:
    """Store a table with column `embedding` under its hash; return the fields of `StoredVectors`.

    Parameters
    ----------
    store
        The bucket.
    product
        Key prefix of the installation.
    rows
        Names and vectors.
    lengths
        Shortest and longest vector as published.

    Returns
    -------
    dict
        Value by field.
    """
    return {
        "table_sha256": PurePosixPath(put_table(store, f"{product}/spaces/tables/", rows)).stem,
        "dimensions": rows["embedding"].type.list_size,
        "shortest": lengths[0],
        "longest": lengths[1],
        "registered": datetime.now(UTC).replace(microsecond=0),
    }


def embed_each(
    spaces: Iterable[Space], embed: Callable[[Space], Part]
) -> tuple[dict[str, list[Part]], dict[str, PendingBatchesError]]:
    """Embed spaces; one whose texts are in batches under way does not keep others waiting.

    Parameters
    ----------
    spaces
        The spaces.
    embed
        Embeds one of them.

    Returns
    -------
    parts : dict
        Part of table `gene_embeddings`, by id of the space.
    pending : dict
        What a space waits for, by its id.
    """
    parts: dict[str, list[Part]] = {}
    pending: dict[str, PendingBatchesError] = {}
    for space in spaces:
        try:
            parts[space.id] = [embed(space)]
        except PendingBatchesError as error:
            pending[space.id] = error
    return parts, pending
