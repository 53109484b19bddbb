"""Arithmetic that readings, maps, descriptions and profiles share: vectors of texts, similarities
of genes with them, and the scale on which expression is compared.

No setting that was chosen on data belongs here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from genept.embeddings.pooling import expression_weights

Floats = NDArray[np.float64]

_SMALLEST: Final = 1e-9


def compared_expression(expression: sp.csr_matrix, unit: str) -> sp.csr_matrix:
    """Expression on the scale on which observations are compared.

    Parameters
    ----------
    expression
        Observations × genes, in `unit`.
    unit
        Unit of the values.

    Returns
    -------
    scipy.sparse.csr_matrix
        Weights as of GenePT-w; z-scores as they are.
    """
    return expression if unit == "zscore" else expression_weights(expression, unit)


def standardised(matrix: NDArray[np.floating]) -> NDArray[np.floating]:
    """Subtract the mean of each column, and divide by its deviation; constant columns are 0.

    Parameters
    ----------
    matrix
        Rows × columns, or one column.

    Returns
    -------
    NDArray
        The same shape.
    """
    spread = matrix.std(axis=0)
    result: NDArray[np.floating] = (matrix - matrix.mean(axis=0)) / np.where(
        spread > _SMALLEST, spread, 1
    )
    return result


def unit_rows_of(rows: NDArray[np.floating]) -> Floats:
    """Rows of unit length; rows of zeros stay.

    Parameters
    ----------
    rows
        Any matrix, or one row.

    Returns
    -------
    NDArray of float64
        The same shape.
    """
    long = rows.astype(np.float64)
    lengths = np.linalg.norm(long, axis=-1, keepdims=True)
    return np.asarray(long / np.maximum(lengths, _SMALLEST))


def gene_centre(genes: NDArray[np.float32]) -> Floats:
    """Mean of the unit vectors of all genes of a space, which texts are centred by.

    Parameters
    ----------
    genes
        Genes × dimensions.

    Returns
    -------
    NDArray of float64
        Shape (dimensions,).
    """
    return np.asarray(unit_rows_of(genes).mean(axis=0))


def text_vectors(centre: Floats, texts: Sequence[NDArray[np.float32]]) -> Floats:
    """One vector for each text: the mean of its phrasings, less the mean of the genes.

    Parameters
    ----------
    centre
        As `gene_centre` returns it.
    texts
        For each text its phrasings, (n_phrasings, dimensions).

    Returns
    -------
    NDArray of float64
        Texts × dimensions, of unit length.
    """
    means = np.array([unit_rows_of(each).mean(axis=0) for each in texts])
    return unit_rows_of(means.reshape(len(texts), len(centre)) - centre)


def text_similarity(genes: NDArray[np.float32], texts: Sequence[NDArray[np.float32]]) -> Floats:
    """How similar each gene's description is to each text.

    Parameters
    ----------
    genes
        Vectors of every gene of the space, genes × dimensions.
    texts
        For each text its phrasings, (n_phrasings, dimensions): unit vectors are averaged.

    Returns
    -------
    NDArray of float64
        Cosines after the mean of the genes is taken off, genes × texts.
    """
    unit = unit_rows_of(genes)
    centre = unit.mean(axis=0)
    return np.asarray(unit_rows_of(unit - centre) @ text_vectors(centre, texts).T)


def similarity_on_axis(
    ids: Sequence[str],
    genes: NDArray[np.float32],
    axis: Sequence[str],
    texts: Sequence[NDArray[np.float32]],
) -> Floats:
    """Similarity of the genes of an axis with texts.

    Parameters
    ----------
    ids, genes
        Ensembl ids and vectors of every gene of the space.
    axis
        Ensembl ids.
    texts
        As of `text_similarity`.

    Returns
    -------
    NDArray of float64
        Axis × texts; NaN for a gene without a vector.
    """
    place = {id_: row for row, id_ in enumerate(ids)}
    rows = np.array([place.get(gene, -1) for gene in axis], np.intp)
    on_axis = np.full((len(rows), len(texts)), np.nan)
    known = rows >= 0
    on_axis[known] = text_similarity(genes, texts)[rows[known]]
    return on_axis


def speaking_genes(similarity: Floats, power: float) -> Floats:
    """How much texts speak of genes: standardised similarity, negative parts cut, to a power.

    Parameters
    ----------
    similarity
        Genes × texts, or genes; NaN where a gene has no description.
    power
        The higher, the fewer genes decide.

    Returns
    -------
    NDArray of float64
        The same shape; 0 without a description.
    """
    finite = np.isfinite(similarity)
    known = np.asarray(finite.all(axis=1) if similarity.ndim > 1 else finite, np.bool_)
    weights = np.zeros_like(similarity)
    if known.any():
        weights[known] = np.maximum(standardised(similarity[known]), 0) ** power
    return weights


def softmax(values: Floats) -> Floats:
    """Exponentials of rows, over their sum.

    Parameters
    ----------
    values
        Rows × columns.

    Returns
    -------
    NDArray of float64
        Rows sum to 1.
    """
    likely = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(likely / likely.sum(axis=1, keepdims=True))
