"""Gene programs of every space in the lake: members, shared terms, activity in cells.

The score is the share of programs whose genes share a term; the control is clusters of the same
sizes of genes drawn at random. Programs are computed in `genept.benchmarks.programs.gene_programs`.
"""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import numpy as np
import polars as pl

from genept.benchmarks.input_tables import LIBRARIES, SpaceVectors
from genept.benchmarks.label_tables import MEMBERSHIPS
from genept.benchmarks.programs.gene_programs import (
    DEALS,
    KEPT,
    LEVEL,
    Programs,
    activity,
    enrichment,
    find_programs,
    is_enriched,
)
from genept.benchmarks.scores import mean_score
from genept.benchmarks.task_base import GeneVectors, constant
from genept.embeddings import (
    CollectionParts,
    CollectionTables,
    axis_genes,
    embedding_matrix,
    expression_matrix,
    is_labelled,
)
from genept.storage import Lake, NewPart, Origin, Part, sha256_of

TASK: Final = "gene-programs"
SPLIT: Final = "size-matched-clusters"
_CODE: Final = (
    "genept.benchmarks.scores",
    "genept.benchmarks.task_base",
    "genept.benchmarks.programs.gene_programs",
    "genept.benchmarks.programs.program_task",
    "genept.embeddings.pooling",
    "genept.schema.tables",
)


def space_programs(
    lake: Lake, vectors: SpaceVectors, properties: pl.DataFrame, number: int = 0
) -> list[Part]:
    """Tables `gene_programs` and `program_terms` of one space, and its scores.

    A space whose texts state the terms is not scored on them; its programs are published.

    Parameters
    ----------
    lake
        Where parts of tables are kept.
    vectors
        Vectors of the space, and the parts of descriptions that its texts have.
    properties
        Table `gene_properties`, which holds the terms.
    number
        Of the piece of table `benchmark_results` that holds the scores.

    Returns
    -------
    list of Part
        Parts of `gene_programs`, `program_terms` and `benchmark_results`.
    """
    terms = properties.filter(pl.col("task").is_in(list(MEMBERSHIPS)))
    read = terms.select("task", "ensembl_gene_id", "label").sort(pl.all())
    inputs = {vectors.space.id: vectors.part.sha256, "terms": sha256_of(read.write_csv())}
    origin = Origin(_CODE, inputs, {"tells": sorted(vectors.tells), "number": number}, LIBRARIES)

    def compute() -> list[NewPart]:
        rows = lake.read_arrow(vectors.part, ["ensembl_gene_id", "symbol", "embedding"])
        genes = tuple(rows["ensembl_gene_id"].to_pylist())
        programs = find_programs(GeneVectors(vectors.space.id, genes, embedding_matrix(rows)))
        shared_terms, scores = [], []
        for task, members in read.group_by("task", maintain_order=True):
            enriched = enrichment(programs, members)
            sure = enriched.filter(pl.col("q") < LEVEL).group_by("program", maintain_order=True)
            shared_terms.append(sure.head(KEPT).with_columns(kind=pl.lit(task[0])))
            stated = {part.partition("<")[0] for part in vectors.tells}
            if MEMBERSHIPS[str(task[0])] not in stated:
                scores += _scored(vectors.space.id, str(task[0]), programs, enriched, members)
        placed = {
            "program": programs.of_gene,
            "ensembl_gene_id": genes,
            "symbol": rows["symbol"].to_pylist(),
            "similarity": programs.similarity,
        }
        tables = {"gene_programs": pl.DataFrame(placed)}
        if shared_terms:
            tables["program_terms"] = pl.concat(shared_terms)
        space = vectors.space.id
        return [
            *(
                NewPart(name, constant(rows, space=space), (space,))
                for name, rows in tables.items()
            ),
            *(
                NewPart("benchmark_results", pl.DataFrame(list(rows)), (TASK, kind), number=number)
                for kind, rows in groupby(scores, itemgetter("dataset"))
            ),
        ]

    return lake.build(f"benchmarks/{TASK}/{vectors.space.id}", origin, compute)


