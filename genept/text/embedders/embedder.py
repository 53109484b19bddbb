"""What a text embedder is, and what must be true of its vectors.

The contract of local models, controls and hosted services. Caching is
`genept.text.embedders.cache`; which texts are embedded is `genept.text.embedders.gene_vectors`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

NORM_TOLERANCE = 1e-3
"""How far a vector's length may be from 1: float32 rounding and base64 transport, no more."""


class EmbeddingError(ValueError):
    """A text that cannot be embedded, or vectors that break the contract of `TextEmbedder`."""


class RefusedEmbeddingError(EmbeddingError):
    """A failure that a further request would not change: someone has to act first."""


class TextEmbedder(Protocol):
    """Turns texts into vectors of one space."""

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

    @property
    def unit_norm(self) -> bool:
        """Whether every vector has length 1; those of others are scaled when they are used."""

    @property
    def dollars_per_million_tokens(self) -> float:
        """What a service charges; 0 for what runs on this machine."""

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed `texts`: shape (len(texts), dimensions), in input order."""


@dataclass(frozen=True)
class EmbeddingAnswer:
    """The result of one request to a service, good or bad.

    Parameters
    ----------
    texts
        Texts with a valid vector.
    vectors
        Their vectors, float32, texts × dimensions.
    tokens
        Tokens charged; None if the service did not say.
    n_requests, n_unanswered
        Requests with an answer, and those without a complete one.
    failure
        Why other texts have no vector; None if all have one.
    """

    texts: tuple[str, ...]
    vectors: npt.NDArray[np.float32]
    tokens: int | None
    n_requests: int
    n_unanswered: int
    failure: EmbeddingError | None


@runtime_checkable
class MeteredEmbedder(TextEmbedder, Protocol):
    """A text embedder that charges by the token, so that every answer is accounted for."""

    @property
    def counted_by(self) -> str:
        """How `count_tokens` counts, in words."""

    @property
    def at_once(self) -> int:
        """Number of requests that may be open at the same time."""

    @property
    def tokens_per_minute(self) -> int:
        """Most tokens that may be requested in a minute."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text: exact, or at least what the service is expected to charge."""

    def pack(self, texts: Sequence[str]) -> list[list[str]]:
        """Divide texts into requests that the service accepts."""

    def ask(self, texts: Sequence[str]) -> EmbeddingAnswer:
        """Embed the texts of one request, with retries; never raises."""


def embedding_column(vectors: npt.NDArray[np.float32]) -> pa.FixedSizeListArray:
    """Return vectors as a column of lists.

    Parameters
    ----------
    vectors
        Rows × dimensions.

    Returns
    -------
    pyarrow.FixedSizeListArray
        One list a row.
    """
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])


def validate_vectors(
    vectors: npt.NDArray[Any], n_texts: int, dimensions: int, *, unit_norm: bool = True
) -> None:
    """Check that `vectors` are float32, (n_texts, dimensions), finite and of unit length.

    With ``unit_norm=False`` any length but zero will do.

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
        sound = np.abs(norms - 1.0) <= NORM_TOLERANCE if unit_norm else norms > 0
        wrong = np.flatnonzero(~(sound & np.isfinite(norms)))
    if wrong.size:
        row = int(wrong[0])
        raise EmbeddingError(f"vector of row {row} {_fault(vectors[row], float(norms[row]))}")


def fault_of(vector: npt.NDArray[np.float32], *, unit_norm: bool) -> str | None:
    """Return what is wrong with one vector.

    Parameters
    ----------
    vector
        Shape (dimensions,).
    unit_norm
        Whether its length must be 1.

    Returns
    -------
    str or None
        The fault, in words; None if there is none.
    """
    try:
        validate_vectors(vector[None], 1, len(vector), unit_norm=unit_norm)
    except EmbeddingError as error:
        return str(error).removeprefix("vector of row 0 ")
    return None


def _fault(vector: npt.NDArray[np.float32], norm: float) -> str:
    unusable = np.flatnonzero(~np.isfinite(vector))
    if unusable.size:
        return f"is not finite at dimension {int(unusable[0])}: {vector[unusable[0]]}"
    if not vector.any():
        return "is all zero: it says nothing about its text"
    return f"has length {norm:.6g}, expected 1 within {NORM_TOLERANCE}"
