"""Embedders without a pretrained model: latent semantic analysis, and two controls.

The controls are one random unit vector per gene, and texts shuffled between genes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from genept.text.embedders import EmbeddingError

if TYPE_CHECKING:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer


MIN_DOCUMENTS = 2
"""A term of one text only ties it to no other."""


SEED = 0

SMALLEST_NORM = 1e-6
"""Smallest length of a text's projection, where its TF-IDF vector has length 1; below it is only
rounding."""


SHOWN = 10

TERMS_VERSION = 1
"""Raise it with every change to what `terms` returns."""


_TERM = re.compile(r"[^\W_]+(?:[-'./_][^\W_]+)*")


def terms(text: str) -> list[str]:
    """Lower-case terms of a text, in any language.

    Names with digits and hyphens stay whole (``hla-drb1``, ``il-2``, ``nkx2.5``, ``tgf-β``);
    a hyphenated term counts as its parts too, so that "DNA-binding" meets "DNA binding".
    """
    words = _TERM.findall(text.casefold())
    return words + [part for term in words if "-" in term for part in term.split("-")]


class TooFewTextsError(ValueError):
    """Texts span fewer dimensions than are requested."""


class LSA:
    """TF-IDF and truncated SVD of one corpus; create it with `LSA.fit`.

    Parameters
    ----------
    tfidf, svd
        Fitted estimators.
    identity
        What the vectors depend on.
    """

    max_tokens: int | None = None
    unit_norm = True
    dollars_per_million_tokens = 0.0

    def __init__(self, tfidf: TfidfVectorizer, svd: TruncatedSVD, *, identity: str) -> None:
        self._tfidf = tfidf
        self._svd = svd
        self.dimensions = int(svd.components_.shape[0])
        self.id = f"lsa-{self.dimensions}"
        self.identity = identity

    @classmethod
    def fit(cls, texts: Sequence[str], dimensions: int = 384) -> LSA:
        """Fit terms, their weights and the main directions of a corpus.

        Parameters
        ----------
        texts
            The corpus.
        dimensions
            Length of the vectors.

        Returns
        -------
        LSA
            The fitted embedder.

        Raises
        ------
        TooFewTextsError
            The corpus has too few texts or terms for so many dimensions.
        """
        from sklearn import __version__ as sklearn_version
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer

        tfidf = TfidfVectorizer(analyzer=terms, min_df=MIN_DOCUMENTS)
        weighted = tfidf.fit_transform(texts)
        possible = min(weighted.shape)
        if possible < dimensions:
            raise TooFewTextsError(
                f"{len(texts)} texts that share {weighted.shape[1]} terms (each in at least "
                f"{MIN_DOCUMENTS} texts) span no more than {possible} dimensions, "
                f"{dimensions} were requested: fit on more texts or request fewer dimensions"
            )
        svd = TruncatedSVD(dimensions, algorithm="randomized", random_state=SEED)
        svd.fit(weighted)
        # Of the texts' digests: no two corpora run together to the same bytes.
        digests = b"".join(hashlib.sha256(text.encode()).digest() for text in texts)
        identity = (
            f"lsa-{dimensions}:corpus={hashlib.sha256(digests).hexdigest()}"
            f":tf=counts:min_df={MIN_DOCUMENTS}"
            f":terms=v{TERMS_VERSION}:seed={SEED}:scikit-learn={sklearn_version}"
        )
        return cls(tfidf, svd, identity=identity)

    def covers(self, texts: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Whether each text has a vector, that is, shares terms with the corpus; shape (n,)."""
        return np.asarray(np.linalg.norm(self._project(texts), axis=1) > SMALLEST_NORM)

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed `texts`: shape (len(texts), dimensions), rows of unit length.

        Raises
        ------
        EmbeddingError
            If a text shares no term with the corpus: a zero vector has no direction, and any
            other would be made up. Ask `covers` first and account for what is left out.
        """
        projected = self._project(texts)
        norms = np.linalg.norm(projected, axis=1)
        unknown = np.flatnonzero(norms <= SMALLEST_NORM)
        if unknown.size:
            listed = ", ".join(map(str, unknown[:SHOWN].tolist()))
            more = f" and {unknown.size - SHOWN} more" if unknown.size > SHOWN else ""
            raise EmbeddingError(
                f"{unknown.size} of {len(texts)} texts share no term with the corpus of {self.id}: "
                f"texts {listed}{more}; leave them out with covers()"
            )
        return np.asarray(projected / norms[:, None], np.float32)

    def _project(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        if not texts:
            return np.empty((0, self.dimensions))
        return np.asarray(self._svd.transform(self._tfidf.transform(texts)))


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

        The vector of a key does not depend on the other keys or their order.

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
        return np.asarray(deviates / np.linalg.norm(deviates))


def shuffled(genes: Sequence[str], *, seed: int = SEED) -> npt.NDArray[np.intp]:
    """Return which gene's text each gene is given.

    Genes are ordered by a hash of the seed and their id, and each is given the text of the next: a
    permutation without fixed points that hardly changes when a gene is added. A single gene keeps
    its own text.

    Parameters
    ----------
    genes
        Ensembl gene ids.
    seed
        Another seed gives another permutation.

    Returns
    -------
    ndarray of int
        Position of the gene whose text each gene is given.
    """
    keys = [hashlib.sha256(f"{seed}:{gene}".encode()).digest() for gene in genes]
    order = np.array(sorted(range(len(genes)), key=keys.__getitem__), dtype=np.intp)
    given = np.empty(len(genes), dtype=np.intp)
    given[order] = np.roll(order, -1)
    return given
