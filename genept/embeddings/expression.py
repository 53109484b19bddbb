"""Columns of the lake as matrices, and gene vectors in the order of a gene axis.

Pooling them is `genept.embeddings.pooling`.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse as sp
from numpy.typing import NDArray

from genept.common import StoreError
from genept.embeddings.gene_lengths import Kilobases, kilobases_of
from genept.storage import Lake, Part, code_version, sha256_of

Block: TypeAlias = tuple[list[str], sp.csr_matrix]
"""Observation ids, and their expression."""


BLOCK_ROWS: Final = 512
"""Rows of a block: what is decoded stays in the cache until it is used, and its memory is used
again. A whole row group takes half as long again to read, twice as long where memory is fresh."""


def csr_of(rows: pa.Table | pa.RecordBatch, n_genes: int) -> sp.csr_matrix:
    """Return list columns as a CSR matrix without copying: offsets are the indptr, values the data.

    Parameters
    ----------
    rows
        `gene_index` and `value` columns of table `expression`.
    n_genes
        Length of the collection's gene axis.

    Returns
    -------
    scipy.sparse.csr_matrix
        Observations × genes, float32.

    Raises
    ------
    StoreError
        An index is beyond the axis (scipy would read memory of others), or indices and values
        differ in number.
    """
    index, value = _contiguous(rows["gene_index"]), _contiguous(rows["value"])
    indptr = _as_numpy(index.offsets)
    indices, data = _as_numpy(index.flatten()), _as_numpy(value.flatten())
    if len(indices) != len(data):
        raise StoreError(f"expression has {len(indices)} indices of genes and {len(data)} values")
    if indices.size and indices.max() >= n_genes:
        raise StoreError(
            f"expression counts genes up to index {indices.max()}, but its axis has {n_genes}: "
            "read both from the same ingest"
        )
    return sp.csr_matrix(
        (data, indices.view(np.int32), indptr - indptr[0]), shape=(rows.num_rows, n_genes)
    )


def embedding_matrix(rows: pa.Table) -> NDArray[np.float32]:
    """Return the `embedding` column as a matrix.

    Parameters
    ----------
    rows
        A table with the column.

    Returns
    -------
    ndarray of float32
        Rows × dimensions.
    """
    column = _contiguous(rows["embedding"])
    flat: NDArray[np.float32] = _as_numpy(column.flatten())
    return flat.reshape(len(column), column.type.list_size)


@dataclass(frozen=True)
class RowGroup:
    """One row group of a local copy of an expression part.

    Parameters
    ----------
    metadata
        Of the file: read once, for all its row groups.
    """

    path: Path
    metadata: pq.FileMetaData
    number: int
    n_genes: int

    def __len__(self) -> int:
        return int(self.metadata.row_group(self.number).num_rows)

    def blocks(self) -> Iterator[Block]:
        """Its rows, `BLOCK_ROWS` at a time, read by the thread that asks for them."""
        columns = ["observation_id", "gene_index", "value"]
        with pq.ParquetFile(self.path, metadata=self.metadata) as file:
            for rows in file.iter_batches(BLOCK_ROWS, [self.number], columns, use_threads=False):
                yield rows["observation_id"].to_pylist(), csr_of(rows, self.n_genes)


def row_groups_of(path: Path, n_genes: int) -> list[RowGroup]:
    """All row groups of a local copy of an expression part."""
    metadata = pq.read_metadata(path)
    return [RowGroup(path, metadata, number, n_genes) for number in range(metadata.num_row_groups)]


def expression_blocks(lake: Lake, expression: Part, n_genes: int) -> Iterator[Block]:
    """Observation ids and their expression, `BLOCK_ROWS` observations at a time."""
    for group in row_groups_of(lake.local(expression), n_genes):
        yield from group.blocks()


def expression_matrix(
    lake: Lake, expression: Sequence[Part], n_genes: int
) -> tuple[list[str], sp.csr_matrix]:
    """Read all shards of a collection's expression.

    Parameters
    ----------
    lake
        Where they are stored.
    expression
        The collection's parts of table `expression`.
    n_genes
        Length of its gene axis.

    Returns
    -------
    ids, matrix
        Observation ids, sorted; and observations × genes, float32.
    """
    blocks = [block for part in expression for block in expression_blocks(lake, part, n_genes)]
    ids = np.array([id_ for block_ids, _ in blocks for id_ in block_ids], dtype=object)
    matrix = sp.csr_matrix(sp.vstack([block for _, block in blocks], format="csr"))
    order = np.argsort(ids)
    if not np.array_equal(order, np.arange(order.size)):  # several shards: each sorted by itself
        ids, matrix = ids[order], matrix[order]
    return ids.tolist(), matrix


def axis_genes(lake: Lake, axis: Part) -> tuple[str, ...]:
    """Return the Ensembl gene ids of a collection's gene axis, in the order of `gene_index`.

    Parameters
    ----------
    lake
        The lake that holds the axis.
    axis
        The collection's part of table `gene_axis`.

    Returns
    -------
    tuple of str
        The id at position i is that of column i of `expression_matrix`.
    """
    rows = lake.read(axis, ["gene_index", "ensembl_gene_id"]).sort("gene_index")
    return tuple(rows["ensembl_gene_id"])


def _as_numpy(values: pa.Array) -> NDArray[Any]:
    """An array without nulls, not copied; pyarrow's `to_numpy` first imports pandas: 0.5 s."""
    return np.from_dlpack(values)


