"""Observations of a collection annotated with labels that somebody names, by their texts alone.

No label of an observation is read. How observations are scored for texts, and how sure an answer
is, is `genept.embeddings.text_readings.readings`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from genept.client.api import load_table
from genept.client.searching.search import SpaceSearch
from genept.common import StoreError
from genept.embeddings.text_readings import (
    LabelQuery,
    Structure,
    gene_weights,
    ids_of_names,
    label_queries,
    marker_matrix,
    read_observations,
    structure_of,
)

FEWEST_LABELS: Final = 2
SHOWN_GENES: Final = 5
ID: Final = "observation_id"

ROWS: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "observation_id": pl.String, "label": pl.String, "nearest": pl.String,
    "probability": pl.Float64, "published": pl.String,
}  # fmt: skip
EVIDENCE: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "label": pl.String, "meaning": pl.String, "terms": pl.List(pl.String),
    "observations": pl.Int64, "probability": pl.Float64,
    "expressed": pl.List(pl.String), "not_expressed": pl.List(pl.String),
    "genes": pl.List(pl.String), "published": pl.String, "published_share": pl.Float64,
}  # fmt: skip


@dataclass(frozen=True)
class TextAnnotation:
    """What observations are among labels that were named.

    Parameters
    ----------
    rows
        By observation: `label`, null for none of them; `nearest`, the best of them all the same;
        `probability` of that; and the `published` label, for comparison.
    probabilities
        `observation_id`, and a column for each label: of each observation they sum to 1.
    evidence
        By label: `meaning` and ontology `terms`; how many `observations` it is the label of, and
        their mean `probability`; markers that its texts name as `expressed` and `not_expressed`;
        the other `genes` that weigh most; the most frequent `published` label of these observations
        and its share.
    about
        Collection, kind, space and release.
    """

    rows: pl.DataFrame
    probabilities: pl.DataFrame
    evidence: pl.DataFrame
    about: dict[str, str]


def annotate_by_text(search: SpaceSearch, collection: str, labels: Sequence[str]) -> TextAnnotation:
    """Annotate the observations of a collection with labels, by their texts alone.

    Parameters
    ----------
    search
        A space of a release.
    collection
        Id of the collection.
    labels
        What observations may be: names, ids of ontology terms, or texts such as "CD14-positive
        monocyte that …". They are compared with each other, so name all that may occur.

    Returns
    -------
    TextAnnotation
        Probabilities were fitted on blood cells, and are too sure for bulk samples.

    Raises
    ------
    StoreError
        There is no such collection or ontology term, or there are fewer than two labels.
    """
    ontology = search.platform.ontology
    labels = [label.strip() for label in labels]
    _refuse_labels(labels, bool(ontology))
    of = search.expression_of(collection)
    queries = label_queries("", labels, ontology, of_field=None)
    if lost := [query.label for query in queries if _is_id(query.label) and not query.terms]:
        raise StoreError(
            f"no term {', '.join(lost)} in the ontologies that are read: GENEPT_LABEL_TEXTS names "
            "them, and `genept sources fetch cellxgene-ontology-guide` fetches their archive"
        )
    texts = [query.texts(ontology) for query in queries]
    similarity = of.similarity(search.genes, [search.embed(each) for each in texts])
    release = search.release.manifest.release_id
    names = load_table("gene_names", release=release, settings=search.platform.settings)
    markers = marker_matrix(texts, of.genes, ids_of_names(names.collect()))
    structure = structure_of(of.expression, of.unit)
    reading = read_observations(structure, similarity, markers)
    likely, answers = reading.probabilities, reading.answers
    named = np.array([*labels, None], dtype=object)
    rows = pl.DataFrame(
        {
            "observation_id": of.observations["observation_id"],
            "label": named[answers].tolist(),
            "nearest": named[reading.best].tolist(),
            "probability": likely.max(axis=1),
            "published": [str(label) or None for label in of.labels],
        },
        schema=ROWS,
    )
    columns = {label: likely[:, at] for at, label in enumerate(labels)}
    weights = gene_weights(similarity)
    symbols = dict(search.all_symbols.iter_rows())
    axis = [str(symbols.get(gene) or gene) for gene in of.genes]
    evidence = [
        _evidence(query, rows, _genes(axis, structure, weights[:, at], markers[:, at]))
        for at, query in enumerate(queries)
    ]
    return TextAnnotation(
        rows,
        pl.DataFrame({ID: rows[ID], **columns}),
        pl.DataFrame(evidence, schema=EVIDENCE),
        {
            "collection": collection, "kind": str(of.about["kind"]), "space": search.space,
            "release": release,
        },
    )  # fmt: skip


def _refuse_labels(labels: Sequence[str], has_terms: bool) -> None:
    doubled = sorted({label for label in labels if labels.count(label) > 1})
    if len(labels) < FEWEST_LABELS or doubled or not all(labels):
        wrong = f"{doubled[0]!r} is named twice" if doubled else f"{len(labels)} are named"
        wrong = wrong if all(labels) else "one of them is empty"
        raise StoreError(
            f"labels are compared with each other, so at least {FEWEST_LABELS} different ones are "
            f"needed, and better all that may occur: {wrong}"
        )
    if ID in labels:
        raise StoreError(f"a label cannot be called {ID}: the probabilities are beside that column")
    if not has_terms and any(map(_is_id, labels)):
        raise StoreError(
            "the ontologies are not on this machine: `genept sources fetch "
            "cellxgene-ontology-guide` fetches them, or name labels in words"
        )


def _is_id(label: str) -> bool:
    prefix, _, number = label.partition(":")
    return prefix.isupper() and number.isdigit()


def _genes(
    symbols: Sequence[str], structure: Structure, weights: Any, markers: Any
) -> dict[str, list[str]]:
    """Symbols of the genes that a label is read by."""
    measured = np.zeros(len(symbols), np.bool_)
    measured[structure.genes] = True

    def named(chosen: Any) -> list[str]:
        return [symbols[at] for at in chosen]

    heaviest = np.argsort(-np.where(measured & (markers == 0), weights, 0), kind="stable")
    return {
        "expressed": named(np.flatnonzero(measured & (markers > 0))),
        "not_expressed": named(np.flatnonzero(measured & (markers < 0))),
        "genes": named([at for at in heaviest[:SHOWN_GENES] if weights[at] > 0]),
    }


def _evidence(
    query: LabelQuery, rows: pl.DataFrame, genes: dict[str, list[str]]
) -> dict[str, object]:
    own = rows.filter(pl.col("label") == query.label)
    often = own["published"].value_counts(sort=True)
    most = often.row(0) if often.height else (None, 0)
    return {
        "label": query.label,
        "meaning": query.words,
        "terms": list(query.terms),
        "observations": own.height,
        "probability": own["probability"].mean(),
        **genes,
        "published": most[0],
        "published_share": most[1] / own.height if own.height else None,
    }
