"""A published collection as AnnData: what scanpy and its relatives read.

Only the translation; which files there are, and reading vectors, is `genept.client.api`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import scipy.sparse as sp

from genept.client.api import released_files, released_vectors
from genept.client.release_lookup import LATEST, Resolved, resolve
from genept.common import Settings
from genept.embeddings import csr_of

if TYPE_CHECKING:
    from anndata import AnnData


def load_anndata(
    collection: str,
    *,
    space: str | None = None,
    method: str = "genept-w",
    release: str = LATEST,
    settings: Settings | None = None,
) -> AnnData:
    """A collection as AnnData: expression as CSR, labels, genes, and its vectors in a space.

    Parameters
    ----------
    collection
        Id of the collection.
    space
        Id of the space whose vectors are added; None: none are.
    method
        How genes were combined into the vectors.
    release, settings
        As for `genept.load_table`.

    Returns
    -------
    AnnData
        `X` observations × genes, float32, in the collection's unit (`uns["unit"]`); `obs` the
        labels; `var` the genes by Ensembl id; with a space, `obsm["X_genept"]` the vectors, NaN
        for an observation without one.

    Raises
    ------
    StoreError
        If there is no such collection, space or release.
    """
    import anndata

    found = resolve(release, settings)
    obs = _read(found, "observations", collection).sort("observation_id")
    var = _read(found, "gene_axis", collection).sort("gene_index")
    (about,) = _read(found, "collections", collection).to_dicts()
    ids, matrix = _expression(found, collection, var.height)
    order = pl.DataFrame({"observation_id": ids}).with_row_index("at")
    rows = obs.join(order, on="observation_id", how="left", maintain_order="left")["at"].to_numpy()
    made = anndata.AnnData(
        X=matrix if np.array_equal(rows, np.arange(len(ids))) else matrix[rows],
        obs=obs.drop("collection_id").to_pandas().set_index("observation_id"),
        var=var.drop("collection_id").to_pandas().set_index("ensembl_gene_id"),
        uns={
            "release": found.manifest.release_id,
            **{name: about[name] for name in ("unit", "licence", "citation", "title")},
        },
    )
    if space is not None:
        vectors = released_vectors(found, "gene_embeddings", space, collection, method)
        placed = np.full((obs.height, vectors.matrix.shape[1]), np.nan, dtype=np.float32)
        at = {id_: row for row, id_ in enumerate(obs["observation_id"])}
        placed[[at[str(id_)] for id_ in vectors.ids]] = vectors.matrix
        made.obsm["X_genept"] = placed
        made.uns["space"] = space
    return made


def _read(found: Resolved, table: str, collection: str) -> pl.DataFrame:
    chosen = released_files(found.manifest, table, {"collection_id": collection})
    files = [found.releases.files.local(found.manifest, one) for one in chosen]
    return pl.read_parquet(files, glob=False)


def _expression(found: Resolved, collection: str, n_genes: int) -> tuple[list[str], sp.csr_matrix]:
    """Observation ids and their expression, file by file and row group by row group."""
    ids: list[str] = []
    blocks = []
    for file in released_files(found.manifest, "expression", {"collection_id": collection}):
        with pq.ParquetFile(found.releases.files.local(found.manifest, file)) as parquet:
            for group in range(parquet.num_row_groups):
                rows = parquet.read_row_group(group, ["observation_id", "gene_index", "value"])
                ids += rows["observation_id"].to_pylist()
                blocks.append(csr_of(rows, n_genes))
    return ids, sp.csr_matrix(sp.vstack(blocks, format="csr"))
