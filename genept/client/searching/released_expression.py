"""One collection of a release in memory: expression, genes, labels, and vectors of its genes.

Read once by a process that asks several questions. What is made of it is in `label_search` and
`profile_generation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from genept.client.release_lookup import Resolved, released_files
from genept.client.vectors import Vectors, expression_rows
from genept.embeddings import label_of
from genept.embeddings.text_readings import FEWEST_OF_TYPE, similarity_on_axis
from genept.storage import sha256_of

Floats = NDArray[np.float64]

TABLES_READ = ("expression", "observations", "gene_axis", "collections")


@dataclass(frozen=True)
class ReleasedExpression:
    """Expression and labels of one collection.

    Parameters
    ----------
    collection, unit
        Id of the collection; unit of the expression.
    about
        Its row of table `collections`.
    observations
        Rows of table `observations`, in the order of `expression`.
    genes
        Ensembl ids, in the order of its columns.
    expression
        Observations × genes.
    version
        Changes with the files that it was read from.
    """

    collection: str
    unit: str
    about: dict[str, object]
    observations: pl.DataFrame
    genes: tuple[str, ...]
    expression: sp.csr_matrix
    version: str

    @classmethod
    def read(cls, release: Resolved, collection: str) -> ReleasedExpression:
        """Read a collection.

        Parameters
        ----------
        release
            The release.
        collection
            Id of the collection.

        Returns
        -------
        ReleasedExpression
            In memory.

        Raises
        ------
        StoreError
            If the release has no such collection.
        """
        part = {"collection_id": collection}
        files = {name: released_files(release.manifest, name, part) for name in TABLES_READ}
        axis, about, observations = (
            pl.read_parquet(release.local_files(table, part), glob=False)
            for table in ("gene_axis", "collections", "observations")
        )
        genes = tuple(axis.sort("gene_index")["ensembl_gene_id"])
        ids, expression = expression_rows(release.local_files("expression", part), len(genes))
        ordered = pl.DataFrame({"observation_id": ids}).join(
            observations, on="observation_id", how="left", maintain_order="left"
        )
        version = sha256_of({name: [file.sha256 for file in of] for name, of in files.items()})
        row = about.row(0, named=True)
        return cls(collection, str(row["unit"]), row, ordered, genes, expression, version)

    @cached_property
    def label(self) -> str | None:
        """The finest column of labels; None if observations have none."""
        return label_of(self.observations)

    @cached_property
    def labels(self) -> NDArray[np.str_]:
        """Label of each observation; empty where it has none."""
        if self.label is None:
            return np.full(self.observations.height, "")
        return self.observations[self.label].fill_null("").to_numpy().astype(np.str_)

    @cached_property
    def types(self) -> tuple[str, ...]:
        """Labels of at least `FEWEST_OF_TYPE` observations, in order."""
        names, sizes = np.unique(self.labels, return_counts=True)
        often = sizes >= FEWEST_OF_TYPE
        return tuple(str(name) for name in names[often] if name)

    def similarity(self, genes: Vectors, texts: Sequence[NDArray[np.float32]]) -> Floats:
        """Similarity of each gene of the collection with texts.

        Parameters
        ----------
        genes
            Vectors of all genes of a space.
        texts
            For each text its phrasings, (n_phrasings, dimensions).

        Returns
        -------
        NDArray of float64
            Genes × texts; NaN for a gene without a vector.
        """
        return similarity_on_axis(genes.ids.tolist(), np.asarray(genes.matrix), self.genes, texts)
