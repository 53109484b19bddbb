"""Spaces of gene vectors with and without information about a label."""

import numpy as np
import pyarrow as pa

from genept.benchmarks.input_tables import SpaceVectors
from genept.schema.tables import TABLES
from genept.storage.lake import Lake
from genept.storage.provenance import NewPart, Origin
from genept.text.embedders import space_of

N = 120

GENES = [f"ENSG{number:011}" for number in range(N)]

YES = np.random.default_rng(0).integers(0, 2, N)


def space(lake: Lake, id_: str, strength: float, tells=(), genes=N, seed=1):
    matrix = np.random.default_rng(seed).normal(size=(N, 12))
    matrix[:, 0] += strength * (2 * YES - 1)
    matrix = (matrix / np.linalg.norm(matrix, axis=1, keepdims=True))[:genes].astype(np.float32)
    schema = TABLES["gene_embeddings"].schema(12)
    vectors = pa.FixedSizeListArray.from_arrays(
        pa.array(matrix.ravel()), type=schema.field("embedding").type
    )
    names = GENES[:genes]
    columns = [[id_] * genes, names, names, vectors, ["0" * 64] * genes]
    rows = pa.table([pa.array(column) for column in columns[:3]] + columns[3:], schema=schema)
    origin = Origin(code=(), settings={"id": id_, "strength": strength, "genes": genes})
    part = NewPart("gene_embeddings", rows, (id_,), 12)
    (stored,) = lake.build(f"test/{id_}", origin, lambda: [part])
    return SpaceVectors(space_of(id_), stored, frozenset(tells))
