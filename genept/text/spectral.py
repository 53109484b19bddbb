"""Vectors of genes by their links and by their terms: eigenvectors and singular vectors.

Where links and terms come from, and where vectors go, is `genept.text.knowledge_vectors`.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from genept.text.embedders import EmbeddingError
from genept.text.fusion import GeneMatrix
from genept.text.local import MIN_DOCUMENTS, SEED, SMALLEST_NORM

SMALLEST_COMPONENT: Final = 10
"""Genes of a smaller component of a network have no vector: nothing links them to the others."""


def spectral_vectors(links: pl.DataFrame, dimensions: int) -> GeneMatrix:
    """Embed a network by the leading eigenvectors of its normalised adjacency.

    The adjacency is D^-½ A D^-½, with the weights of the links in A and their sums by gene in D;
    its eigenvectors are scaled by their eigenvalues. The order of the links does not matter.

    Parameters
    ----------
    links
        gene_a, gene_b, weight; each pair of two genes once.
    dimensions
        Length of the vectors.

    Returns
    -------
    genes : list of str
        Ensembl ids, sorted, of the genes in components of `SMALLEST_COMPONENT` genes and more.
    vectors : ndarray of float32
        Genes × dimensions, of unit length.

    Raises
    ------
    EmbeddingError
        There are too few such genes for so many dimensions.
    """
    from scipy.sparse import coo_array, diags_array
    from scipy.sparse.csgraph import connected_components
    from scipy.sparse.linalg import eigsh
    from threadpoolctl import threadpool_limits

    genes = pl.concat([links["gene_a"], links["gene_b"]]).unique().sort()
    number = pl.DataFrame({"gene": genes, "number": range(genes.len())})
    at = (
        links.join(number, left_on="gene_a", right_on="gene")
        .join(number, left_on="gene_b", right_on="gene", suffix="_b")
        .select(
            pl.min_horizontal("number", "number_b").alias("row"),
            pl.max_horizontal("number", "number_b").alias("column"),
            "weight",
        )
        .sort("row", "column")
    )
    half = coo_array(
        (at["weight"].to_numpy(), (at["row"].to_numpy(), at["column"].to_numpy())),
        shape=(genes.len(), genes.len()),
    ).tocsr()
    adjacency = half + half.T
    _, component = connected_components(adjacency, directed=False)
    kept = np.flatnonzero((np.bincount(component) >= SMALLEST_COMPONENT)[component])
    if len(kept) <= dimensions + 1:
        raise EmbeddingError(
            f"the network has {len(kept)} genes in components of {SMALLEST_COMPONENT} and more: "
            f"too few for {dimensions} dimensions"
        )
    adjacency = adjacency[kept][:, kept]
    scale = diags_array(1 / np.sqrt(adjacency.sum(axis=1)))
    start = np.random.default_rng(SEED).random(len(kept))
    with threadpool_limits(1):  # sums in another order round otherwise
        values, eigenvectors = eigsh(scale @ adjacency @ scale, dimensions, which="LA", v0=start)
    descending = np.argsort(-values, kind="stable")
    oriented = _oriented(eigenvectors[:, descending])
    return _of_unit_length(genes.to_numpy()[kept], oriented * np.abs(values[descending]))


def co_annotation_vectors(terms: pl.DataFrame, dimensions: int) -> GeneMatrix:
    """Embed genes by the Gene Ontology terms that they are annotated with.

    Parameters
    ----------
    terms
        ensembl_gene_id and item, the term; may repeat.
    dimensions
        Length of the vectors.

    Returns
    -------
    genes : list of str
        Ensembl ids, sorted, of the genes that share a term with another gene.
    vectors : ndarray of float32
        Genes × dimensions, of unit length: truncated SVD of terms weighted by inverse frequency.

    Raises
    ------
    EmbeddingError
        There are too few genes or terms for so many dimensions.
    """
    from scipy.sparse import csr_array
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfTransformer

    pairs = terms.select("ensembl_gene_id", "item").unique()
    pairs = pairs.filter(pl.len().over("item") >= MIN_DOCUMENTS).sort("ensembl_gene_id", "item")
    genes, items = (pairs[name].unique().sort() for name in ("ensembl_gene_id", "item"))
    if min(genes.len(), items.len()) <= dimensions:
        raise EmbeddingError(
            f"{genes.len()} genes that share {items.len()} terms are too few for {dimensions} "
            "dimensions"
        )
    at = [
        np.searchsorted(names.to_numpy(), pairs[column].to_numpy())
        for names, column in ((genes, "ensembl_gene_id"), (items, "item"))
    ]
    shape = (genes.len(), items.len())
    annotated = csr_array((np.ones(pairs.height), (at[0], at[1])), shape=shape)
    weighted = TfidfTransformer().fit_transform(annotated)
    svd = TruncatedSVD(dimensions, algorithm="randomized", random_state=SEED)
    return _of_unit_length(genes.to_numpy(), svd.fit_transform(weighted))


def _oriented(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Columns with the sign that makes their largest value positive; of equals the first counts."""
    size = np.abs(vectors)
    first = np.argmax(size >= size.max(axis=0) * (1 - SMALLEST_NORM), axis=0)
    signs = np.sign(vectors[first, np.arange(vectors.shape[1])])
    return np.asarray(vectors * signs)


def _of_unit_length(genes: npt.NDArray[np.object_], vectors: npt.NDArray[np.float64]) -> GeneMatrix:
    """Genes and their vectors, scaled; those whose vectors are only rounding are left out."""
    norms = np.linalg.norm(vectors, axis=1)
    placed = norms > SMALLEST_NORM
    return genes[placed].tolist(), np.asarray(vectors[placed] / norms[placed, None], np.float32)
