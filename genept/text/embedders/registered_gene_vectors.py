"""Registered gene vectors: users' existing tables of vectors, as spaces that releases hold.

A registration is a declaration and the content that it names by hash, both in the bucket. What is
registered is never rewritten; removing it removes the declaration, not what was released.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from genept.common import ConflictError, SourceError, StoreError
from genept.datasources.readers import VectorTable, unit_vectors
from genept.nomenclature import Nomenclature
from genept.schema.tables import TABLES
from genept.storage import Lake, NewPart, ObjectStore, Origin, Part, declare, read_declarations
from genept.text.embedders.spaces import Space, space_of

_BY_ID: Final = ("exact", "ensembl_id", "version_stripped")
SHOWN: Final = 5


class RegisteredSpace(BaseModel):
    """The declaration of a registered table of gene vectors.

    Parameters
    ----------
    id
        Id of the space.
    table_sha256
        SHA-256 of the stored table, which is part of its key.
    dimensions, genes
        Length of the vectors, and number of genes with one.
    outcomes
        Number of names in the user's file by outcome of their mapping.
    superseded
        Number of names that map to a gene whose vector came from another name.
    longest, shortest
        Largest and smallest Euclidean length in the user's file.
    file, file_sha256
        Name and SHA-256 of that file.
    reference_release
        Release of the gene reference that names were mapped with.
    citation, licence, redistributable
        Terms of use.
    registered
        When, in UTC.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    table_sha256: str
    dimensions: int
    genes: int
    outcomes: dict[str, int]
    superseded: int
    longest: float
    shortest: float
    file: str
    file_sha256: str
    reference_release: str
    citation: str
    licence: str = "not stated"
    redistributable: bool = False
    registered: datetime

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


def registered_spaces(store: ObjectStore, product: str) -> list[RegisteredSpace]:
    """List the registered spaces.

    Parameters
    ----------
    store
        The bucket.
    product
        Key prefix of the installation.

    Returns
    -------
    list of RegisteredSpace
        Sorted by id.
    """
    return read_declarations(store, f"{product}/spaces/declarations/", RegisteredSpace, "space")


def register(
    store: ObjectStore,
    product: str,
    id_: str,
    mapped: Mapped,
    *,
    file: str,
    file_sha256: str,
    reference_release: str,
    citation: str,
    licence: str = "not stated",
    redistributable: bool = False,
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
    file, file_sha256
        Name and hash of the table they come from.
    reference_release
        The reference that the names were mapped with.
    citation, licence, redistributable
        Terms of the vectors, and whether they allow a release to be passed on.

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
    content = _content(mapped)
    declared = RegisteredSpace(
        id=id_,
        table_sha256=hashlib.sha256(content).hexdigest(),
        dimensions=int(mapped.vectors.shape[1]),
        genes=mapped.genes.height,
        outcomes=mapped.outcomes,
        superseded=mapped.superseded,
        shortest=mapped.lengths[0],
        longest=mapped.lengths[1],
        file=file,
        file_sha256=file_sha256,
        reference_release=reference_release,
        citation=citation,
        licence=licence,
        redistributable=redistributable,
        registered=datetime.now(UTC),
    )
    space = declared.space  # refuses what is no id, before anything is written
    store.put_if_absent(_table_key(product, declared.table_sha256), content)
    try:
        declare(store, _declaration_key(product, space.id), declared)
    except ConflictError:
        raise StoreError(
            f"a space {id_!r} is registered already, and what is registered is not rewritten: "
            "choose another id, or remove it first"
        ) from None
    return declared


def remove(store: ObjectStore, product: str, id_: str) -> None:
    """Remove a declaration: the next release does not hold the space.

    Parameters
    ----------
    store
        The bucket.
    product
        Key prefix of the installation.
    id_
        Id of the space.

    Raises
    ------
    StoreError
        No such space is registered.
    """
    known = {declared.id for declared in registered_spaces(store, product)}
    if id_ not in known:
        raise StoreError(f"no space {id_!r} is registered; there are {sorted(known) or 'none'}")
    store.delete([_declaration_key(product, id_)])


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
    sha256 = str(space.table)
    origin = Origin(
        code=("genept.text.embedders.registered_gene_vectors", "genept.schema.tables"),
        inputs={"vectors": sha256},
        settings={"space": space.id, **_terms(lake.store, product, space.id)},
    )

    def compute() -> list[NewPart]:
        key = _table_key(product, sha256)
        content = lake.store.get(key)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise StoreError(
                f"{lake.store.uri(key)} is damaged: its content does not match its name; remove "
                f"space {space.id!r} and add it again"
            )
        rows = pq.read_table(pa.BufferReader(content))
        dimensions = rows["embedding"].type.list_size
        schema = TABLES["gene_embeddings"].schema(dimensions)
        filled = pa.table(
            [
                pa.array([space.id] * rows.num_rows),
                rows["ensembl_gene_id"],
                rows["symbol"],
                rows["embedding"].cast(schema.field("embedding").type),
                pa.nulls(rows.num_rows, pa.string()),
            ],
            names=schema.names,
        )
        return [NewPart("gene_embeddings", filled, (space.id,), dimensions)]

    (part,) = lake.build(f"gene_embeddings/{space.id}", origin, compute)
    return part


def _content(mapped: Mapped) -> bytes:
    flat = pa.array(mapped.vectors.ravel())
    rows = pa.table(
        {
            "ensembl_gene_id": mapped.genes["ensembl_gene_id"].to_arrow().cast(pa.string()),
            "symbol": mapped.genes["symbol"].to_arrow().cast(pa.string()),
            "embedding": pa.FixedSizeListArray.from_arrays(flat, mapped.vectors.shape[1]),
        }
    )
    body = io.BytesIO()
    pq.write_table(rows, body, compression="zstd")
    return body.getvalue()


def _terms(store: ObjectStore, product: str, id_: str) -> dict[str, object]:
    """The licence of a space's vectors, as settings of their origin; read by `genept.release`."""
    for declared in registered_spaces(store, product):
        if declared.id == id_:
            return {"licence": declared.licence, "redistributable": declared.redistributable}
    raise StoreError(f"no space {id_!r} is registered: add it with `genept spaces add`")


def _declaration_key(product: str, id_: str) -> str:
    return f"{product}/spaces/declarations/{id_}.json"


def _table_key(product: str, sha256: str) -> str:
    return f"{product}/spaces/tables/{sha256}.parquet"
