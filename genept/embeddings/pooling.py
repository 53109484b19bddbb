"""GenePT-w: a cell or sample is the expression-weighted mean of its genes' vectors, unit length.

One unit of work is one part of `expression` in one space. It streams over row groups, so
memory is set by the row group and the table of gene vectors.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import scipy.sparse as sp

from genept.embeddings.expression import embedding_matrix, expression_blocks
from genept.embeddings.kernel import WeightedSum, kernel_name, popularity, row_sums
from genept.embeddings.weights import expression_weights
from genept.store.errors import StoreError
from genept.store.lake import Lake, NewPart, Part
from genept.store.provenance import Origin
from genept.tables import TABLES

METHOD = "genept-w"
TABLE_OF_KIND = {"single_cell": "cell_embeddings", "bulk": "sample_embeddings"}
CODE = (
    *(f"genept.embeddings.{name}" for name in ("expression", "kernel", "panels", "pooling")),
    "genept.embeddings.weights",
    "genept.tables",
)
"""Modules whose behaviour decides what is pooled."""

Block = tuple[list[str], sp.csr_matrix]
"""Observation ids, and their expression or weights."""

Pooled = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
"""Embedding and coverage."""

T = TypeVar("T")
U = TypeVar("U")


def pool(
    weights: sp.csr_matrix,
    vectors: npt.NDArray[np.float32] | WeightedSum,
    has_vector: npt.NDArray[np.bool_],
) -> Pooled:
    """Weighted means of gene vectors.

    Parameters
    ----------
    weights
        Observations × genes, not negative.
    vectors
        Genes × dimensions; rows without a vector are zero. For many blocks of one collection,
        laid out once.
    has_vector
        Which genes have one.

    Returns
    -------
    embedding, coverage
        Observations × dimensions, unit length (zero where nothing is covered);
        and the share of each observation's weight that had a vector.
    """
    total, covered = row_sums(weights, has_vector).T
    coverage = np.divide(covered, total, out=np.zeros_like(total), where=total > 0)
    if not isinstance(vectors, WeightedSum):
        vectors = WeightedSum(vectors, popularity(weights))
    embedding = vectors(weights)
    norm = np.linalg.norm(embedding, axis=1, keepdims=True)
    np.divide(embedding, norm, out=embedding, where=norm > 0)
    return embedding, np.minimum(coverage, 1).astype(np.float32)


def pool_blocks(
    blocks: Iterable[Block],
    vectors: npt.NDArray[np.float32],
    has_vector: npt.NDArray[np.bool_],
    unit: str,
    threads: int = 1,
) -> Iterator[tuple[list[str], Pooled]]:
    """Ids, embedding and coverage of expression block by block, in order.

    The genes that are popular in the first block are held to be so in all of them. Each
    block is one thread's work: the bytes do not depend on how many there are.
    """
    blocks = iter(blocks)
    first = next(blocks, None)
    if first is None:
        return
    laid_out = WeightedSum(vectors, popularity(first[1]))

    def pooled(block: Block) -> tuple[list[str], Pooled]:
        ids, expression = block
        return ids, pool(expression_weights(expression, unit), laid_out, has_vector)

    yield from in_order(pooled, chain([first], blocks), threads)


def in_order(work: Callable[[T], U], items: Iterable[T], threads: int) -> Iterator[U]:
    """``map(work, items)`` by several threads that are never far ahead of who reads it."""
    if threads == 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(threads) as executor:
        waiting: deque[Future[U]] = deque()
        for item in items:
            waiting.append(executor.submit(work, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def align(
    gene_embeddings: pa.Table, axis: pl.DataFrame
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Gene vectors in the order of a collection's gene axis, and which genes have one."""
    matrix = embedding_matrix(gene_embeddings)
    position = {
        gene: row for row, gene in enumerate(gene_embeddings["ensembl_gene_id"].to_pylist())
    }
    rows = np.array([position.get(gene, -1) for gene in axis["ensembl_gene_id"]], dtype=np.int64)
    vectors = np.zeros((rows.size, matrix.shape[1]), dtype=np.float32)
    has_vector = rows >= 0
    vectors[has_vector] = matrix[rows[has_vector]]
    return vectors, has_vector


def pool_part(
    blocks: Iterable[Block],
    axis: pl.DataFrame,
    gene_embeddings: pa.Table,
    *,
    kind: str,
    unit: str,
    space: str,
    collection: str,
    threads: int = 1,
) -> Iterator[pa.RecordBatch]:
    """Rows of `cell_embeddings` or `sample_embeddings` for one part of `expression`.

    Parameters
    ----------
    blocks
        The part row group by row group, as `expression_blocks` reads it.
    axis
        The collection's `gene_axis`: `gene_index`, `ensembl_gene_id`.
    gene_embeddings
        The space's `ensembl_gene_id`, `embedding`.

    Raises
    ------
    StoreError
        If an observation has no gene with a vector: it has no place in the space.
    """
    vectors, has_vector = align(gene_embeddings, axis.sort("gene_index"))
    schema = TABLES[TABLE_OF_KIND[kind]].schema(vectors.shape[1])
    for ids, (embedding, coverage) in pool_blocks(blocks, vectors, has_vector, unit, threads):
        if not coverage.all():
            lost = [one for one, share in zip(ids, coverage, strict=True) if share == 0]
            raise StoreError(
                f"collection {collection!r}, space {space!r}: {len(lost)} observations, "
                f"such as {lost[0]!r}, express no gene that has a vector; quarantine "
                "them at ingest or leave the space out"
            )
        yield embedding_rows(schema, (space, METHOD, collection), ids, embedding, coverage)


def embedding_rows(
    schema: pa.Schema,
    partition: tuple[str, str, str],
    ids: list[str],
    embedding: npt.NDArray[np.float32],
    coverage: npt.NDArray[np.float32],
) -> pa.RecordBatch:
    """Rows of an embedding table; `partition` is space, method and collection."""
    return pa.record_batch(
        [
            *(pa.array([value] * len(ids)) for value in partition),
            pa.array(ids),
            pa.FixedSizeListArray.from_arrays(
                pa.array(embedding.ravel()), type=schema.field("embedding").type
            ),
            pa.array(coverage),
        ],
        schema=schema,
    )


def embed_collection(
    lake: Lake,
    *,
    kind: str,
    unit: str,
    gene_embeddings: Part,
    axis: Part,
    expression: Part,
    threads: int = 1,
) -> Part:
    """Embed every observation of one collection in one space.

    Raises
    ------
    StoreError
        If an observation has no gene with a vector: it has no place in the space.
    """
    (space,), (collection,) = gene_embeddings.partition, expression.partition
    table = TABLE_OF_KIND[kind]
    origin = Origin(
        code=CODE,
        inputs={part.table: part.sha256 for part in (gene_embeddings, axis, expression)},
        settings={"method": METHOD, "unit": unit, "kernel": kernel_name()},
        libraries=("numpy", "scipy"),
    )

    def compute() -> list[NewPart]:
        rows = pool_part(
            expression_blocks(lake, expression, axis.rows),
            lake.read(axis, ["gene_index", "ensembl_gene_id"]),
            lake.read_arrow(gene_embeddings, ["ensembl_gene_id", "embedding"]),
            kind=kind,
            unit=unit,
            space=space,
            collection=collection,
            threads=threads,
        )
        partition = (space, METHOD, collection)
        return [NewPart(table, rows, partition, gene_embeddings.dimension, expression.number)]

    step = f"embeddings/{space}/{METHOD}/{collection}/{expression.number:05d}"
    (part,) = lake.build(step, origin, compute)
    return part
