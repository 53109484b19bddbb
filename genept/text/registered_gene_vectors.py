"""Registered gene vectors: users' existing tables of vectors, as spaces that releases hold.

A registration is a declaration and a table that it names by hash; both are kept as
`genept.storage.registrations` says. Vectors of observations are in `genept.embeddings`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from genept.common import SourceError, StoreError
from genept.datasources.readers import VectorTable, unit_vectors
from genept.nomenclature import Nomenclature
from genept.storage import (
    Lake,
    NewPart,
    ObjectStore,
    Origin,
    Part,
    Registrations,
    VectorFile,
    get_table,
)
from genept.text.embedders import Space, embedding_column, space_of
from genept.text.gene_vectors import StoredVectors, gene_embedding_rows, stored_vectors

_BY_ID: Final = ("exact", "ensembl_id", "version_stripped")
SHOWN: Final = 5


class RegisteredSpace(StoredVectors):
    """The declaration of a registered table of gene vectors.

    Parameters
    ----------
    id
        Id of the space.
    genes
        Number of genes with a vector.
    outcomes
        Number of names in the user's file by outcome of their mapping.
    superseded
        Number of names that map to a gene whose vector came from another name.
    reference_release
        Release of the gene reference that names were mapped with.
    """

    id: str
    genes: int
    outcomes: dict[str, int]
    superseded: int
    reference_release: str

    @property
    def space(self) -> Space:
        """The space that it declares."""
        return space_of(self.id, table=self.table_sha256)


@dataclass(frozen=True)
class Mapped:
    """Vectors by gene, and the mapping of the table's names.

    Parameters
    ----------
    genes
        ensembl_gene_id and symbol, sorted by id.
    vectors
        Genes × dimensions, float32, unit length.
    names
        input_id, outcome, ensembl_gene_id, evidence and `used`, of every name.
    lengths
        Shortest and longest vector as published.
    """

    genes: pl.DataFrame
    vectors: npt.NDArray[np.float32] = field(repr=False)
    names: pl.DataFrame
    lengths: tuple[float, float]

    @property
    def outcomes(self) -> dict[str, int]:
        """Number of names by outcome."""
        return dict(self.names["outcome"].value_counts(sort=True).iter_rows())

    @property
    def superseded(self) -> int:
        """Number of names that mean a gene for which a better name was used."""
        return int((self.names["ensembl_gene_id"].is_not_null() & ~self.names["used"]).sum())


def map_vectors(table: VectorTable, nomenclature: Nomenclature, genes: pl.DataFrame) -> Mapped:
    """Map the vectors of a table to genes.

    If several names mean one gene, its approved symbol or id is preferred to an alias, and equal
    vectors count as one; names of the same rank with different vectors leave the gene without one.

    Parameters
    ----------
    table
        Names and vectors.
    nomenclature
        Maps names.
    genes
        Table `genes`.

    Returns
    -------
    Mapped
        Vectors at unit length.

    Raises
    ------
    SourceError
        A name occurs twice, a vector is not finite or all zero, or no name means a gene.
    """
    units, lengths = unit_vectors(table)
    names = nomenclature.map(table.names).rows.with_row_index("row")
    known = genes.select("ensembl_gene_id", "symbol")
    ranked = (
        names.join(known, on="ensembl_gene_id")
        .with_columns(rank=pl.when(pl.col("outcome").is_in(_BY_ID)).then(0).otherwise(1))
        .filter(pl.col("rank") == pl.col("rank").min().over("ensembl_gene_id"))
        .sort("ensembl_gene_id", "row")
    )
    rows = [
        group["row"][0]
        for group in ranked.partition_by("ensembl_gene_id", maintain_order=True)
        if (units[group["row"].to_list()] == units[group["row"][0]]).all()
    ]
    if not rows:
        raise SourceError(
            f"none of {len(table.names):,} names means a gene; such as "
            f"{', '.join(map(repr, table.names[:SHOWN]))}: expected symbols or Ensembl ids"
        )
    used = ranked.filter(pl.col("row").is_in(rows)).select("row", "ensembl_gene_id", "symbol")
    return Mapped(
        genes=used.drop("row"),
        vectors=units[used["row"].to_list()],
        names=names.with_columns(used=pl.col("row").is_in(rows)).drop("row"),
        lengths=(float(lengths.min()), float(lengths.max())),
    )


def registered_spaces(store: ObjectStore, product: str) -> Registrations[RegisteredSpace]:
    """Open the registered spaces.

    Parameters
    ----------
    store
        The bucket.
    product
        Key prefix of the installation.

    Returns
    -------
    Registrations of RegisteredSpace
        By id of the space.
    """
    return Registrations(store, f"{product}/spaces/declarations/", RegisteredSpace, "space")


def register_space(
    store: ObjectStore,
    product: str,
    id_: str,
    mapped: Mapped,
    *,
    file: VectorFile,
    reference_release: str,
) -> RegisteredSpace:
    """Store mapped vectors and declare them as a space.

    Parameters
    ----------
    store
        The bucket.
    product
        Key prefix of the installation.
    id_
        Id of the space.
    mapped
        The vectors.
    file
        The table they come from, and its terms.
    reference_release
        The reference that the names were mapped with.

    Returns
    -------
    RegisteredSpace
        The declaration.

    Raises
    ------
    ValueError
        `id_` is not an id of a space.
    StoreError
        The id is taken.
    """
    id_ = space_of(id_, table="new").id  # refuses what is no id, before anything is written
    names = {column.name: column.to_arrow().cast(pa.string()) for column in mapped.genes}
    rows = pa.table(names | {"embedding": embedding_column(mapped.vectors)})
    declared = RegisteredSpace(
        **file.model_dump(),
        **stored_vectors(store, product, rows, mapped.lengths),
        id=id_,
        genes=mapped.genes.height,
        outcomes=mapped.outcomes,
        superseded=mapped.superseded,
        reference_release=reference_release,
    )
    return registered_spaces(store, product).add(id_, declared)


def release_registered_space(lake: Lake, space: Space, *, product: str) -> Part:
    """Build the part of table `gene_embeddings` of a registered space, unless the lake holds it.

    Parameters
    ----------
    lake
        Where the table is stored.
    space
        A registered space.
    product
        Key prefix of the installation.

    Returns
    -------
    Part
        Its vectors.

    Raises
    ------
    StoreError
        The stored content is damaged, or the space is not registered.
    """
    declared = registered_spaces(lake.store, product).find(space.id)
    if declared is None:
        raise StoreError(f"no space {space.id!r} is registered: add it with `genept spaces add`")
    origin = Origin(
        code=("genept.text.registered_gene_vectors", "genept.schema.tables"),
        inputs={"vectors": str(space.table)},
        # The terms are read by `genept.release`.
        settings={"space": space.id} | declared.model_dump(include={"licence", "redistributable"}),
    )

    def compute() -> list[NewPart]:
        key = f"{product}/spaces/tables/{space.table}.parquet"
        rows = get_table(lake.store, key, f"remove space {space.id!r} and add it again")
        texts = pa.nulls(rows.num_rows, pa.string())
        ids, symbols, vectors = rows.select(["ensembl_gene_id", "symbol", "embedding"]).columns
        return [gene_embedding_rows(space, ids, symbols, vectors, texts)]

    (part,) = lake.build(f"gene_embeddings/{space.id}", origin, compute)
    return part
