"""Gene embeddings: one part of table `gene_embeddings` per space."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from genept.store.lake import Lake, NewPart, Part
from genept.store.provenance import Origin
from genept.tables import TABLES
from genept.text.cache import VectorCache
from genept.text.embedder import EmbeddingError, TextEmbedder
from genept.text.embedding import Runner, embed_through_cache, plain_loop
from genept.text.lsa import LSA
from genept.text.random_vectors import RandomVectors
from genept.text.shuffling import shuffled
from genept.text.spaces import Space
from genept.text.till import Purse


def embed_genes(
    lake: Lake,
    space: Space,
    descriptions: Part,
    open_embedder: Callable[[], TextEmbedder],
    *,
    product: str,
    runner: Runner = plain_loop,
    purse: Purse | None = None,
) -> Part:
    """The gene vectors of one space, unless the lake holds them already.

    Parameters
    ----------
    descriptions
        The recipe's part of table `gene_descriptions`.
    open_embedder
        Opens the pretrained or hosted text model; called only if the space needs one and is new.
    purse
        What a hosted model may cost.

    Raises
    ------
    EmbeddingError
        If that model is not the space's.
    """
    origin = Origin(
        code=("genept.text", "genept.tables"),
        inputs={"gene_descriptions": descriptions.sha256},
        settings={"space": space.id},
        libraries=("numpy", "onnxruntime", "scikit-learn", "tokenizers"),
    )

    def compute() -> list[NewPart]:
        rows = lake.read(descriptions)
        if space.variant == "shuffled":
            given = shuffled(rows["ensembl_gene_id"].to_list())
            rows = rows.with_columns(rows.select("text", "text_sha256")[given.tolist()])
        rows, vectors = _vectors(lake, space, rows, open_embedder, product, runner, purse)
        return [
            NewPart(
                "gene_embeddings", _rows(space, rows, vectors), (space.id,), int(vectors.shape[1])
            )
        ]

    (part,) = lake.build(f"gene_embeddings/{space.id}", origin, compute)
    return part


def _vectors(
    lake: Lake,
    space: Space,
    rows: pl.DataFrame,
    open_embedder: Callable[[], TextEmbedder],
    product: str,
    runner: Runner,
    purse: Purse | None,
) -> tuple[pl.DataFrame, npt.NDArray[np.float32]]:
    """The genes that the space can place, and a vector for each."""
    texts = rows["text"].to_list()
    if space.is_random:
        dimensions = int(space.embedder.rpartition("-")[2])
        return rows, RandomVectors(dimensions).embed(rows["ensembl_gene_id"].to_list())
    if space.is_lsa:
        lsa = LSA.fit(texts, int(space.embedder.rpartition("-")[2]))
        rows = rows.filter(pl.Series(lsa.covers(texts)))
        return rows, lsa.embed(rows["text"].to_list())
    embedder = open_embedder()
    if embedder.id != space.embedder:
        raise EmbeddingError(f"space {space.id!r} was handed the embedder {embedder.id!r}")
    cache = VectorCache(lake.store, product, embedder)
    return rows, embed_through_cache(embedder, cache, texts, runner, purse)


def _rows(space: Space, genes: pl.DataFrame, vectors: npt.NDArray[np.float32]) -> pa.Table:
    schema = TABLES["gene_embeddings"].schema(int(vectors.shape[1]))
    embedding = pa.FixedSizeListArray.from_arrays(
        pa.array(vectors.ravel()), type=schema.field("embedding").type
    )
    return pa.table(
        [
            pa.array([space.id] * genes.height),
            *(genes[name].to_arrow().cast(pa.string()) for name in ("ensembl_gene_id", "symbol")),
            embedding,
            genes["text_sha256"].to_arrow().cast(pa.string()),
        ],
        names=schema.names,
    )
