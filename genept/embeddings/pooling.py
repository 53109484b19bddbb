"""GenePT-w: a cell or sample is the expression-weighted mean of its genes' vectors, unit length.

One unit of work is (collection, space). It streams over row groups, so memory is
set by the row group and the table of gene vectors.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import scipy.sparse as sp

from genept.embeddings.expression import embedding_matrix, expression_blocks
from genept.embeddings.weights import expression_weights
from genept.store.errors import StoreError
from genept.store.lake import Lake, NewPart, Part
from genept.store.provenance import Origin
from genept.tables import TABLES

METHOD = "genept-w"
TABLE_OF_KIND = {"single_cell": "cell_embeddings", "bulk": "sample_embeddings"}


def pool(
    weights: sp.csr_matrix, vectors: npt.NDArray[np.float32], has_vector: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Weighted means of gene vectors.

    Parameters
    ----------
    weights
        Observations × genes, not negative.
    vectors
        Genes × dimensions; rows without a vector are zero.
    has_vector
        Which genes have one.

    Returns
    -------
    embedding, coverage
        Observations × dimensions, unit length (zero where nothing is covered);
        and the share of each observation's weight that had a vector.
    """
    total, covered = (weights @ np.stack([np.ones(has_vector.size), has_vector], axis=1)).T
    coverage = np.divide(covered, total, out=np.zeros_like(total), where=total > 0)
    pooled = np.asarray(weights @ vectors)
    norm = np.linalg.norm(pooled, axis=1, keepdims=True)
    embedding = np.divide(pooled, norm, out=np.zeros_like(pooled), where=norm > 0)
    return embedding.astype(np.float32, copy=False), np.minimum(coverage, 1).astype(np.float32)


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


def embed_collection(
    lake: Lake, *, kind: str, unit: str, gene_embeddings: Part, axis: Part, expression: Part
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
        code=("genept.embeddings", "genept.tables"),
        inputs={part.table: part.sha256 for part in (gene_embeddings, axis, expression)},
        settings={"method": METHOD, "unit": unit},
        libraries=("numpy", "scipy"),
    )

    def compute() -> list[NewPart]:
        genes = lake.read_arrow(gene_embeddings, ["ensembl_gene_id", "embedding"])
        vectors, has_vector = align(genes, lake.read(axis, ["gene_index", "ensembl_gene_id"]))
        schema = TABLES[table].schema(vectors.shape[1])

        def batches() -> Iterator[pa.RecordBatch]:
            for ids, block in expression_blocks(lake, expression, vectors.shape[0]):
                embedding, coverage = pool(expression_weights(block, unit), vectors, has_vector)
                if not coverage.all():
                    lost = [one for one, share in zip(ids, coverage, strict=True) if share == 0]
                    raise StoreError(
                        f"collection {collection!r}, space {space!r}: {len(lost)} observations, "
                        f"such as {lost[0]!r}, express no gene that has a vector; quarantine "
                        "them at ingest or leave the space out"
                    )
                n = len(ids)
                yield pa.record_batch(
                    [
                        pa.array([space] * n),
                        pa.array([METHOD] * n),
                        pa.array([collection] * n),
                        pa.array(ids),
                        pa.FixedSizeListArray.from_arrays(
                            pa.array(embedding.ravel()), type=schema.field("embedding").type
                        ),
                        pa.array(coverage),
                    ],
                    schema=schema,
                )

        partition = (space, METHOD, collection)
        return [NewPart(table, batches(), partition, vectors.shape[1], expression.number)]

    step = f"embeddings/{space}/{METHOD}/{collection}/{expression.number:05d}"
    (part,) = lake.build(step, origin, compute)
    return part
