"""What a text embedder is, what must be true of its vectors, and the spaces it makes with recipes.

Which spaces there are is `genept.text.declared_spaces`; those of registered tables are
`genept.text.registered_gene_vectors`. Caching is `genept.text.vector_cache`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, cast, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from genept.common import SourceError
from genept.text.fusion import EMBEDDER as FUSED
from genept.text.fusion import Fusion

NORM_TOLERANCE = 1e-3
"""How far a vector's length may be from 1: float32 rounding and base64 transport, no more."""


class EmbeddingError(ValueError):
    """A text that cannot be embedded, or vectors that break the contract of `TextEmbedder`."""


class RefusedEmbeddingError(EmbeddingError):
    """A failure that a further request would not change: someone has to act first."""


class UnusableModelError(RefusedEmbeddingError, SourceError):
    """A model, or its declaration, that cannot be used: says what to change."""


class TextEmbedder(Protocol):
    """Turns texts into vectors of one space."""

    id: str
    """Short name, the first half of a space's name, such as ``minilm-l6-v2``."""

    dimensions: int
    """Length of every vector."""

    max_tokens: int | None
    """Tokens, special ones included, beyond which a text is cut; none: never cut."""

    identity: str
    """Changes whenever the same text would yield another vector: weights and settings."""

    unit_norm: bool
    """Whether every vector has length 1; those of others are scaled when they are used."""

    dollars_per_million_tokens: float
    """What a service charges; 0 for what runs on this machine."""

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed `texts`: shape (len(texts), dimensions), in input order."""


@runtime_checkable
class QueryEmbedder(TextEmbedder, Protocol):
    """A text embedder that reads a query otherwise than a text that is searched."""

    def for_queries(self) -> TextEmbedder:
        """The same model, which puts before each text what stands before a query."""


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
    """What is wrong with one vector, in words; None if nothing is."""
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


Variant = Literal["shuffled"]
MadeOf = Literal["network", "go", "coexpression", "fused"]
_ID: Final = re.compile(
    r"(?P<embedder>[a-z0-9][a-z0-9.-]*)/(?P<recipe>[a-z0-9][a-z0-9.-]*)(?:@(?P<variant>shuffled))?"
)

_MADE_OF: Final = re.compile(rf"(network|go|coexpression)-\d+|({FUSED})")


@dataclass(frozen=True)
class Space:
    """A coordinate system for genes; vectors of two spaces are never compared.

    Parameters
    ----------
    embedder, recipe
        Their ids.
    is_control
        Whether the space carries no knowledge, so that others must score better.
    variant
        ``shuffled``: each gene has the vector of another gene's text.
    table
        Hash of the registered table of vectors; such a space embeds no text.
    fusion
        What a fused space is made of.
    """

    embedder: str
    recipe: str
    is_control: bool = False
    variant: Variant | None = None
    table: str | None = None
    fusion: Fusion | None = None

    @property
    def id(self) -> str:
        """Name of the space, such as ``minilm-l6-v2/name-go``."""
        return f"{self.embedder}/{self.recipe}" + (f"@{self.variant}" if self.variant else "")

    @property
    def is_random(self) -> bool:
        """Whether its vectors are drawn at random, one per gene, and use no text."""
        return re.fullmatch(r"random-\d+", self.embedder) is not None

    @property
    def is_lsa(self) -> bool:
        """Whether its embedder is fitted on the descriptions that it embeds."""
        return re.fullmatch(r"lsa-\d+", self.embedder) is not None

    @property
    def made_of(self) -> MadeOf | None:
        """What its vectors are made of, if not of descriptions nor read from a registered table."""
        match = _MADE_OF.fullmatch(self.embedder)
        if match is None or self.table:
            return None
        return cast("MadeOf", match[1] or match[2])

    @property
    def collections(self) -> frozenset[str]:
        """Ids of the collections whose expression its vectors are made of."""
        if self.made_of == "coexpression":
            return frozenset({self.recipe})
        members = map(space_of, self.fusion.members) if self.fusion else ()
        return frozenset().union(*(member.collections for member in members))

    @property
    def has_recipe(self) -> bool:
        """Whether its second half is a recipe: its genes, if not its vectors, are described."""
        return not (self.table or self.made_of)

    @property
    def size(self) -> int:
        """Dimensions of a space that is random or fitted, as its embedder's name says."""
        return int(self.embedder.rpartition("-")[2])

    @property
    def is_text(self) -> bool:
        """Whether its vectors are of each gene's own text."""
        return self.has_recipe and not (self.is_random or self.variant)

    @property
    def needs_embedder(self) -> bool:
        """Whether it needs a pretrained embedder, whose texts are the recipe's."""
        return self.has_recipe and not (self.is_random or self.is_lsa)


def space_of(id_: str, *, is_control: bool = False, table: str | None = None) -> Space:
    """Return the space with an id.

    Parameters
    ----------
    id_
        ``embedder/recipe`` or ``embedder/recipe@shuffled``.
    is_control
        Whether it carries no knowledge.
    table
        Hash of its registered table.

    Returns
    -------
    Space
        The space.

    Raises
    ------
    ValueError
        It is not an id, or a shuffled variant of random or registered vectors.

    Examples
    --------
    >>> space_of("minilm-l6-v2/name-go@shuffled").is_control
    True
    """
    match = _ID.fullmatch(id_)
    if match is None:
        raise ValueError(
            f"{id_!r} is no space: write embedder/recipe or embedder/recipe@shuffled, in small "
            "letters, digits, dots and hyphens"
        )
    variant: Variant | None = "shuffled" if match["variant"] else None
    space = Space(match["embedder"], match["recipe"], is_control or bool(variant), variant, table)
    if variant and (space.is_random or table):
        raise ValueError(f"{id_!r}: random and registered vectors are not shuffled")
    return space
