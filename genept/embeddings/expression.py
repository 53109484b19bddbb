"""Columns of the lake back as matrices, without copying the numbers.

Expression comes as CSR, one row group at a time; embeddings as dense rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse as sp

from genept.store.errors import StoreError
from genept.store.lake import Lake, Part

Block: TypeAlias = tuple[list[str], sp.csr_matrix]
"""Observation ids, and their expression."""


def csr_of(rows: pa.Table, n_genes: int) -> sp.csr_matrix:
    """List columns as a CSR matrix: Arrow's offsets are the indptr, its values the data.

    Parameters
    ----------
    rows
        `gene_index` and `value` columns of table `expression`.
    n_genes
        Length of the collection's gene axis.

    Raises
    ------
    StoreError
        If an index lies beyond the axis: scipy would read foreign memory.
    """
    index, value = _contiguous(rows["gene_index"]), _contiguous(rows["value"])
    indptr = index.offsets.to_numpy()
    span = slice(int(indptr[0]), int(indptr[-1]))
    indices = index.values.to_numpy()[span]
    if indices.size and indices.max() >= n_genes:
        raise StoreError(
            f"expression counts genes up to index {indices.max()}, but its axis has {n_genes}: "
            "read both from the same ingest"
        )
    return sp.csr_matrix(
        (value.values.to_numpy()[span], indices.view(np.int32), indptr - span.start),
        shape=(rows.num_rows, n_genes),
    )


def embedding_matrix(rows: pa.Table) -> npt.NDArray[np.float32]:
    """The `embedding` column as a rows × dimensions matrix."""
    column = _contiguous(rows["embedding"])
    flat: npt.NDArray[np.float32] = column.flatten().to_numpy()
    return flat.reshape(len(column), column.type.list_size)


def expression_blocks(lake: Lake, expression: Part, n_genes: int) -> Iterator[Block]:
    """Observation ids and their expression, row group by row group."""
    for read in readers_of_file(lake.local(expression), n_genes):
        yield read()


def readers_of_file(path: Path, n_genes: int) -> Iterator[Callable[[], Block]]:
    """The same of a local copy, as calls: each reads one row group in the thread that makes it."""
    metadata = pq.read_metadata(path)

    def read(group: int) -> Block:
        with pq.ParquetFile(path, metadata=metadata) as file:
            columns = ["observation_id", "gene_index", "value"]
            rows = file.read_row_group(group, columns, use_threads=False)
        return rows["observation_id"].to_pylist(), csr_of(rows, n_genes)

    return (partial(read, group) for group in range(metadata.num_row_groups))


def expression_matrix(
    lake: Lake, expression: Sequence[Part], n_genes: int
) -> tuple[list[str], sp.csr_matrix]:
    """All shards of a collection: observation ids, sorted, and observations × genes."""
    blocks = [block for part in expression for block in expression_blocks(lake, part, n_genes)]
    ids = np.array([one for block_ids, _ in blocks for one in block_ids], dtype=object)
    matrix = sp.csr_matrix(sp.vstack([block for _, block in blocks], format="csr"))
    order = np.argsort(ids)
    if not np.array_equal(order, np.arange(order.size)):  # several shards: each sorted by itself
        ids, matrix = ids[order], matrix[order]
    return ids.tolist(), matrix


def _contiguous(column: pa.ChunkedArray) -> pa.Array:
    """A column as one array; `combine_chunks` alone would copy even a single chunk."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
