"""Sparse TF-IDF of the texts of a recipe: the control that says what plain words know.

It has a column for every term, so it is made where it is scored and stored nowhere. Its
low-rank form, LSA, is a space like others, in `genept.text.local.baselines`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.sparse import csr_array

from genept.benchmarks.resampling import SPARSE
from genept.benchmarks.task_base import GeneVectors
from genept.storage import Part, PartReader
from genept.text import Space, space_of

TFIDF: Final = "lsa-384"
NAME_ONLY: Final = "minilm-l6-v2/name"

MIN_TEXTS = 2
"""A term of one text only ties it to no other."""

WORDS: Final[dict[str, Any]] = {"min_df": MIN_TEXTS, "dtype": np.float64}
CHARACTERS: Final[dict[str, Any]] = {
    "analyzer": "char_wb",
    "ngram_range": (3, 5),
    "min_df": 5,
    "dtype": np.float32,
}
"""What counts runs of characters instead of words."""


@dataclass(frozen=True)
class TermWeights:
    """Weights of the terms in the texts of one recipe.

    Parameters
    ----------
    recipe
        The recipe, as in the ids of spaces.
    part
        Its part of table `gene_descriptions`.
    characters
        Whether runs of three to five characters of words count, instead of words.
    """

    recipe: str
    part: Part
    characters: bool = False

    @property
    def name(self) -> str:
        """Name of the representation."""
        return f"{SPARSE}{'-characters' * self.characters}/{self.recipe}"

    def read(self, copies: PartReader, genes: Sequence[str]) -> GeneVectors:
        """The weights of these genes: rows of unit length, the logarithm of counts.

        Terms and how common they are, are those of every text of the recipe, without any label.
        """
        from sklearn.feature_extraction.text import TfidfVectorizer  # as in `fitted_heads`

        rows = copies.read(self.part, ["ensembl_gene_id", "text"]).sort("ensembl_gene_id")
        counted = TfidfVectorizer(sublinear_tf=True, **(CHARACTERS if self.characters else WORDS))
        weights = csr_array(counted.fit_transform(rows["text"].to_list()))
        known = tuple(rows["ensembl_gene_id"])
        return GeneVectors(self.name, known, weights, is_control=True).within(genes)


def companions(spaces: Iterable[Space]) -> list[Space]:
    """Spaces that others are compared with: TF-IDF of the same texts, and the name alone.

    Parameters
    ----------
    spaces
        Spaces that are scored.

    Returns
    -------
    list of Space
        Those that are not among `spaces`.
    """
    embedded = [space for space in spaces if space.needs_embedder and not space.is_control]
    wanted = [f"{TFIDF}/{space.recipe}" for space in embedded] + [NAME_ONLY] * bool(embedded)
    have = {space.id for space in spaces}
    return [space_of(id_) for id_ in dict.fromkeys(wanted) if id_ not in have]
