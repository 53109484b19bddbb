"""The control that every embedding must beat: one random unit vector per gene.

It keeps genes apart and knows nothing about them: what a model scores on it, the labels'
structure gave away. It embeds gene ids, not descriptions, so that no text reaches it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from genept.text.embedder import EmbeddingError


class RandomVectors:
    """Unit Gaussian vectors, uniform on the sphere, that depend on the seed and the key alone.

    Parameters
    ----------
    dimensions
        Length of the vectors; that of the embedder it is the control of.
    seed
        Another seed gives an independent control.
    """

    max_tokens: int | None = None
    unit_norm = True
    dollars_per_million_tokens = 0.0

    def __init__(self, dimensions: int = 384, *, seed: int = 0) -> None:
        if dimensions < 1:
            raise ValueError(f"vectors need at least one dimension, got {dimensions}")
        self.dimensions = dimensions
        self.seed = seed
        self.id = f"random-{dimensions}"
        # NumPy may change the stream of normal deviates from one version to the next.
        self.identity = f"{self.id}:seed={seed}:numpy={np.__version__}"

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors of the given keys: Ensembl gene ids take the place of texts.

        A key has the same vector in whatever order and company it is asked for.

        Returns
        -------
        ndarray of float32, shape (len(texts), dimensions), rows of unit length

        Raises
        ------
        EmbeddingError
            If a key is empty.
        """
        vectors = np.empty((len(texts), self.dimensions), dtype=np.float32)
        for row, key in enumerate(texts):
            if not key:
                raise EmbeddingError(f"key {row} is empty: random vectors are keyed by gene id")
            vectors[row] = self._vector(key)
        return vectors

    def _vector(self, key: str) -> npt.NDArray[np.float64]:
        digest = hashlib.sha256(f"{self.seed}:{key}".encode()).digest()
        entropy = np.random.SeedSequence(int.from_bytes(digest, "big"))
        deviates = np.random.Generator(np.random.PCG64(entropy)).standard_normal(self.dimensions)
        unit: npt.NDArray[np.float64] = deviates / np.linalg.norm(deviates)
        return unit
