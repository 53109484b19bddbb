"""Small references, archives and collections with planted structure, for the tests of all layers.

They use the library's own entry points: a planted collection is ingested, described and
embedded in a real lake; only the output of the parser is given.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import genept.collections.ingestion
from genept.collections.ingestion import ingest
from genept.datasources.catalogue import Collection, load_catalogue
from genept.datasources.download.archives import Archives
from genept.datasources.readers.parsed import ParsedCollection, from_matrix, observation_frame
from genept.embeddings.pooled_shards import embed_shards, shards_of
from genept.embeddings.representations import CollectionParts
from genept.nomenclature.reference import Reference
from genept.storage.lake import Lake
from genept.storage.provenance import NewPart, Origin, Part
from genept.text.composition import text_sha256
from genept.text.embedders import Space
from genept.text.gene_vectors import embed_genes
from genept.text.local.baselines import RandomVectors

MINILM = Space("minilm-l6-v2", "name-go")
RANDOM = Space("random-384", "name-go", is_control=True)
REFERENCE_SCHEMA = {
    "hgnc_id": pl.String,
    "symbol": pl.String,
    "ensembl_gene_id": pl.String,
    "aliases": pl.List(pl.String),
    "previous_symbols": pl.List(pl.String),
    "biotype": pl.String,
    "name": pl.String,
    "entrez_id": pl.String,
    "uniprot_ids": pl.List(pl.String),
    "reference_release": pl.String,
}


def gene(number: int, symbol: str, **changes: Any) -> dict[str, Any]:
    """A row of the reference: its ids follow from the number."""
    return {
        "hgnc_id": f"HGNC:{number}",
        "symbol": symbol,
        "ensembl_gene_id": f"ENSG{number:011d}",
        "aliases": [],
        "previous_symbols": [],
        "biotype": "protein_coding",
        "name": f"name of {symbol}",
        "entrez_id": str(number),
        "uniprot_ids": [],
        "reference_release": "hgnc-test",
    } | changes


def reference_of(*genes: Mapping[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(genes), schema=REFERENCE_SCHEMA, orient="row")


def numbered_reference(n: int) -> pl.DataFrame:
    """Genes G1 … Gn."""
    return reference_of(*(gene(number, f"G{number}") for number in range(1, n + 1)))


def made_archives(folder: Path, **members: Mapping[str, bytes]) -> Archives:
    """Archives in which some wheels, by source, hold the members given."""
    folder.mkdir(parents=True, exist_ok=True)
    catalogue = load_catalogue()
    sources = dict(catalogue.sources)
    for id_, of_source in members.items():
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as wheel:
            for name, content in of_source.items():
                wheel.writestr(name, content)
        data = buffer.getvalue()
        pin = {"bytes": len(data), "pinned_sha256": hashlib.sha256(data).hexdigest()}
        sources[id_] = sources[id_].model_copy(update=pin)
        (folder / sources[id_].filename).write_bytes(data)
    return Archives(catalogue.model_copy(update={"sources": sources}), folder)


def a_collection(unit: str = "counts", **changes: Any) -> Collection:
    policy = "sum" if unit == "counts" else "highest_mean"
    template = load_catalogue().collections["prostate"]
    return template.model_copy(
        update={"id": "planted", "unit": unit, "duplicate_policy": policy, "caveat": None} | changes
    )


def parsed_of(
    values: Any,
    input_genes: Sequence[str],
    ids: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    labels: Mapping[str, Sequence[str | None]] | None = None,
    **more: Any,
) -> ParsedCollection:
    """What a parser would return for a matrix, observations × genes."""
    matrix = np.asarray(values, dtype=np.float32)
    ids = ids or [f"o{row:03d}" for row in range(len(matrix))]
    return from_matrix(
        matrix,
        input_genes=input_genes,
        observations=observation_frame(ids, groups or ids, labels or {}),
        **more,
    )


def ingest_parsed(
    monkeypatch: pytest.MonkeyPatch,
    lake: Lake,
    parsed: ParsedCollection,
    reference: pl.DataFrame,
    collection: Collection | None = None,
) -> dict[str, Part]:
    """Ingest as if a parser had returned `parsed`; the parts by table."""
    monkeypatch.setattr(genept.collections.ingestion, "parse_collection", lambda *_: parsed)
    parts = ingest(
        lake,
        Archives(load_catalogue(), lake.cache / "no-archives"),
        collection or a_collection(),
        lambda: Reference("hgnc-test", reference),
        "reference-1",
    )
    return {part.table: part for part in parts}


class CountingEmbedder:
    """Returns random vectors, and records the texts that it embedded."""

    max_tokens: int | None = None
    unit_norm = True
    dollars_per_million_tokens = 0.0

    def __init__(self, dimensions: int = 32) -> None:
        self.id = "minilm-l6-v2"
        self.dimensions = dimensions
        self.identity = "counting-1"
        self.embedded_texts: list[str] = []

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.embedded_texts += texts
        return RandomVectors(self.dimensions).embed(texts)


def described(lake: Lake, texts: Mapping[str, str]) -> Part:
    """A part of `gene_descriptions` with the texts by Ensembl gene id."""
    rows = pl.DataFrame(
        {
            "recipe": "name-go",
            "ensembl_gene_id": list(texts),
            "symbol": [f"G{int(id_[4:])}" for id_ in texts],
            "text": list(texts.values()),
            "text_sha256": [text_sha256(text) for text in texts.values()],
            "n_tokens": 8,
            "parts": [["name@test"]] * len(texts),
        }
    )
    origin = Origin(("genept.schema.tables",), settings={"texts": dict(texts)})
    (part,) = lake.build(
        "descriptions/name-go", origin, lambda: [NewPart("gene_descriptions", rows, ("name-go",))]
    )
    return part


def embedded(lake: Lake, space: Space, genes: Sequence[str]) -> Part:
    """A part of `gene_embeddings` with a vector for each of these Ensembl genes."""
    descriptions = described(lake, {id_: f"what is known about {id_}" for id_ in genes})
    return embed_genes(lake, space, descriptions, CountingEmbedder, product=lake.prefix)


def in_every_space(
    lake: Lake, parts: Mapping[str, Part], collection: Collection, genes: Sequence[str]
) -> CollectionParts:
    """An ingested collection, embedded in a space and in its random control."""
    return CollectionParts(
        observations=parts["observations"],
        axis=parts["gene_axis"],
        expression=(parts["expression"],),
        embeddings={
            space: tuple(
                embed_shards(
                    lake,
                    shards_of(
                        collection.kind,
                        collection.unit,
                        embedded(lake, space, genes),
                        parts["gene_axis"],
                        [parts["expression"]],
                    ),
                )
            )
            for space in (MINILM, RANDOM)
        },
    )
