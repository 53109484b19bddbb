"""Table `observation_descriptions`: every labelled group of every collection, in words.

What is read from the lake, and when it is built anew. How a group is described is in
`genept.embeddings.text_readings.group_statements`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import polars as pl
import pyarrow as pa
import scipy.sparse as sp

from genept.datasources import Collection
from genept.embeddings.collection_tables import CollectionTables
from genept.embeddings.expression import Block, expression_blocks
from genept.embeddings.representations import LABELS
from genept.embeddings.text_readings.description_inputs import (
    DescriptionInputs,
    read_description_inputs,
)
from genept.embeddings.text_readings.group_description import GroupDescription
from genept.embeddings.text_readings.group_effects import compare_labels
from genept.embeddings.text_readings.group_statements import describe_groups
from genept.schema.tables import TABLES
from genept.storage import Lake, NewPart, Origin, Part, sha256_of

TABLE: Final = "observation_descriptions"

DESCRIBED_BY: Final = (
    "genept.embeddings.pooling",
    "genept.collections.labels",
    "genept.embeddings.text_readings.collection_descriptions",
    "genept.embeddings.text_readings.description_inputs",
    "genept.embeddings.text_readings.directions",
    "genept.embeddings.text_readings.group_description",
    "genept.embeddings.text_readings.group_effects",
    "genept.embeddings.text_readings.group_statements",
    "genept.embeddings.text_readings.group_terms",
    "genept.embeddings.text_readings.label_meanings",
    "genept.embeddings.text_readings.lineages",
    "genept.embeddings.text_readings.readings",
    "genept.embeddings.text_readings.similarities",
    "genept.schema.tables",
)
"""Modules that decide what descriptions say, for the origin of what is made of them."""

_LIBRARIES: Final = ("numpy", "scipy")


def groupings(observations: pl.DataFrame) -> dict[str, list[str]]:
    """The labels whose values make groups.

    Parameters
    ----------
    observations
        Rows of table `observations` of one collection.

    Returns
    -------
    dict of str to list of str
        Values of each label that has two or more, or one and observations without it.
    """
    values = {label: observations[label].unique().sort().to_list() for label in LABELS}
    return {
        label: [value for value in own if value is not None]
        for label, own in values.items()
        if len(own) > 1
    }


def describe_label(
    inputs: DescriptionInputs,
    collection: str,
    unit: str,
    grouping: str,
    labels: pl.Series,
    axis: pl.DataFrame,
    blocks: Iterable[sp.csr_matrix],
) -> list[GroupDescription]:
    """Describe the groups that the values of one label make.

    Parameters
    ----------
    inputs
        What they are described in.
    collection, unit
        Id of the collection, and unit of its expression.
    grouping, labels
        Name of the label, and its value for each observation.
    axis
        Columns ``ensembl_gene_id`` and ``symbol``, in the order of ``gene_index``.
    blocks
        Expression in the order of the observations.

    Returns
    -------
    list of GroupDescription
        In order of the values.
    """
    values = labels.drop_nulls().unique().sort().to_list()
    effects = compare_labels(blocks, labels.to_list(), values, unit)
    symbols = dict(axis.select("ensembl_gene_id", "symbol").iter_rows())
    genes = axis["ensembl_gene_id"].to_list()
    vocabulary = inputs.vocabulary(collection, grouping, values, genes, symbols)
    return describe_groups(effects, vocabulary, collection, grouping, values)


def describe_collection(of: CollectionTables, collection: Collection) -> list[Part]:
    """Describe every labelled group of a collection, unless the lake holds it.

    Parameters
    ----------
    of
        Tables `observations`, `gene_axis`, `expression`, `gene_embeddings`, `gene_properties`,
        `gene_programs` and `program_terms`.
    collection
        The collection.

    Returns
    -------
    list of Part
        Its part of table `observation_descriptions`; none if no label makes groups.
    """
    return _described(of, collection, read_description_inputs(of))


def describe_collections(of: CollectionTables) -> dict[str, list[Part]]:
    """Describe every labelled group of every collection, unless the lake holds it.

    Parameters
    ----------
    of
        As of `describe_collection`.

    Returns
    -------
    dict of str to list of Part
        Parts by id of the collection.
    """
    known = read_description_inputs(of)
    return {it.id: _described(of, it, known) for it in of.ingested()}


def _described(
    of: CollectionTables,
    collection: Collection,
    known: tuple[Callable[[], DescriptionInputs], dict[str, str], str],
) -> list[Part]:
    lake, (read_inputs, inputs, space) = of.lake, known
    table, axis = of.tables["observations"].part(collection.id), of.axis(collection)
    shards = of.expression(collection)
    observations = lake.read(table, ["observation_id", *LABELS])
    if not groupings(observations):
        return []
    hashes = {"observations": table.sha256, "axis": axis.sha256}
    hashes |= {"expression": sha256_of([part.sha256 for part in shards])}
    settings = {"unit": collection.unit, "space": space}
    origin = Origin(DESCRIBED_BY, inputs | hashes, settings, _LIBRARIES)

    def compute() -> list[NewPart]:
        in_order, genes, blocks = located_expression(lake, table, axis, shards)
        rows = [
            row
            for grouping in groupings(observations)
            for it in describe_label(
                read_inputs(), collection.id, collection.unit,
                grouping, in_order[grouping], genes, blocks(),
            )
            for row in it.rows(space or None)
        ]  # fmt: skip
        return [NewPart(TABLE, rows_of(rows), (collection.id,))]

    return lake.build(f"descriptions/groups/{collection.id}", origin, compute)


def located_expression(
    lake: Lake, table: Part, axis: Part, shards: Sequence[Part]
) -> tuple[pl.DataFrame, pl.DataFrame, Callable[[], Iterator[sp.csr_matrix]]]:
    """Read a collection's labels in the order of its expression, which is read block by block.

    Parameters
    ----------
    lake
        Where the tables are stored.
    table, axis, shards
        The collection's parts of tables `observations`, `gene_axis` and `expression`.

    Returns
    -------
    observations : DataFrame
        Ids and labels, in the order of the blocks.
    genes : DataFrame
        Columns ``ensembl_gene_id`` and ``symbol``, in the order of the axis.
    blocks : callable
        Returns an iterator over observations × genes, each time it is called.
    """
    genes = lake.read(axis, ["gene_index", "ensembl_gene_id", "symbol"]).sort("gene_index")
    observations = lake.read(table, ["observation_id", *LABELS])

    def located() -> Iterator[Block]:
        for part in shards:
            yield from expression_blocks(lake, part, axis.rows)

    ids = [id_ for block, _ in located() for id_ in block]
    in_order = pl.DataFrame({"observation_id": ids}).join(
        observations, on="observation_id", how="left", maintain_order="left"
    )
    return in_order, genes, lambda: (block for _, block in located())


def rows_of(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows of table `observation_descriptions`, in order of its key.

    Parameters
    ----------
    rows
        As `GroupDescription.rows` returns them.

    Returns
    -------
    pa.Table
        As the table declares it.
    """
    key = TABLES[TABLE].key
    ordered = sorted(rows, key=lambda row: tuple(row[column] for column in key))
    return pa.Table.from_pylist(ordered, schema=TABLES[TABLE].schema())