def _scored(
    space: str, task: str, programs: Programs, enriched: pl.DataFrame, members: pl.DataFrame
) -> list[dict[str, Any]]:
    dealt = [programs.dealt(seed) for seed in range(DEALS)]
    by_chance = [is_enriched(drawn, enrichment(drawn, members)) for drawn in dealt]
    hits = {space: is_enriched(programs, enriched), f"{space}@shuffled": np.concatenate(by_chance)}
    return [
        {
            "task": TASK,
            "dataset": task,
            "representation": name,
            "model": "k-means",
            "split": SPLIT,
            "metric": "share_enriched",
            "is_control": name != space,
            **asdict(mean_score(hit, np.arange(len(hit)), seed=0)),
        }
        for name, hit in hits.items()
    ]


def programs_of_spaces(
    lake: Lake, spaces: Sequence[SpaceVectors], properties: pl.DataFrame
) -> list[Part]:
    """Tables `gene_programs` and `program_terms` of every space that is not a control, and scores.

    Parameters
    ----------
    lake
        Where parts of tables are kept.
    spaces
        Vectors of the spaces.
    properties
        Table `gene_properties`, which holds the terms.

    Returns
    -------
    list of Part
        Parts of `gene_programs`, `program_terms` and `benchmark_results`.
    """
    entrants = [vectors for vectors in spaces if not vectors.space.is_control]
    return [
        part
        for number, vectors in enumerate(entrants)
        for part in space_programs(lake, vectors, properties, number)
    ]


def activity_of_programs(of: CollectionTables, parts: Sequence[Part]) -> list[Part]:
    """Table `program_activity` of every space's programs in every collection of typed cells.

    Parameters
    ----------
    of
        The collections and their tables.
    parts
        As `programs_of_spaces` returns them.

    Returns
    -------
    list of Part
        Parts of `program_activity`.
    """
    programs = [part for part in parts if part.table == "gene_programs"]
    active: list[Part] = []
    for collection in of.ingested("single_cell"):
        read = of.parts(collection)
        if is_labelled(of.lake, read.observations, "cell_type"):
            active += [
                program_activity(of.lake, part, collection.id, collection.unit, read)
                for part in programs
            ]
    return active


def program_activity(
    lake: Lake, programs: Part, collection: str, unit: str, parts: CollectionParts
) -> Part:
    """Table `program_activity` of one space's programs in one single-cell collection.

    Parameters
    ----------
    lake
        Where parts of tables are kept.
    programs
        The space's part of table `gene_programs`.
    collection
        Id of the collection.
    unit
        Unit of its expression.
    parts
        Tables of the collection.

    Returns
    -------
    Part
        Part of table `program_activity`.
    """
    (space,) = programs.partition
    inputs = {name: parts.inputs[name] for name in ("observations", "axis", "expression")}
    inputs["programs"] = programs.sha256
    origin = Origin(_CODE, inputs, {"unit": unit}, LIBRARIES)

    def compute() -> list[NewPart]:
        rows = lake.read(programs)
        in_space = Programs(
            tuple(rows["ensembl_gene_id"]),
            rows["program"].to_numpy(),
            rows["similarity"].to_numpy(),
        )
        cells = lake.read(parts.observations).sort("observation_id")
        _, counts = expression_matrix(lake, parts.expression, parts.axis.rows)
        genes = axis_genes(lake, parts.axis)
        typed = cells["cell_type"].is_not_null().to_numpy()
        types = cells["cell_type"].drop_nulls().to_list()
        active = activity(in_space, counts[typed], genes, types, unit)
        placed = constant(active, space=space, collection_id=collection)
        return [NewPart("program_activity", placed, (space, collection))]

    (part,) = lake.build(f"benchmarks/program-activity/{collection}/{space}", origin, compute)
    return part
