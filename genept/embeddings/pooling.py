"""GenePT-w: a cell or sample is the expression-weighted mean of its genes' vectors, unit length.

Chen & Zou (2023). Expression in any declared unit becomes the weights of that mean; the sum itself
is `genept.embeddings.weighted_sum`.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Final, TypeVar

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from numpy.typing import NDArray

from genept.common import StoreError
from genept.embeddings.expression import RowGroup
from genept.embeddings.gene_lengths import Kilobases, per_kilobase
from genept.embeddings.weighted_sum import BLAS, WeightedSum, normalised, popularity, row_sums
from genept.schema import LINEAR, NEVER_NEGATIVE
from genept.schema.tables import TABLES
from genept.text import embedding_column

TARGET_SUM = 1e4


def expression_weights(
    expression: sp.csr_matrix, unit: str, kilobases: Kilobases | Sequence[float] | None = None
) -> sp.csr_matrix:
    """Weights of genes in observations.

    Parameters
    ----------
    expression
        Observations × genes, float32, in `unit`.
    unit
        ``counts``
            Reads or molecules: scaled to 10,000 per observation, log1p.
        ``tpm``
            Any linear abundance (TPM, FPKM, normalised counts): as counts.
        ``log1p``
            Natural logarithm of 1 + normalised abundance: as it is.
        ``log2``
            Binary logarithm of an abundance, with or without an offset: as it is, and 0 below 0.
        ``zscore``
            Standardised by gene: shifted by the observation's lowest value.
    kilobases
        Lengths of the genes, of reads of whole transcripts: they are divided by them before they
        are scaled. None: values that do not depend on length.

    Returns
    -------
    scipy.sparse.csr_matrix
        Same shape, float32, nowhere negative.

    Raises
    ------
    ValueError
        If the unit is unknown, or values are negative that cannot be in this unit.
    """
    if unit in NEVER_NEGATIVE and expression.nnz and expression.data.min() < 0:
        raise ValueError(f"{unit} cannot be negative; is the unit right?")
    if unit in LINEAR:
        weights = normalised(per_kilobase(expression, kilobases), TARGET_SUM)
        np.log1p(weights, out=weights)
    elif unit == "log1p":
        return expression
    elif unit == "log2":
        weights = np.maximum(expression.data, 0)
    elif unit == "zscore":
        dense = expression.toarray()
        return sp.csr_matrix(dense - dense.min(axis=1, keepdims=True))
    else:
        raise ValueError(f"no weighting is defined for unit {unit!r}")
    return sp.csr_matrix((weights, expression.indices, expression.indptr), shape=expression.shape)


METHOD = "genept-w"

TABLE_OF_KIND = {"single_cell": "cell_embeddings", "bulk": "sample_embeddings"}

Pooled = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Embedding and coverage."""


T = TypeVar("T")

U = TypeVar("U")


def pool(
    weights: sp.csr_matrix,
    vectors: NDArray[np.float32] | WeightedSum,
    has_vector: NDArray[np.bool_],
    out: NDArray[np.float32] | None = None,
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
    out
        Where to write the embedding; none: fresh memory.

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
    embedding = vectors(weights, out=out)
    norm = np.sqrt(np.einsum("ij,ij->i", embedding, embedding))
    norm[norm == 0] = 1
    embedding /= norm[:, None]
    return embedding, np.minimum(coverage, 1).astype(np.float32)


def pool_groups(
    groups: Iterable[RowGroup],
    vectors: WeightedSum,
    has_vector: NDArray[np.bool_],
    unit: str,
    threads: int = 1,
    kilobases: Kilobases | None = None,
) -> Generator[tuple[list[str], Pooled], None, None]:
    """Ids, embedding and coverage of expression row group by row group, in order.

    A row group is read and pooled by one thread, some rows at a time, so that they are still in
    the cache when they are added up. The bytes do not depend on how many threads there are.
    While it is open it holds BLAS to one thread: close it if it is not read to its end.
    """

    def pooled(group: RowGroup) -> tuple[list[str], Pooled]:
        ids: list[str] = []
        embedding = np.empty((len(group), vectors.shape[1]), np.float32)
        coverage = np.empty(len(group), np.float32)
        for of_block, expression in group.blocks():
            rows = slice(len(ids), len(ids) + len(of_block))
            weights = expression_weights(expression, unit, kilobases)
            coverage[rows] = pool(weights, vectors, has_vector, embedding[rows])[1]
            ids += of_block
        return ids, (embedding, coverage)

    with BLAS.one_thread():  # for all of them: every change of the limit wakes BLAS's own threads
        yield from in_order(pooled, groups, threads)


def in_order(work: Callable[[T], U], items: Iterable[T], threads: int) -> Iterator[U]:
    """`map(work, items)` by several threads that are never far ahead of the reader."""
    if threads == 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(threads) as executor:
        waiting: deque[Future[U]] = deque()
        for item in items:
            waiting.append(executor.submit(work, item))
            if len(waiting) > threads + 1:  # one each, and one for the first that is done
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def pool_part(
    groups: Iterable[RowGroup],
    vectors: WeightedSum,
    has_vector: NDArray[np.bool_],
    *,
    kind: str,
    unit: str,
    space: str,
    collection: str,
    threads: int = 1,
    kilobases: Kilobases | None = None,
) -> Generator[pa.RecordBatch, None, None]:
    """Rows of `cell_embeddings` or `sample_embeddings` for one part of `expression`.

    Parameters
    ----------
    groups
        Row groups of the part.
    vectors, has_vector
        Gene vectors on the collection's axis, and which genes have one.
    kilobases
        Lengths of its genes, where it counts reads of whole transcripts.

    Raises
    ------
    StoreError
        An observation expresses no gene that has a vector.
    """
    schema = TABLES[TABLE_OF_KIND[kind]].schema(vectors.shape[1])
    with closing(pool_groups(groups, vectors, has_vector, unit, threads, kilobases)) as pooled:
        for ids, (embedding, coverage) in pooled:
            if not coverage.all():
                lost = [id_ for id_, share in zip(ids, coverage, strict=True) if share == 0]
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
    embedding: NDArray[np.float32],
    coverage: NDArray[np.float32],
) -> pa.RecordBatch:
    """Rows of an embedding table; `partition` is space, method and collection."""
    return pa.record_batch(
        [
            *(pa.repeat(value, len(ids)) for value in partition),
            pa.array(ids),
            embedding_column(embedding).cast(schema.field("embedding").type),
            pa.array(coverage),
        ],
        schema=schema,
    )


AT_ONCE: Final = 4096
"""Rows of a batch that is written."""


def embedding_batches(
    table: str,
    partition: tuple[str, str, str],
    ids: Sequence[str],
    vectors: NDArray[np.float32],
    coverage: NDArray[np.float32] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Rows of `cell_embeddings` or `sample_embeddings`.

    Parameters
    ----------
    partition
        Space, method and collection.
    vectors
        Observations × dimensions, in the order of `ids`.
    coverage
        One share each; none: 1.
    """
    schema = TABLES[table].schema(vectors.shape[1])
    covered = np.ones(len(vectors), np.float32) if coverage is None else coverage
    for start in range(0, len(ids), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        yield embedding_rows(schema, partition, list(ids[rows]), vectors[rows], covered[rows])
