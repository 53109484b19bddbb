"""A release of one collection of cells of four planted types, with one space."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from declared_rows import candidate, declared_frame, store_table, with_tables
from installations import settings_over

from genept.client.release_lookup import open_releases
from genept.common.settings import Settings
from genept.schema.tables import TABLES
from genept.storage.lake import Lake
from genept.storage.object_store import ObjectStore
from genept.storage.provenance import NewPart, Origin

SPACE = "minilm-l6-v2/name-go"
COLLECTION = "planted-cells"
TYPES = ("B cell", "T cell", "monocyte", "neuron")
N, N_GENES, DIMENSIONS = 80, 60, 8
RNG = np.random.default_rng(0)
CODES = np.arange(N) % 4
VECTORS = (0.3 * RNG.normal(size=(N_GENES, DIMENSIONS)) + 2 * np.eye(4, DIMENSIONS)[
    np.arange(N_GENES) % 4
]).astype(np.float32)  # fmt: skip
COUNTS = RNG.poisson(np.where(np.arange(N_GENES) % 4 == CODES[:, None], 5.0, 1.0))


def part_of(lake: Lake, name: str, rows: pl.DataFrame, partition: tuple[str, ...], size=None):
    table = TABLES[name]
    new = NewPart(name, rows.to_arrow().cast(table.schema(size or 0)), partition, size)
    return lake.assemble(name, lake.build(f"test/{name}/labels", Origin(code=()), lambda: [new]))


def labelled_tables(lake: Lake, labelled: bool = True):
    ids, genes = [f"c{row:03}" for row in range(N)], [f"ENSG{at:011}" for at in range(1, 61)]
    own = {"partition": (COLLECTION,)}
    observed = declared_frame(TABLES["observations"], N, **own).with_columns(
        pl.Series("observation_id", ids),
        cell_type=pl.Series([TYPES[code] if labelled else None for code in CODES], dtype=pl.String),
        tissue=pl.lit(None, pl.String), tissue_subtype=pl.lit(None, pl.String),
        diagnosis=pl.lit(None, pl.String),
    )  # fmt: skip
    nonzero = [np.flatnonzero(row).tolist() for row in COUNTS]
    expression = declared_frame(TABLES["expression"], N, **own).with_columns(
        pl.Series("observation_id", ids), pl.Series("gene_index", nonzero, pl.List(pl.UInt32)),
        pl.Series("value", [row[row > 0].tolist() for row in COUNTS], pl.List(pl.Float32)),
    )  # fmt: skip
    axis = declared_frame(TABLES["gene_axis"], N_GENES, **own).with_columns(
        pl.Series("ensembl_gene_id", genes), pl.Series("gene_index", range(N_GENES), pl.UInt32)
    )
    collections = declared_frame(TABLES["collections"], 1, **own).with_columns(
        unit=pl.lit("counts")
    )
    vectors = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    embedded = declared_frame(
        TABLES["gene_embeddings"], N_GENES, partition=(SPACE,), dimension=DIMENSIONS
    ).with_columns(
        pl.Series("ensembl_gene_id", genes),
        pl.Series("embedding", vectors, dtype=pl.Array(pl.Float32, DIMENSIONS)),
    )
    method = (SPACE, "genept-w", COLLECTION)
    cells = declared_frame(
        TABLES["cell_embeddings"], N, partition=method, dimension=DIMENSIONS
    ).with_columns(pl.Series("observation_id", ids))
    return {
        "observations": part_of(lake, "observations", observed, (COLLECTION,)),
        "expression": part_of(lake, "expression", expression, (COLLECTION,)),
        "gene_axis": part_of(lake, "gene_axis", axis, (COLLECTION,)),
        "collections": part_of(lake, "collections", collections, (COLLECTION,)),
        "gene_embeddings": part_of(lake, "gene_embeddings", embedded, (SPACE,), DIMENSIONS),
        "cell_embeddings": part_of(lake, "cell_embeddings", cells, method, DIMENSIONS),
        "genes": store_table(
            lake, "genes",
            declared_frame(TABLES["genes"], N_GENES).with_columns(
                pl.Series("ensembl_gene_id", genes)
            ).to_arrow().cast(TABLES["genes"].schema(0)),
        ),
    }  # fmt: skip


def publish_labelled(object_store: ObjectStore, folder: Path, *, labelled: bool = True) -> Settings:
    """Publish it under a product of its own; return the settings that read it."""
    settings = settings_over(object_store, folder, "labels")
    releases = open_releases(settings)
    releases.publish(
        with_tables(candidate(releases.lake), **labelled_tables(releases.lake, labelled=labelled))
    )
    return settings
