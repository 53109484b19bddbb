"""The cells of the ingested collections, scored one collection after the other, or why not.

What is scored of a collection is in `genept.benchmarks.cells.cell_task`.
"""

from collections.abc import Callable
from dataclasses import replace

from genept.benchmarks.cells.cell_task import score_cells, too_few_cells
from genept.benchmarks.cells.types_by_genes import TextInputs
from genept.datasources import Collection
from genept.embeddings import CollectionTables
from genept.storage import Part


def score_collection(
    of: CollectionTables,
    collection: Collection,
    *,
    advance: Callable[[str], None],
) -> tuple[list[Part], dict[str, str]]:
    """Score the cells of one collection in every representation that has most of them.

    Parameters
    ----------
    of
        Tables of the collection.
    collection
        The collection; of bulk samples nothing is scored here.
    advance
        Called with a sentence on the next step.

    Returns
    -------
    parts : list of Part
        As `score_cells` returns them; none if there are too few cells.
    remarks : dict
        Why the collection, or ``collection/representation``, was not scored.
    """
    if collection.kind != "single_cell":
        return [], {"unscored": "bulk samples: their models are scored in group models"}
    parts = of.parts(collection)
    if reason := too_few_cells(of.lake, parts.observations, parts.axis):
        return [], {collection.id: reason}
    parts, left_out = of.with_further(parts, collection)
    circular = {space for space in parts.embeddings if collection.id in space.collections}
    parts = replace(
        parts, embeddings={it: own for it, own in parts.embeddings.items() if it not in circular}
    )
    left_out |= {
        f"{collection.id}/{space.id}": "it is made of the expression of these cells"
        for space in circular
    }
    texts = TextInputs(
        {space: of.gene_vectors[space.id] for space in parts.embeddings if space.is_text},
        of.embed_names, of.ontology(), of.ontology_version, of.tables["gene_names"].part(),
    )  # fmt: skip
    scored = score_cells(
        *(of.lake, collection.id, collection.unit, parts),
        embed_names=of.embed_names, texts=texts, advance=advance,
    )  # fmt: skip
    return scored, left_out


def score_collections(
    of: CollectionTables,
    *,
    advance: Callable[[str], None],
) -> tuple[dict[str, list[Part]], dict[str, str]]:
    """Score the cells of every single-cell collection.

    Parameters
    ----------
    of
        The collections and their tables.
    advance
        Called with a sentence on the next step.

    Returns
    -------
    parts : dict
        Parts by id of the collection, and remarks, as `score_collection` returns them.
    remarks : dict
        Of all collections.
    """
    parts: dict[str, list[Part]] = {}
    remarks: dict[str, str] = {}
    for collection in of.ingested("single_cell"):
        parts[collection.id], unscored = score_collection(of, collection, advance=advance)
        remarks |= unscored
    return parts, remarks