def _contiguous(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A column as one array; `combine_chunks` alone would copy even a single chunk."""
    if isinstance(column, pa.Array):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


@dataclass(frozen=True)
class AlignedVectors:
    """Gene vectors of one space, in the order of one collection's gene axis.

    Parameters
    ----------
    vectors
        Genes × dimensions, float32; zero for a gene without a vector.
    has_vector
        Whether each gene has one.
    popularity
        Share of the collection's observations that express each gene.
    kilobases
        Length of each gene; 1 where reads are not counted by length.
    """

    vectors: NDArray[np.float32]
    has_vector: NDArray[np.bool_]
    popularity: NDArray[np.float64]
    kilobases: Kilobases

    @property
    def sha256(self) -> str:
        """Hash of the numbers, and of nothing else."""
        digest = hashlib.sha256(repr(self.vectors.shape).encode())
        for array in (self.vectors, self.has_vector, self.popularity, self.kilobases):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def align(gene_embeddings: pa.Table, axis: pl.DataFrame, n_observations: int) -> AlignedVectors:
    """Gene vectors in the order of a collection's gene axis.

    Parameters
    ----------
    gene_embeddings
        The space's `ensembl_gene_id`, `embedding`.
    axis
        The collection's `gene_index`, `ensembl_gene_id`, `n_observations`; and `length`, where
        reads are counted by length.
    n_observations
        Of the whole collection. With the counts on the axis it says how popular a gene is, so
        that neither the cut into shards nor who works on which changes a bit.
    """
    axis = axis.sort("gene_index")
    matrix = embedding_matrix(gene_embeddings)
    position = {
        gene: row for row, gene in enumerate(gene_embeddings["ensembl_gene_id"].to_pylist())
    }
    rows = np.array([position.get(gene, -1) for gene in axis["ensembl_gene_id"]], dtype=np.int64)
    has_vector = rows >= 0
    vectors = np.zeros((rows.size, matrix.shape[1]), dtype=np.float32)
    if len(matrix):
        # Clipped, numpy writes to `out` at once: the table is copied once instead of twice.
        np.take(matrix, rows, axis=0, out=vectors, mode="clip")
        vectors[~has_vector] = 0
    seen = axis["n_observations"].to_numpy().astype(np.float64)
    lengths = (
        axis["length"] if "length" in axis.columns else pl.repeat(1000, axis.height, eager=True)
    )
    return AlignedVectors(vectors, has_vector, seen / max(n_observations, 1), kilobases_of(lengths))


def read_aligned(
    lake: Lake, gene_embeddings: Part, axis: Part, n_observations: int, *, by_length: bool = False
) -> AlignedVectors:
    """The same from the lake, in memory."""
    columns = ["gene_index", "ensembl_gene_id", "n_observations"]
    return align(
        lake.read_arrow(gene_embeddings, ["ensembl_gene_id", "embedding"]),
        lake.read(axis, [*columns, "length"] if by_length else columns),
        n_observations,
    )


def aligned_file(
    lake: Lake, gene_embeddings: Part, axis: Part, n_observations: int, *, by_length: bool = False
) -> Path:
    """Write aligned vectors to a file in the lake's cache, if it is missing."""
    inputs = (gene_embeddings.sha256, axis.sha256, n_observations, by_length)
    path = lake.cache / f"{sha256_of(*inputs, code_version(__name__))}.aligned.npy"
    if not path.exists():
        aligned = read_aligned(lake, gene_embeddings, axis, n_observations, by_length=by_length)
        lake.cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=lake.cache) as folder:
            written = Path(folder) / "aligned.npy"
            np.save(written, _records(aligned), allow_pickle=False)
            written.replace(path)
    return path


def open_aligned(path: Path) -> AlignedVectors:
    """Map a file of `aligned_file` into memory."""
    records = np.load(path, mmap_mode="r", allow_pickle=False)
    further = (np.array(records[name]) for name in ("has_vector", "popularity", "kilobases"))
    return AlignedVectors(records["vector"], *further)


def _records(aligned: AlignedVectors) -> NDArray[np.void]:
    fields = [
        ("popularity", np.float64),
        ("vector", np.float32, aligned.vectors.shape[1:]),
        ("has_vector", np.bool_),
        ("kilobases", np.float32),
    ]
    records = np.zeros(len(aligned.vectors), np.dtype(fields, align=True))
    records["popularity"] = aligned.popularity
    records["vector"] = aligned.vectors
    records["has_vector"] = aligned.has_vector
    records["kilobases"] = aligned.kilobases
    return records
