"""A small collection of two shards, pooled in one space, and registered vectors of it."""

import numpy as np
import pyarrow as pa

from genept.datasources.readers.vector_tables import VectorTable
from genept.embeddings.pooling import embedding_batches
from genept.embeddings.registered_observation_vectors import register_vectors
from genept.schema.tables import TABLES
from genept.storage.provenance import NewPart, Origin
from genept.storage.registrations import VectorFile

KIND = "single_cell"
IDS = [f"c{row:02}" for row in range(10)]
DIMENSIONS = 6


def random_vectors(seed, rows, dimensions):
    return np.random.default_rng(seed).standard_normal((rows, dimensions)).astype(np.float32)


def planted_parts(lake):
    """Parts of `expression` and, of GenePT-w in space `planted/w`, of `cell_embeddings`."""
    parts = []
    for number in (0, 1):
        ids = IDS[5 * number : 5 * number + 5]
        rows = {
            "collection_id": ["planted"] * 5, "observation_id": ids,
            "gene_index": [[0]] * 5, "value": [[1.0]] * 5,
        }  # fmt: skip
        table = pa.table(rows, schema=TABLES["expression"].schema())
        vectors = random_vectors(number, 5, 4)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        partition = ("planted/w", "genept-w", "planted")
        coverage = np.linspace(0.5, 1, 5, dtype=np.float32)
        batches = embedding_batches("cell_embeddings", partition, ids, vectors, coverage)
        parts += [
            NewPart("expression", table, ("planted",), None, number),
            NewPart("cell_embeddings", batches, partition, 4, number),
        ]
    stored = lake.build("planted", Origin(code=(), settings={}), lambda: parts)
    return stored[::2], stored[1::2]


def outside_table(rows, *, strangers=0, seed=9):
    names = [*(IDS[row] for row in reversed(rows)), *(f"nobody-{i}" for i in range(strangers))]
    return VectorTable(names, 7 * random_vectors(seed, len(names), DIMENSIONS))


def registered(store, product, table, *, space="scgpt/human", collection="planted", **terms):
    terms = {"licence": "CC-BY-4.0", "redistributable": True, "citation": "somebody"} | terms
    file = VectorFile(file="x.h5ad", file_sha256="0" * 64, **terms)
    return register_vectors(store, product, space, collection, table, file)
