"""Vectors of texts that were embedded before, content-addressed in the object store.

A vector is found again by embedder identity, dimensions and the SHA-256 of its
text. Each batch that comes back from an embedder is one immutable shard, written
before the next batch is asked for: a killed run keeps what it has paid for.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from genept.store.provenance import sha256_of
from genept.store.s3 import ObjectStore
from genept.text.embedder import TextEmbedder, validate_vectors


def text_sha256(text: str) -> str:
    """Address of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


class VectorCache:
    """The vectors of one embedder.

    Shards are listed once; those this object writes are known to it. Two writers
    may embed the same text at the same time, but each keeps a valid vector of it.
    """

    def __init__(self, store: ObjectStore, product: str, embedder: TextEmbedder) -> None:
        self.store = store
        self.dimensions = embedder.dimensions
        space = sha256_of(embedder.id, embedder.identity, embedder.dimensions)
        self.prefix = f"{product}/cache/vectors/{embedder.id}/{space[:16]}/"
        self._shards: list[pa.Table] | None = None

    def missing(self, texts: Sequence[str]) -> list[str]:
        """The distinct texts that have no vector yet, in order."""
        known = {address for shard in self._load() for address in shard["text_sha256"].to_pylist()}
        return [text for text in dict.fromkeys(texts) if text_sha256(text) not in known]

    def add(self, texts: Sequence[str], vectors: npt.NDArray[np.float32]) -> None:
        """Keep the vectors of texts; nothing invalid is kept.

        Raises
        ------
        EmbeddingError
            If a vector is not finite, of the wrong dimension or not of unit length.
        """
        validate_vectors(vectors, len(texts), self.dimensions)
        flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).ravel())
        shard = pa.table(
            {
                "text_sha256": [text_sha256(text) for text in texts],
                "embedding": pa.FixedSizeListArray.from_arrays(flat, self.dimensions),
            }
        )
        body = io.BytesIO()
        pq.write_table(shard, body, compression="zstd")
        content = body.getvalue()
        self.store.put_if_absent(
            f"{self.prefix}{hashlib.sha256(content).hexdigest()}.parquet", content
        )
        self._load().append(shard)

    def vectors(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors of texts, in order: texts × dimensions.

        Raises
        ------
        KeyError
            If a text has no vector yet.
        """
        known = pl.concat([pl.DataFrame(pl.from_arrow(shard)) for shard in self._load()]).unique(
            "text_sha256", keep="first", maintain_order=True
        )
        wanted = pl.DataFrame({"text_sha256": [text_sha256(text) for text in texts]})
        found = wanted.join(known, on="text_sha256", how="left", maintain_order="left")
        if found["embedding"].null_count():
            index = found["embedding"].is_null().arg_true()[0]
            raise KeyError(f"no vector yet for text {index}: {texts[index][:80]!r}")
        matrix: npt.NDArray[np.float32] = found["embedding"].to_numpy()
        return np.ascontiguousarray(matrix, dtype=np.float32)

    def _load(self) -> list[pa.Table]:
        if self._shards is None:
            keys = sorted(info.key for info in self.store.list(self.prefix))
            self._shards = [pq.read_table(pa.BufferReader(self.store.get(key))) for key in keys]
        return self._shards
