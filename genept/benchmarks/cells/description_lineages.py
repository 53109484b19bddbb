"""Whether descriptions rank the terms of a group's own lineage above those of other lineages.

For every label that makes groups, of cells and of samples. Controls: the same lineage among the
scores of the other groups, and effects dealt to other genes. The scores are computed in
`genept.embeddings.text_readings`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import polars as pl

from genept.benchmarks.input_tables import LIBRARIES
from genept.datasources import Collection
from genept.embeddings import CollectionTables
from genept.embeddings.text_readings import (
    DESCRIBED_BY,
    DescriptionInputs,
    LineageBar,
    Lineages,
    compare_labels,
    groupings,
    label_queries,
    lineage_bar,
    located_expression,
    read_description_inputs,
)
from genept.storage import NewPart, Origin, Part, sha256_of

LINEAGE_TASK: Final = "description-lineages"
MODEL: Final = "competitive-mean-test"
METRIC: Final = "auroc"

OTHERS: Final = "@other-groups"
SHUFFLED: Final = "@shuffled"

_CODE: Final = ("genept.benchmarks.cells.description_lineages", *DESCRIBED_BY)


def lineage_parts(of: CollectionTables) -> list[Part]:
    """Scores of the descriptions of every collection, unless the lake holds them.

    Parameters
    ----------
    of
        Tables `observations`, `gene_axis`, `expression`, `gene_embeddings`, `gene_properties`.

    Returns
    -------
    list of Part
        Parts of `benchmark_results`; none of a collection whose labels have no lineages.
    """
    inputs, hashes, space = read_description_inputs(of)
    return [
        part
        for collection in of.ingested()
        for part in _scored(of, collection, inputs, hashes, space)
    ]


def _scored(
    of: CollectionTables,
    collection: Collection,
    inputs: Callable[[], DescriptionInputs],
    hashes: Mapping[str, str],
    space: str,
) -> list[Part]:
    lake, axis = of.lake, of.axis(collection)
    table, shards = of.tables["observations"].part(collection.id), of.expression(collection)
    read = {"observations": table.sha256, "axis": axis.sha256}
    read |= {"expression": sha256_of([part.sha256 for part in shards])}
    settings = {"unit": collection.unit, "space": space}
    origin = Origin(_CODE, {**hashes, **read}, settings, LIBRARIES)

    def compute() -> list[NewPart]:
        observations, genes, blocks = located_expression(lake, table, axis, shards)
        rows: list[dict[str, Any]] = []
        for grouping, values in groupings(observations).items():
            labels = observations[grouping].to_list()
            effects = compare_labels(blocks(), labels, values, collection.unit)
            vocabulary = inputs().vocabulary(
                collection.id, grouping, values, genes["ensembl_gene_id"].to_list(), {}
            )
            lineages = Lineages(inputs().ontology)
            ontology = inputs().ontology
            queries = label_queries(collection.id, values, ontology, of_field=grouping)
            for kind, sets in vocabulary.sets(effects).items():
                own = (
                    lineages.own(queries, sets.names)
                    if kind == "label"
                    else lineages.named(queries, sets.names)
                )
                bar = lineage_bar(effects, sets, own, values)
                if bar is not None:
                    name = f"{space}:labels" if kind == "label" else "go-terms"
                    rows += _rows(collection.id, grouping, name, bar)
        if not rows:
            return []
        return [NewPart("benchmark_results", pl.DataFrame(rows), (LINEAGE_TASK, collection.id))]

    return lake.build(f"benchmarks/{LINEAGE_TASK}/{collection.id}", origin, compute)


def _rows(collection: str, grouping: str, name: str, bar: LineageBar) -> list[dict[str, Any]]:
    shown = {"own": name, "others": f"{name}{OTHERS}", "shuffled": f"{name}{SHUFFLED}"}
    return [
        {
            "task": LINEAGE_TASK, "dataset": collection, "representation": shown[what],
            "model": MODEL, "split": grouping, "metric": METRIC,
            "value": value, "ci_low": low, "ci_high": high,
            "n": len(bar.labels), "is_control": what != "own",
        }
        for what, (value, low, high) in bar.scores.items()
    ]  # fmt: skip
