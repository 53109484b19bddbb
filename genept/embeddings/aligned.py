"""Gene vectors in the order of a collection's gene axis, as one file that processes map.

A worker then reads only the pages it needs, and several on one machine share them. What
the vectors are weighted with, and how they are added up, is decided elsewhere.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from genept.embeddings.expression import embedding_matrix
from genept.store.lake import Lake, Part
from genept.store.provenance import code_version, sha256_of


@dataclass(frozen=True)
class AlignedVectors:
    """The genes of one collection in one space.

    Parameters
    ----------
    vectors
        Genes × dimensions; zero for a gene without a vector.
    has_vector
        Which genes have one.
    popularity
        Share of the collection's observations that express each gene.
    """

    vectors: npt.NDArray[np.float32]
    has_vector: npt.NDArray[np.bool_]
    popularity: npt.NDArray[np.float64]

    @property
    def sha256(self) -> str:
        """Hash of the numbers, and of nothing else."""
        digest = hashlib.sha256(repr(self.vectors.shape).encode())
        for array in (self.vectors, self.has_vector, self.popularity):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def align(gene_embeddings: pa.Table, axis: pl.DataFrame, n_observations: int) -> AlignedVectors:
    """Gene vectors in the order of a collection's gene axis.

    Parameters
    ----------
    gene_embeddings
        The space's `ensembl_gene_id`, `embedding`.
    axis
        The collection's `gene_index`, `ensembl_gene_id`, `n_observations`.
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
    return AlignedVectors(vectors, has_vector, seen / max(n_observations, 1))


def read_aligned(
    lake: Lake, gene_embeddings: Part, axis: Part, n_observations: int
) -> AlignedVectors:
    """The same from the lake, in memory."""
    return align(
        lake.read_arrow(gene_embeddings, ["ensembl_gene_id", "embedding"]),
        lake.read(axis, ["gene_index", "ensembl_gene_id", "n_observations"]),
        n_observations,
    )


def aligned_file(lake: Lake, gene_embeddings: Part, axis: Part, n_observations: int) -> Path:
    """A file of them in the lake's cache, named by what it was made from; made if need be."""
    inputs = (gene_embeddings.sha256, axis.sha256, n_observations)
    path = lake.cache / f"{sha256_of(*inputs, code_version(__name__))}.aligned.npy"
    if not path.exists():
        aligned = read_aligned(lake, gene_embeddings, axis, n_observations)
        lake.cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=lake.cache) as folder:
            written = Path(folder) / "aligned.npy"
            np.save(written, _records(aligned), allow_pickle=False)
            written.replace(path)
    return path


def open_aligned(path: Path) -> AlignedVectors:
    """Map a file of `aligned_file` into memory."""
    records = np.load(path, mmap_mode="r", allow_pickle=False)
    return AlignedVectors(
        records["vector"], np.array(records["has_vector"]), np.array(records["popularity"])
    )


def _records(aligned: AlignedVectors) -> npt.NDArray[np.void]:
    fields = [
        ("popularity", np.float64),
        ("vector", np.float32, aligned.vectors.shape[1:]),
        ("has_vector", np.bool_),
    ]
    records = np.zeros(len(aligned.vectors), np.dtype(fields, align=True))
    records["popularity"] = aligned.popularity
    records["vector"] = aligned.vectors
    records["has_vector"] = aligned.has_vector
    return records
