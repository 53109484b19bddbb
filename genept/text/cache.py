"""Vectors of texts that were embedded before, content-addressed in the object store.

A vector is found again by embedder identity, dimensions and the SHA-256 of its
text. Each batch that comes back from an embedder is one immutable shard, written
before the next batch is asked for: a killed run keeps what it has paid for.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from genept.store.errors import StoreError
from genept.store.provenance import sha256_of
from genept.store.s3 import ObjectStore
from genept.text.embedder import TextEmbedder, validate_vectors


def text_sha256(text: str) -> str:
    """Address of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


class VectorCache:
    """The vectors of one embedder.

    Shards are read once; those this object writes are known to it. Two writers
    may embed the same text at the same time, but each keeps a valid vector of it.
    """

    def __init__(self, store: ObjectStore, product: str, embedder: TextEmbedder) -> None:
        self.store = store
        self.dimensions = embedder.dimensions
        space = sha256_of(embedder.id, embedder.identity, embedder.dimensions)
        self.prefix = f"{product}/cache/vectors/{embedder.id}/{space[:16]}/"

    def missing(self, texts: Sequence[str]) -> list[str]:
        """The distinct texts that have no vector yet, in order."""
        return [text for text in dict.fromkeys(texts) if text_sha256(text) not in self._known]

    def add(self, texts: Sequence[str], vectors: npt.NDArray[np.float32]) -> None:
        """Keep the vectors of texts; nothing invalid is kept.

        Raises
        ------
        EmbeddingError
            If a vector is not finite, of the wrong dimension or not of unit length.
        """
        validate_vectors(vectors, len(texts), self.dimensions)
        addresses = [text_sha256(text) for text in texts]
        flat = pa.array(vectors.ravel())
        embedding = pa.FixedSizeListArray.from_arrays(flat, self.dimensions)
        body = io.BytesIO()
        pq.write_table(
            pa.table({"text_sha256": addresses, "embedding": embedding}), body, compression="zstd"
        )
        content = body.getvalue()
        self.store.put_if_absent(
            f"{self.prefix}{hashlib.sha256(content).hexdigest()}.parquet", content
        )
        self._known.update(zip(addresses, vectors.copy(), strict=True))

    def vectors(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors of texts, in order: texts × dimensions.

        Raises
        ------
        KeyError
            If a text has no vector yet.
        """
        matrix = np.empty((len(texts), self.dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            vector = self._known.get(text_sha256(text))
            if vector is None:
                raise KeyError(f"no vector yet for text {row}: {text[:80]!r}")
            matrix[row] = vector
        return matrix

    @cached_property
    def _known(self) -> dict[str, npt.NDArray[np.float32]]:
        """Vectors by the address of their text."""
        known: dict[str, npt.NDArray[np.float32]] = {}
        for info in self.store.list(self.prefix):
            known.update(self._shard(info.key))
        return known

    def _shard(self, key: str) -> dict[str, npt.NDArray[np.float32]]:
        content = self.store.get(key)
        if not key.endswith(f"/{hashlib.sha256(content).hexdigest()}.parquet"):
            raise StoreError(
                f"{self.store.uri(key)} is damaged: its content does not match its name; delete "
                "the object, and what it held is embedded again"
            )
        rows = pq.read_table(pa.BufferReader(content))
        flat = rows["embedding"].combine_chunks().flatten().to_numpy()
        matrix = flat.reshape(-1, self.dimensions)
        return dict(zip(rows["text_sha256"].to_pylist(), matrix, strict=True))
