"""Gene vectors of several spaces in memory, looked up by Ensembl id.

How they are made is in `genept.text`; who predicts with them is in `genept.perturbations` and
`genept.models`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genept.embeddings.expression import embedding_matrix
from genept.storage import Lake, Part

Floats = NDArray[np.float64]
Matrix = NDArray[np.float32]
_SMALLEST: Final = 1e-9


@dataclass(frozen=True)
class KnownVectors:
    """Gene vectors of one space, by Ensembl id.

    Parameters
    ----------
    number
        Row of each gene.
    vectors
        Shape (n_genes, dimensions).
    """

    number: Mapping[str, int]
    vectors: Matrix

    @classmethod
    def of(cls, genes: Sequence[str], vectors: Matrix) -> KnownVectors:
        """Number the genes of a matrix of vectors."""
        return cls({gene: at for at, gene in enumerate(genes)}, vectors)

    def centred(self, genes: Sequence[str], centre: Floats) -> Matrix:
        """Unit vectors of genes after the centre is taken off; zero for a gene without a vector."""
        rows = np.array([self.number.get(gene, -1) for gene in genes], dtype=np.intp)
        known = rows >= 0
        result = np.zeros((len(rows), self.vectors.shape[1]), dtype=np.float32)
        result[known] = self.vectors[rows[known]] - centre.astype(np.float32)
        length = np.linalg.norm(result, axis=1, keepdims=True)
        return np.asarray(result / np.where(length > _SMALLEST, length, 1), np.float32)

    def centre(self, genes: Sequence[str]) -> Floats:
        """Mean vector of those of the genes that have one; zero if none has."""
        rows = [self.number[gene] for gene in genes if gene in self.number]
        if not rows:
            return np.zeros(self.vectors.shape[1])
        return np.asarray(self.vectors[rows].mean(axis=0, dtype=np.float64))

    def shuffled(self, rng: np.random.Generator) -> KnownVectors:
        """The control in which every gene has the vector of another."""
        return replace(self, vectors=self.vectors[rng.permutation(len(self.vectors))])

    def random(self, rng: np.random.Generator) -> KnownVectors:
        """The control with normal deviates in place of every vector."""
        return replace(self, vectors=rng.standard_normal(self.vectors.shape, np.float32))


Spaces = Mapping[str, KnownVectors]
"""Vectors by id of their space."""


def read_spaces(lake: Lake, vectors: Mapping[str, Part], names: Iterable[str]) -> Spaces:
    """Read the vectors of spaces into memory.

    Parameters
    ----------
    lake
        Where the parts are kept.
    vectors
        Parts of table `gene_embeddings`, by space.
    names
        Ids of the spaces that are wanted; one without a part is left out.

    Returns
    -------
    dict of str to KnownVectors
        By space, in the order of `names`.
    """
    spaces = {}
    for name in (name for name in names if name in vectors):
        rows = lake.read_arrow(vectors[name], ["ensembl_gene_id", "embedding"])
        genes = rows["ensembl_gene_id"].to_pylist()
        spaces[name] = KnownVectors.of(genes, embedding_matrix(rows))
    return spaces
