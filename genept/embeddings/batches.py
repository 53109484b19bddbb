"""Vectors in memory as rows of an embedding table, some thousand at a time.

What GenePT-w streams is made in `genept.embeddings.pooling`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from genept.embeddings.pooling import embedding_rows
from genept.tables import TABLES

AT_ONCE: Final = 4096
"""Rows of a batch that is written."""


def embedding_batches(
    table: str,
    partition: tuple[str, str, str],
    ids: Sequence[str],
    vectors: npt.NDArray[np.float32],
    coverage: npt.NDArray[np.float32] | None = None,
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
