"""A release in which questions have known answers: a gene like FOXP3, a drug for blood alone."""

from __future__ import annotations

import numpy as np
import polars as pl
from declared_rows import candidate, declared_frame, with_tables

from genept.client.release_lookup import open_releases
from genept.common.settings import Settings
from genept.release.manifest import Manifest
from genept.release.publish import MakeCatalog
from genept.schema.tables import TABLES
from genept.storage.provenance import NewPart, Origin, StoredTable


def publish_planted(settings: Settings, catalog: MakeCatalog | None = None) -> Manifest:
    """Publish it: gene SAME has the vector of FOXP3, and lines of leukemia answer to one drug."""
    lake = open_releases(settings).lake
    genes = declared_frame(TABLES["gene_embeddings"], 12, partition=("m/x",), dimension=3)
    vectors = np.random.default_rng(5).normal(size=(12, 3)).astype(np.float32)
    vectors[4] = vectors[9] + 0.001
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    symbols = [{9: "FOXP3", 4: "SAME"}.get(at, f"G{at}") for at in range(12)]
    genes = genes.with_columns(
        pl.Series("symbol", symbols), pl.Series("embedding", vectors, dtype=pl.Array(pl.Float32, 3))
    )
    lines = declared_frame(TABLES["observations"], 40, partition=("screen",)).with_columns(
        tissue=pl.Series(["leukemia", "skin"] * 20)
    )
    responses = declared_frame(TABLES["drug_responses"], 80, partition=("screen",)).with_columns(
        observation_id=pl.Series([line for line in lines["observation_id"] for _ in "ab"]),
        drug_id=pl.Series(["everybody's", "blood's"] * 40),
        value=pl.Series([-5.0, -1.0, -5.1, 3.0] * 20),
    )
    unscreened = declared_frame(TABLES["unscreened_drugs"], 2, partition=("screen",))
    unscreened = unscreened.with_columns(
        drug_id=pl.Series(["Nameless", "Encorafenib"]), abstained=pl.Series([True, False])
    )
    predicted = declared_frame(
        TABLES["unscreened_drug_responses"], 40, partition=("screen",)
    ).with_columns(
        drug_id=pl.lit("Encorafenib"),
        observation_id=lines["observation_id"],
        prediction=pl.Series([0.5, -0.7] * 20),
    )
    texts = declared_frame(TABLES["gene_descriptions"], 2, partition=("x",)).with_columns(
        symbol=pl.Series(["FOXP3", "G0"]), text=pl.Series(["a regulator of T cells", "none"])
    )
    plain = candidate(lake)

    def stored(name: str, rows: pl.DataFrame, partition: str, dimension: int = 0) -> StoredTable:
        table = rows.to_arrow().cast(TABLES[name].schema(dimension))
        new = NewPart(name, table, (partition,), dimension or None)
        origin = Origin(code=(), settings={"asked": name})
        return lake.assemble(name, lake.build(f"asked/{name}", origin, lambda: [new]))

    return (
        open_releases(settings)
        .publish(
            with_tables(
                plain,
                gene_embeddings=stored("gene_embeddings", genes, "m/x", 3),
                gene_descriptions=stored("gene_descriptions", texts, "x"),
                observations=stored("observations", lines, "screen"),
                drug_responses=stored("drug_responses", responses, "screen"),
                unscreened_drugs=stored("unscreened_drugs", unscreened, "screen"),
                unscreened_drug_responses=stored("unscreened_drug_responses", predicted, "screen"),
            ),
            catalog=catalog,
        )
        .manifest
    )
