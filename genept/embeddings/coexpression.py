"""Spaces made of a collection: genes whose expression rises and falls together lie together.

They are made here and not in `genept.text`, as other spaces beyond texts are: expression is read
above that package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
import scipy.sparse as sp
from numpy.typing import NDArray

from genept.datasources import Collection
from genept.embeddings.expression import expression_blocks
from genept.embeddings.pooling import expression_weights
from genept.storage import Lake, NewPart, Origin, Part
from genept.text import EmbeddingError, Space, embedding_column, gene_embedding_rows, shuffled

MIN_SHARE: Final = 0.01
"""Least share of the observations that express a gene which has a vector."""

MIN_OBSERVATIONS: Final = 10
"""Fewest of them."""

PASSES: Final = 6
"""Times that the expression is read to find the leading directions."""

FURTHER: Final = 20
"""Directions that are followed beyond those that are kept, so that these are found well."""

SEED: Final = 0

_SMALLEST: Final = 1e-6
_CODE: Final = (
    "genept.embeddings.coexpression",
    "genept.embeddings.expression",
    "genept.embeddings.pooling",
    "genept.text.local.baselines",
    "genept.schema.tables",
)

Floats = NDArray[np.float64]
Blocks = Callable[[], Iterator[sp.csr_matrix]]
"""Reads observations × genes anew, block by block: log expression."""


def embed_coexpression(
    lake: Lake, space: Space, collection: Collection, parts: Sequence[Part], genes: pl.DataFrame
) -> Part:
    """Build the gene vectors of a space made of a collection, unless the lake has them.

    Parameters
    ----------
    lake
        Where the table is stored.
    space
        The space.
    collection
        The collection that it is made of.
    parts
        The collection's tables, as it was ingested.
    genes
        ensembl_gene_id and symbol of the reference.

    Returns
    -------
    Part
        Of table `gene_embeddings`; of a collection that may not be passed on, marked as such.

    Raises
    ------
    EmbeddingError
        The collection has too few genes or observations for so many dimensions.
    """
    (axis,) = (part for part in parts if part.table == "gene_axis")
    shards = [part for part in parts if part.table == "expression"]
    inputs = {f"expression {number}": part.sha256 for number, part in enumerate(shards)}
    origin = Origin(
        code=_CODE,
        inputs=inputs | {"gene_axis": axis.sha256},
        settings={
            "space": space.id,
            "unit": collection.unit,
            "redistributable": collection.redistributable,
        },
        libraries=("numpy", "scipy"),
    )

    def compute() -> list[NewPart]:
        ids = lake.read(axis, ["gene_index", "ensembl_gene_id"]).sort("gene_index")

        def blocks() -> Iterator[sp.csr_matrix]:
            for shard in shards:
                for _, block in expression_blocks(lake, shard, ids.height):
                    yield expression_weights(block, collection.unit)

        try:
            kept, vectors = coexpression_vectors(blocks, ids.height, space.size)
        except EmbeddingError as error:
            raise EmbeddingError(f"space {space.id!r}: {error}") from error
        names = ids["ensembl_gene_id"].gather(kept).to_list()
        if space.variant == "shuffled":
            vectors = vectors[shuffled(names)]
        symbol_of = dict(genes.select("ensembl_gene_id", "symbol").iter_rows())
        symbols = pa.array([symbol_of.get(id_, id_) for id_ in names])
        no_texts = pa.nulls(len(names), pa.string())
        column = embedding_column(vectors)
        return [gene_embedding_rows(space, pa.array(names), symbols, column, no_texts)]

    (part,) = lake.build(f"gene_embeddings/{space.id}", origin, compute)
    return part


def coexpression_vectors(
    blocks: Blocks, n_genes: int, dimensions: int
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Embed genes by the leading eigenvectors of their correlation.

    The correlation matrix is never made: expression is read `PASSES` times and multiplied with
    some directions (randomised subspace iteration), so that memory is that of genes × dimensions.

    Parameters
    ----------
    blocks
        Reads the log expression, observations × genes, in blocks.
    n_genes, dimensions
        Number of genes; length of the vectors.

    Returns
    -------
    kept : ndarray of int
        Numbers of the genes that enough observations express, and that vary.
    vectors : ndarray of float32
        Kept genes × dimensions: eigenvectors times the roots of their eigenvalues, rows of unit
        length.

    Raises
    ------
    EmbeddingError
        There are too few genes or observations for so many dimensions.
    """
    from threadpoolctl import threadpool_limits

    total, squares, expressed, n = np.zeros(n_genes), np.zeros(n_genes), np.zeros(n_genes), 0
    for block in blocks():
        values = block.astype(np.float64)
        total += np.asarray(values.sum(axis=0)).ravel()
        squares += np.asarray(values.power(2).sum(axis=0)).ravel()
        expressed += np.bincount(values.indices[values.data != 0], minlength=n_genes)
        n += block.shape[0]
    mean = total / max(n, 1)
    deviation = np.sqrt(np.maximum(squares / max(n, 1) - mean**2, 0))
    enough = expressed >= max(MIN_OBSERVATIONS, MIN_SHARE * n)
    kept = np.flatnonzero(enough & (deviation > _SMALLEST))
    if min(len(kept), n) <= dimensions + FURTHER:
        raise EmbeddingError(
            f"{len(kept)} genes that vary in {n} observations are too few for {dimensions} "
            "dimensions"
        )
    mean, deviation = mean[kept], deviation[kept]

    def correlated(directions: Floats) -> Floats:
        """The correlation matrix times directions, shape (n_kept, n_directions)."""
        scaled = directions / deviation[:, None]
        centre = mean @ scaled
        result, summed = np.zeros_like(scaled), np.zeros(scaled.shape[1])
        for block in blocks():
            own = block.astype(np.float64)[:, kept]
            along = own @ scaled - centre
            result += own.T @ along
            summed += along.sum(axis=0)
        return np.asarray((result - mean[:, None] * summed) / deviation[:, None] / n)

    with threadpool_limits(1):  # sums in another order round otherwise
        start = np.random.default_rng(SEED).standard_normal((len(kept), dimensions + FURTHER))
        basis = np.linalg.qr(start)[0]
        for _ in range(PASSES - 2):
            basis = np.linalg.qr(correlated(basis))[0]
        strengths, turn = np.linalg.eigh(basis.T @ correlated(basis))
    first = np.argsort(-strengths)[:dimensions]
    directions = basis @ turn[:, first]
    largest = np.abs(directions).argmax(axis=0)
    directions *= np.sign(directions[largest, np.arange(dimensions)])
    vectors = directions * np.sqrt(np.maximum(strengths[first], 0))
    norms = np.linalg.norm(vectors, axis=1)
    placed = norms > _SMALLEST
    return kept[placed], np.asarray(vectors[placed] / norms[placed, None], np.float32)
