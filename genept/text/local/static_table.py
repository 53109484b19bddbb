"""Static embedders: one vector for each token, and the weighted mean of them for a text.

As WordLlama (a mean of all tokens) and Model2Vec (each token has a weight, and several may share a
row of the table) compute them. They are a hundred times as fast as an encoder, and blind to order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genept.text.embedders import EmbeddingError, UnusableModelError
from genept.text.local.architectures import Weights
from genept.text.local.local_models import LocalModel
from genept.text.local.tokenizing import encodings, open_tokenizer

TABLES = ("embedding.weight", "embeddings")
"""Names of the table in published files."""


@dataclass(frozen=True)
class StaticTable:
    """Vectors of tokens.

    Parameters
    ----------
    vectors
        Rows × dimensions.
    rows
        Row of each token; None: its own number.
    weights
        Weight of each token; None: 1.
    """

    vectors: npt.NDArray[np.float32]
    rows: npt.NDArray[np.int64] | None = None
    weights: npt.NDArray[np.float32] | None = None

    def mean(self, tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """The weighted mean of the vectors of tokens, divided by their number."""
        rows = tokens if self.rows is None else self.rows[tokens]
        vectors = self.vectors[rows].astype(np.float64)
        if self.weights is not None:
            vectors *= self.weights[tokens][:, None]
        return np.asarray(vectors.mean(axis=0))


def static_table(weights: Weights, model: LocalModel) -> StaticTable:
    """Read the table of a safetensors file.

    Raises
    ------
    UnusableModelError
        There is none, or its parts do not fit each other.
    """
    names = [model.tensor] if model.tensor else [name for name in TABLES if name in weights]
    table = weights.get(names[0]) if names else None
    if table is None or table.ndim != 2:
        raise UnusableModelError(
            f"{model.id}: {model.weights} has no table of vectors; it has {sorted(weights)}"
        )
    rows, shares = weights.get("mapping"), weights.get("weights")
    if rows is not None and (rows.min() < 0 or rows.max() >= len(table)):
        raise UnusableModelError(f"{model.id}: `mapping` names rows that the table does not have")
    if rows is not None and shares is not None and len(rows) != len(shares):
        raise UnusableModelError(f"{model.id}: `mapping` and `weights` are of different tokens")
    if (model.dimensions or 0) > table.shape[1]:
        raise UnusableModelError(
            f"{model.id} has vectors of {table.shape[1]} dimensions, and {model.dimensions} are "
            "declared"
        )
    return StaticTable(
        np.ascontiguousarray(table[:, : model.dimensions], dtype=np.float32),
        None if rows is None else rows.astype(np.int64),
        None if shares is None else shares.astype(np.float32),
    )


class StaticEmbedder:
    """Embeds texts with a table of vectors; make it with `open_local_model`.

    Parameters
    ----------
    model
        Its declaration.
    table
        Vectors of tokens.
    tokenizer
        Content of a ``tokenizer.json``.
    weights_sha256
        SHA-256 of the file of the table.
    """

    dollars_per_million_tokens = 0.0

    def __init__(
        self, model: LocalModel, table: StaticTable, tokenizer: bytes, weights_sha256: str
    ) -> None:
        self.model, self.id, self.table = model, model.id, table
        self.dimensions = table.vectors.shape[1]
        self.max_tokens, self.unit_norm = model.max_tokens, model.normalised
        self._tokenizer = open_tokenizer(tokenizer, model.max_tokens)
        self._untruncated = open_tokenizer(tokenizer, None)
        self.identity = (
            f"{model.id}:weights={weights_sha256}"
            f":tokenizer={hashlib.sha256(tokenizer).hexdigest()}:max_tokens={model.max_tokens}"
            f":static:dimensions={self.dimensions}:special_tokens={model.special_tokens}"
            f":unit_norm={model.normalised}"
        )

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed `texts`: shape (len(texts), dimensions), in input order.

        Raises
        ------
        EmbeddingError
            If a text is empty or has no token with a vector.
        """
        vectors = np.empty((len(texts), self.dimensions), dtype=np.float32)
        known = len(self.table.vectors if self.table.rows is None else self.table.rows)
        special = self.model.special_tokens
        for row, encoding in enumerate(encodings(self._tokenizer, texts, special=special)):
            tokens = np.array(encoding.ids, dtype=np.int64)
            tokens = tokens[tokens < known]
            mean = self.table.mean(tokens) if tokens.size and texts[row].strip() else np.zeros(1)
            norm = float(np.linalg.norm(mean))
            if not norm > 0:  # none is left, or they cancel out
                raise EmbeddingError(
                    f"text {row} is empty or has no token with a vector: {texts[row]!r}; leave it "
                    "out and account for it"
                )
            vectors[row] = mean / norm if self.unit_norm else mean
        return vectors

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text before anything is cut."""
        special = self.model.special_tokens
        return [
            len(encoding.ids) for encoding in encodings(self._untruncated, texts, special=special)
        ]
