"""What a text embedder is, and what must be true of the vectors that any of them returns.

The contract that the local models, the controls and hosted services share. How vectors are
cached, and which texts are embedded, belongs to `genept.text.cache` and
`genept.text.gene_vectors`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

NORM_TOLERANCE = 1e-3
"""How far a vector's length may be from 1: float32 rounding and base64 transport, no more."""


class EmbeddingError(ValueError):
    """A text that cannot be embedded, or vectors that break the contract of `TextEmbedder`."""


class TextEmbedder(Protocol):
    """Turns texts into unit vectors of one space."""

    @property
    def id(self) -> str:
        """Short name, the first half of a space's name, such as ``minilm-l6-v2``."""

    @property
    def dimensions(self) -> int:
        """Length of every vector."""

    @property
    def max_tokens(self) -> int | None:
        """Tokens, special ones included, beyond which a text is cut; none: never cut."""

    @property
    def identity(self) -> str:
        """Changes whenever the same text would yield another vector: weights and settings."""

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed `texts`: shape (len(texts), dimensions), rows of unit length, in input order."""


def validate_vectors(vectors: npt.NDArray[Any], n_texts: int, dimensions: int) -> None:
    """Check that `vectors` are float32, (n_texts, dimensions), finite and of unit length.

    Raises
    ------
    EmbeddingError
        At the first thing that is wrong; for values, names the first offending row.
    """
    if vectors.ndim != 2 or vectors.shape[0] != n_texts:
        raise EmbeddingError(
            f"expected one vector for each of {n_texts} texts, got an array of shape "
            f"{vectors.shape}"
        )
    if vectors.shape[1] != dimensions:
        raise EmbeddingError(f"expected vectors of {dimensions} dimensions, got {vectors.shape[1]}")
    if vectors.dtype != np.float32:
        raise EmbeddingError(f"expected float32 vectors, got {vectors.dtype}")
    # One non-finite or overlong value makes the norm non-finite or huge: a single pass finds all.
    with np.errstate(over="ignore", invalid="ignore"):
        norms = np.linalg.norm(vectors, axis=1)
        wrong = np.flatnonzero(~(np.abs(norms - 1.0) <= NORM_TOLERANCE))
    if wrong.size:
        row = int(wrong[0])
        raise EmbeddingError(f"vector of row {row} {_fault(vectors[row], float(norms[row]))}")


def _fault(vector: npt.NDArray[np.float32], norm: float) -> str:
    unusable = np.flatnonzero(~np.isfinite(vector))
    if unusable.size:
        return f"is not finite at dimension {int(unusable[0])}: {vector[unusable[0]]}"
    if not vector.any():
        return "is all zero: it says nothing about its text"
    return f"has length {norm:.6g}, expected 1 within {NORM_TOLERANCE}"
