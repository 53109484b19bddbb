"""Search in a space: what is nearest to a text, a gene, a cell or a sample.

Exact cosine search over memory-mapped vectors. Genes are compared as they are; a cell or sample
with genes after subtracting the means of its collection and of all genes: without that, any two
cells look the same. Which cells a text means is found by their expression of the genes that are
nearest to it: `genept.client.expression_search`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

import numpy as np
import polars as pl

from genept.client.api import load_table
from genept.client.expression_search import N_GENES, expression_scores
from genept.client.platform import Platform
from genept.client.release_lookup import LATEST, Resolved, resolve
from genept.client.vectors import (
    OBSERVED,
    Matrix,
    Vectors,
    expression_rows,
    released_vectors,
)
from genept.common import StoreError
from genept.text import (
    LSA,
    MeteredEmbedder,
    QueryEmbedder,
    Space,
    VectorCache,
    embed_through_cache,
)

Among = Literal["genes", "cells", "samples"]
TABLE_OF: Final = {"cells": "cell_embeddings", "samples": "sample_embeddings"}
SCHEMA: Final = {"id": pl.String, "label": pl.String, "about": pl.String, "score": pl.Float64}


@dataclass(frozen=True)
class SearchHits:
    """What lies nearest to a query.

    Parameters
    ----------
    rows
        `id`, `label`, `about` (description of a gene, or collection of a cell or sample) and
        `score`, highest first: the cosine of a gene; of a cell or sample found by a text, the mean
        z-score of its expression.
    query
        The query in words, for a title.
    """

    rows: pl.DataFrame
    query: str


class SpaceSearch:
    """One space of one release, ready to be searched.

    Parameters
    ----------
    platform
        The installation; its embedders embed the texts of queries.
    space
        Id of a space that the release holds.
    release
        Id of a release, or ``latest``.
    """

    def __init__(self, platform: Platform, space: str, *, release: str = LATEST) -> None:
        self.platform, self.space = platform, space
        self.release: Resolved = resolve(release, platform.settings)
        self.genes: Vectors = released_vectors(self.release, "gene_embeddings", space)

    def text(
        self, text: str, among: Among = "genes", *, n: int = 10, collection: str | None = None
    ) -> SearchHits:
        """What lies nearest to a text in this space; cells and samples, by what they express.

        Raises
        ------
        StoreError
            If the space has no embedder that texts can be given to, or nothing is embedded.
        """
        query = self._embed(text)
        if among == "genes":
            return SearchHits(self._genes(self.genes.nearest(query, n)), f"text in {self.space}")
        cosines = self.genes.cosines(query - self.genes.mean, centred=True)
        of_gene = dict(zip(self.genes.ids.tolist(), cosines.tolist(), strict=True))
        return self._observations(of_gene, among, n, collection)

    def gene(self, name: str, *, n: int = 10) -> SearchHits | None:
        """The genes nearest to a gene, by symbol, alias or id; none if it is no gene here."""
        gene = self._gene_of(name)
        vector = self.genes.of(gene) if gene else None
        if gene is None or vector is None:
            return None
        nearest = [row for row in self.genes.nearest(vector, n + 1) if row[0] != gene][:n]
        return SearchHits(self._genes(nearest), f"gene {gene}")

    def observation(self, id_: str, *, n: int = 10, collection: str | None = None) -> SearchHits:
        """The genes nearest to a cell or sample, less what all of its collection have in common.

        Raises
        ------
        StoreError
            If there is no such cell or sample in this space.
        """
        for table in OBSERVED:
            for name in self._collections(table, collection):
                vectors = released_vectors(self.release, table, self.space, name)
                if (vector := vectors.of(id_)) is not None:
                    query = vector - vectors.mean
                    nearest = self.genes.nearest(query, n, centred=True)
                    return SearchHits(self._genes(nearest), f"{id_} of {name}, less its mean")
        raise StoreError(
            f"{id_!r} is no gene, cell or sample of space {self.space!r} in release "
            f"{self.release.manifest.release_id}: `genept genes explain {id_}` says what is known"
        )

    def _observations(
        self, cosines: Mapping[str, float], among: Among, n: int, collection: str | None
    ) -> SearchHits:
        rows: list[tuple[str, str, float]] = []
        for name in self._collections(TABLE_OF[among], collection):
            of_collection = {"collection_id": name}
            axis, about = (
                pl.read_parquet(self.release.local_files(table, of_collection), glob=False)
                for table in ("gene_axis", "collections")
            )
            genes = axis.sort("gene_index")["ensembl_gene_id"].to_list()
            files = self.release.local_files("expression", of_collection)
            ids, expression = expression_rows(files, len(genes))
            near = np.array([cosines.get(gene, np.nan) for gene in genes])
            scores = expression_scores(expression, str(about["unit"][0]), near)
            best = np.argsort(-scores, kind="stable")[:n]
            rows += [(name, ids[at], float(scores[at])) for at in best]
        if not rows:
            raise StoreError(f"no {among} were embedded in space {self.space!r}")
        nearest = sorted(rows, key=lambda row: -row[2])[:n]
        labels = self._labels({name for name, _, _ in nearest})
        shown = [(id_, labels.get((name, id_), ""), name, score) for name, id_, score in nearest]
        return SearchHits(
            pl.DataFrame(shown, SCHEMA, orient="row"),
            f"mean z-score of the {N_GENES} genes nearest to the text in {self.space}",
        )

    def _collections(self, table: str, only: str | None) -> list[str]:
        known = {
            file.partition[2]
            for file in self.release.manifest.tables[table].files
            if file.partition[0] == self.space and file.partition[1] == "genept-w"
        }
        return sorted(known & {only} if only else known)

    def _genes(self, nearest: list[tuple[str, float]]) -> pl.DataFrame:
        """Genes with symbol and description, in the order given."""
        ids = [id_ for id_, _ in nearest]
        named = self._table("gene_embeddings", space=self.space).select("ensembl_gene_id", "symbol")
        rows = named.filter(pl.col("ensembl_gene_id").is_in(ids)).collect()
        symbols = dict(rows.iter_rows())
        texts = self._descriptions(ids)
        shown = [(id_, symbols[id_], texts.get(id_, ""), cosine) for id_, cosine in nearest]
        return pl.DataFrame(shown, SCHEMA, orient="row")

    def _descriptions(self, ids: list[str]) -> dict[str, str]:
        files = self.release.manifest.tables["gene_descriptions"].files
        recipes = {file.partition[0] for file in files}
        recipe = self.space.partition("/")[2].partition("@")[0]
        if recipe not in recipes:  # a registered table of vectors: no text was embedded
            return {}
        rows = self._table("gene_descriptions", recipe=recipe)
        rows = rows.filter(pl.col("ensembl_gene_id").is_in(ids)).select("ensembl_gene_id", "text")
        return dict(rows.collect().iter_rows())

    def _labels(self, collections: set[str]) -> dict[tuple[str, str], str]:
        named = pl.concat_str(
            "cell_type", "tissue", "tissue_subtype", "diagnosis", separator=", ", ignore_nulls=True
        )
        rows = pl.concat(
            self._table("observations", collection_id=collection).select(
                "collection_id", "observation_id", named.alias("label")
            )
            for collection in sorted(collections)
        ).collect()
        return {(collection, id_): label for collection, id_, label in rows.iter_rows()}

    def _gene_of(self, name: str) -> str | None:
        symbols = self._table("gene_embeddings", space=self.space).filter(
            (pl.col("symbol") == name) | (pl.col("ensembl_gene_id") == name)
        )
        names = self._table("gene_names").filter(pl.col("name") == name)
        for rows in (symbols, names):
            ids = rows.select("ensembl_gene_id").drop_nulls().collect().to_series()
            if len(ids):
                return str(ids[0])
        return None

    def _embed(self, text: str) -> Matrix:
        """The text's vector, (dimensions,)."""
        space = self.platform.space(self.space)
        if not text.strip():
            raise StoreError("there is no text to search with")
        return np.asarray(self._embedder(space)([text])[0])

    def _embedder(self, space: Space) -> Callable[[list[str]], Matrix]:
        if space.is_random or space.variant or not space.has_recipe:
            raise StoreError(
                f"space {space.id!r} cannot be given a text: its vectors are not of texts; ask a "
                "space such as minilm-l6-v2/name-go, or for the neighbours of a gene"
            )
        if space.is_lsa:  # refitted, never stored: the same descriptions give the same vectors
            recipe = self.platform.recipe_of(space).id
            texts = self._table("gene_descriptions", recipe=recipe).select("text").collect()
            return LSA.fit(texts["text"].to_list(), self.genes.matrix.shape[1]).embed
        embedder = self.platform.embedders.open(space.embedder)
        if isinstance(embedder, QueryEmbedder):
            embedder = embedder.for_queries()
        if isinstance(embedder, MeteredEmbedder):
            store, product = self.platform.store, self.platform.settings.product
            return partial(
                embed_through_cache,
                embedder,
                VectorCache(store, product, embedder),
                spending_limit=self.platform.hosted.spending_limit,
            )
        return embedder.embed

    def _table(self, name: str, **partition: str) -> pl.LazyFrame:
        return load_table(
            name,
            release=self.release.manifest.release_id,
            keep=True,
            settings=self.platform.settings,
            **partition,
        )
