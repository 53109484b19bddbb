"""Search in a space: what is nearest to a text, a gene, a cell or a sample.

Exact cosine search over memory-mapped vectors. Genes are compared as they are; a cell or sample
with genes after subtracting the means of its collection and of all genes: without that, any two
cells look the same. Which cells a text means is found by their expression of the genes that are
nearest to it, and by published labels: `expression_search`, `label_search`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import numpy as np
import polars as pl

from genept.client.api import load_table
from genept.client.platform import Platform
from genept.client.release_lookup import (
    LATEST,
    PREFERRED_SPACE,
    Resolved,
    released_files,
    resolve,
    usual_space,
)
from genept.client.searching.expression_search import N_GENES, expression_scores
from genept.client.searching.label_search import (
    FittedLabels,
    LabelTexts,
    fitted_labels,
    is_searchable,
    label_scores,
)
from genept.client.searching.query_embedding import query_embedder
from genept.client.searching.released_collections import collection_row
from genept.client.searching.released_expression import ReleasedExpression
from genept.client.vectors import OBSERVED, Matrix, Vectors, released_vectors
from genept.common import StoreError
from genept.embeddings.text_readings import gene_centre, text_vectors
from genept.storage import sha256_of

Among = Literal["genes", "cells", "samples"]
SHOWN_LABELS: Final = ("cell_type", "tissue", "tissue_subtype", "diagnosis")
TABLE_OF: Final = {"cells": "cell_embeddings", "samples": "sample_embeddings"}
SCHEMA: Final = {"id": pl.String, "label": pl.String, "about": pl.String, "score": pl.Float64}


@dataclass(frozen=True)
class SearchHits:
    """What lies nearest to a query.

    Parameters
    ----------
    rows
        `id`, `label`, `about` (description of a gene, or collection of a cell or sample) and
        `score`, highest first: the cosine of a gene; of a cell or sample what `query` says.
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
        Id of a space that the release holds; None: the usual one.
    release
        Id of a release, or ``latest``.
    """

    def __init__(
        self, platform: Platform, space: str | None = None, *, release: str = LATEST
    ) -> None:
        self.platform = platform
        self.release: Resolved = resolve(release, platform.settings)
        self.space = space or usual_space(self.release.manifest) or PREFERRED_SPACE
        self.genes: Vectors = released_vectors(self.release, "gene_embeddings", self.space)
        self._read: dict[str, ReleasedExpression] = {}
        self._maps: dict[str, FittedLabels] = {}

    def text(
        self,
        text: str,
        among: Among = "genes",
        *,
        n: int = 10,
        collection: str | None = None,
        labels: bool = True,
    ) -> SearchHits:
        """What lies nearest to a text in this space; cells and samples, by what they express.

        Parameters
        ----------
        text
            Any text.
        among
            What is searched.
        n
            How many to return.
        collection
            Only cells or samples of this one.
        labels
            Search cells and samples by their published labels, too, where all collections have
            some; False: by the genes nearest to the text alone.

        Returns
        -------
        SearchHits
            The nearest, best first.

        Raises
        ------
        StoreError
            If the space has no embedder that texts can be given to, or nothing is embedded.
        """
        query = self.embed([text])[0]
        if among == "genes":
            return SearchHits(self._genes(self.genes.nearest(query, n)), f"text in {self.space}")
        names = self._collections(TABLE_OF[among], collection)
        if not names:
            if collection is not None:
                collection_row(self._table("collections").collect(), collection, among)
            of = f" of {collection}" if collection else ""
            raise StoreError(f"no {among}{of} were embedded in space {self.space!r}")
        return self._observations(query, names, n, labels=labels)

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

    def expression_of(self, collection: str) -> ReleasedExpression:
        """A collection of the release, read once."""
        if collection not in self._read:
            self._read[collection] = ReleasedExpression.read(self.release, collection)
        return self._read[collection]

    @cached_property
    def label_texts(self) -> LabelTexts:
        """What labels are compared with in this space."""
        files = released_files(self.release.manifest, "gene_embeddings", {"space": self.space})
        platform = self.platform
        return LabelTexts(
            self.space, self.embed, gene_centre(np.asarray(self.genes.matrix)),
            sha256_of([file.sha256 for file in files]),
            lambda: platform.ontology, platform.ontology_version,
        )  # fmt: skip

    def fitted(self, collection: str) -> FittedLabels:
        """What the labels of a collection say, fitted once; `is_searchable` by its labels."""
        if collection not in self._maps:
            kept = self.platform.settings.state / "cache" / "text_maps"
            of = self.expression_of(collection)
            self._maps[collection] = fitted_labels(of, self.label_texts, kept)
        return self._maps[collection]

    def _observations(
        self, query: Matrix, names: Sequence[str], n: int, *, labels: bool
    ) -> SearchHits:
        cosines = self.genes.cosines(query - self.genes.mean, centred=True)
        near = dict(zip(self.genes.ids.tolist(), cosines.tolist(), strict=True))
        read = {name: self.expression_of(name) for name in names}
        scores = {
            name: expression_scores(
                of.expression, of.unit, np.array([near.get(gene, np.nan) for gene in of.genes])
            )
            for name, of in read.items()
        }
        meaning = f"mean z-score of the {N_GENES} genes nearest to the text in {self.space}"
        if labels and all(map(is_searchable, read.values())):
            text = text_vectors(self.label_texts.centre, [query[None]])[0]
            scores = label_scores({name: self.fitted(name) for name in names}, text, scores)
            meaning = (
                f"published labels, {sum(len(x.types) for x in read.values())} types, whose texts "
                f"are similar in {self.space}, and the {N_GENES} genes nearest to the text"
            )
        rows = [
            (name, int(at), float(scores[name][at]))
            for name in names
            for at in np.argsort(-scores[name], kind="stable")[:n]
        ]
        nearest = sorted(rows, key=lambda row: -row[2])[:n]
        shown = [(*self._named(name, at), name, score) for name, at, score in nearest]
        return SearchHits(pl.DataFrame(shown, SCHEMA, orient="row"), meaning)

    def _named(self, collection: str, at: int) -> tuple[str, str]:
        """Id and labels of an observation."""
        row = self.expression_of(collection).observations.row(at, named=True)
        return row["observation_id"], ", ".join(row[name] for name in SHOWN_LABELS if row[name])

    def _collections(self, table: str, only: str | None) -> list[str]:
        known = {
            file.partition[2]
            for file in self.release.manifest.tables[table].files
            if file.partition[0] == self.space and file.partition[1] == "genept-w"
        }
        return sorted(known & {only} if only else known)

    @cached_property
    def symbols(self) -> pl.DataFrame:
        """`ensembl_gene_id` and `symbol` of every gene of the space."""
        named = self._table("gene_embeddings", space=self.space)
        return named.select("ensembl_gene_id", "symbol").collect()

    @cached_property
    def all_symbols(self) -> pl.DataFrame:
        """The same of every gene of the reference, with or without a vector."""
        return self._table("genes").select("ensembl_gene_id", "symbol").collect()

    def _genes(self, nearest: list[tuple[str, float]]) -> pl.DataFrame:
        """Genes with symbol and description, in the order given."""
        ids = [id_ for id_, _ in nearest]
        symbols = dict(self.symbols.filter(pl.col("ensembl_gene_id").is_in(ids)).iter_rows())
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

    def embed(self, texts: list[str]) -> Matrix:
        """Vectors of texts, (n_texts, dimensions).

        Raises
        ------
        StoreError
            If there is no text, or the space cannot be given one.
        """
        if not texts or not all(text.strip() for text in texts):
            raise StoreError("there is no text to search with")
        return np.asarray(self._embedder(texts))

    @cached_property
    def _embedder(self) -> Callable[[list[str]], Matrix]:
        def described(recipe: str) -> list[str]:
            rows = self._table("gene_descriptions", recipe=recipe).select("text").collect()
            return rows["text"].to_list()

        return query_embedder(self.platform, self.space, described, self.genes.matrix.shape[1])

    def _table(self, name: str, **partition: str) -> pl.LazyFrame:
        return load_table(
            name,
            release=self.release.manifest.release_id,
            keep=True,
            settings=self.platform.settings,
            **partition,
        )
