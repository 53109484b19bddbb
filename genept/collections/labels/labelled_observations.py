"""Observations with the ontology terms that their labels mean, and how each label was mapped.

A step of its own after the ingest: what a label means may change without reading a file again.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import polars as pl

from genept.collections.labels.label_mapping import (
    FIELDS,
    LabelMapper,
    MappedLabel,
    prefix_of,
)
from genept.datasources import Collection
from genept.schema.tables import TABLES
from genept.storage import Lake, NewPart, Origin, Part

READ: Final = "read_observations"
METADATA: Final = "observation_metadata"

PUBLISHED_IDS: Final[Mapping[str, tuple[str, ...]]] = {
    "cell_type": ("cell_type_ontology_term_id",),
    "tissue": ("tissue_ontology_term_id",),
    "diagnosis": ("disease_ontology_term_id",),
    "assay": ("assay_ontology_term_id",),
    "sex": ("sex_ontology_term_id",),
    "development_stage": ("development_stage_ontology_term_id",),
    "cell_line": ("rrid", "cellosaurus_id"),
}
"""Fields in which authors give the term of a label themselves, in lower case."""

LABEL_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "assay": ("assay",),
    "sex": ("sex", "gender"),
    "development_stage": ("development_stage",),
    "cell_line": ("cell_line", "celllinename", "cell_line_name", "sample_name", "cell line"),
}
"""Fields that authors call a label, in lower case: the first that there is."""

LINE_IDS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "depmap_id": (r"^ACH-\d{6}$", ("modelid", "depmap_id", "depmapid")),
    "sanger_id": (r"^SIDM\d{5}$", ("sangermodelid", "sanger_model_id")),
    "cosmic_id": (r"^\d+$", ("cosmicid", "cosmic_id", "cosmic_identifier")),
}
"""Form of other ids of cell lines, and fields in which authors give them, in lower case."""

_LINES: Final = "cell line"
"""Axis of groups of collections whose groups are cell lines."""


@dataclass(frozen=True)
class Ontologies:
    """The ontologies that labels are mapped to.

    Parameters
    ----------
    version
        Changes with them; empty where their archive is not available.
    mapper
        Reads them when it is called first.
    """

    version: str = ""
    mapper: Callable[[], LabelMapper] = lambda: LabelMapper({})


def label_observations(
    lake: Lake, collection: Collection, parts: Sequence[Part], ontologies: Ontologies
) -> list[Part]:
    """Build a collection's parts of `observations` and `label_mapping`, unless the lake has them.

    Parameters
    ----------
    lake
        Where parts are kept.
    collection
        Its catalogue entry.
    parts
        Its parts of `read_observations` and `observation_metadata`, among others.
    ontologies
        What its labels may mean.

    Returns
    -------
    list of Part
        One of each table.
    """
    (read,) = (part for part in parts if part.table == READ)
    metadata = [part for part in parts if part.table == METADATA]
    origin = Origin(
        code=("genept.collections.labels", "genept.schema.tables"),
        inputs={
            "observations": read.sha256,
            "metadata": ", ".join(part.sha256 for part in metadata),
            "ontologies": ontologies.version,
        },
        settings={"collection": collection.id, "group_axis": collection.group_axis},
    )

    def compute() -> Iterator[NewPart]:
        fields = [_asked_for(lake.read(part)) for part in metadata]
        labelled, mapping = with_terms(
            collection.id,
            lake.read(read),
            fields[0] if fields else None,
            ontologies.mapper(),
            lines=collection.group_axis == _LINES,
        )
        partition = (collection.id,)
        yield NewPart("observations", labelled, partition)
        yield NewPart("label_mapping", mapping, partition)

    return lake.build(f"labels/{collection.id}", origin, compute)


def with_terms(
    collection: str,
    observations: pl.DataFrame,
    metadata: pl.DataFrame | None,
    mapper: LabelMapper,
    *,
    lines: bool = False,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Map the labels of observations.

    Parameters
    ----------
    collection
        Id of the collection.
    observations
        Rows of table `read_observations`.
    metadata
        Column ``observation_id``, and fields of the author's by their name in lower case.
    mapper
        Maps labels.
    lines
        Whether groups are cell lines: without a field that names them, their ids do.

    Returns
    -------
    observations, label_mapping : pl.DataFrame
        Rows of these tables.
    """
    if metadata is not None:
        fields = observations.select("observation_id").join(
            metadata, on="observation_id", how="left", maintain_order="left"
        )
    else:
        fields = observations.select("observation_id")
    named = {name: _first(fields, names) for name, names in LABEL_FIELDS.items()}
    if lines:
        named["cell_line"] = pl.select(
            pl.coalesce(named["cell_line"], observations["group_id"])
        ).to_series()
    observations = observations.with_columns(**named)
    mapped: dict[str, list[MappedLabel]] = {}
    for field in FIELDS:
        published = _published(fields, observations[field], field)
        labels = observations[field].drop_nulls().unique().sort().to_list()
        by_name = mapper.map_labels(collection, field, labels)
        mapped[field] = [mapper.as_published(field, it, published.get(it.label)) for it in by_name]
    ids = {name: _line_ids(fields, name) for name in LINE_IDS}
    labelled = observations.with_columns(**_terms(observations, mapped), **ids).select(
        column.name for column in TABLES["observations"].columns
    )
    return labelled, _mapping_rows(collection, observations, mapped, mapper)


def _asked_for(rows: pl.DataFrame) -> pl.DataFrame:
    """Those fields that are looked at, as columns."""
    wanted = {name for names in (*PUBLISHED_IDS.values(), *LABEL_FIELDS.values()) for name in names}
    wanted |= {name for _, names in LINE_IDS.values() for name in names}
    lower = rows.with_columns(pl.col("field").str.to_lowercase())
    lower = lower.filter(pl.col("field").is_in(list(wanted)))
    return lower.unique(["observation_id", "field"], keep="first", maintain_order=True).pivot(
        "field", index="observation_id", values="value"
    )


def _first(fields: pl.DataFrame, names: Sequence[str]) -> pl.Series:
    """The first field that there is; null without one."""
    present = [name for name in names if name in fields.columns]
    empty = pl.Series([None] * fields.height, dtype=pl.String)
    return fields[present[0]] if present else empty


def _line_ids(fields: pl.DataFrame, name: str) -> pl.Series:
    """Ids of lines in another resource, where they have its form."""
    pattern, names = LINE_IDS[name]
    values = _first(fields, names)
    if name == "depmap_id" and values.null_count() == len(values):
        values = fields["observation_id"]
    values = values.str.replace(r"\.0$", "")
    return pl.select(pl.when(values.str.contains(pattern)).then(values)).to_series()


def _published(fields: pl.DataFrame, labels: pl.Series, field: str) -> dict[str, str]:
    """The one id that an author gives with all observations of a label, by label."""
    ids = _first(fields, PUBLISHED_IDS.get(field, ()))
    given = pl.DataFrame({"label": labels, "id": ids}).drop_nulls().unique()
    several = defaultdict[str, list[str]](list)
    for label, id_ in given.iter_rows():
        several[label].append(re.sub(r"^RRID:", "", id_))
    return {label: ids[0] for label, ids in several.items() if len(ids) == 1}


def _terms(
    observations: pl.DataFrame, mapped: Mapping[str, Sequence[MappedLabel]]
) -> dict[str, pl.Series]:
    """Columns of ids of terms."""

    @cache
    def ids(field: str, *prefixes: str) -> pl.Series:
        """Of each observation the id of its label in these ontologies, in their order."""
        by_label = {}
        for mapped_label in mapped[field]:
            fitting = [id_ for id_ in mapped_label.ids if prefix_of(id_) in prefixes]
            fitting.sort(key=lambda id_: prefixes.index(prefix_of(id_)))
            by_label[mapped_label.label] = fitting[0] if fitting else None
        return observations[field].replace_strict(by_label, default=None, return_dtype=pl.String)

    named = {
        "diagnosis": ids("diagnosis", "MONDO", "PATO"),
        "finer": pl.select(
            pl.when(observations["diagnosis"].is_null()).then(ids("tissue_subtype", "MONDO"))
        ).to_series(),
        "whole": pl.select(
            pl.when(observations["diagnosis"].is_null()).then(ids("tissue", "MONDO"))
        ).to_series(),
    }
    return {
        "cell_type_ontology_term_id": ids("cell_type", "CL"),
        "tissue_ontology_term_id": ids("tissue", "UBERON"),
        "tissue_subtype_ontology_term_id": ids("tissue_subtype", "UBERON", "MONDO"),
        "disease_ontology_term_id": pl.select(pl.coalesce(*named.values())).to_series(),
        "assay_ontology_term_id": ids("assay", "EFO"),
        "sex_ontology_term_id": ids("sex", "PATO"),
        "development_stage_ontology_term_id": ids("development_stage", "HsapDv"),
        "cell_line_ontology_term_id": ids("cell_line", "CVCL"),
    }


def _mapping_rows(
    collection: str,
    observations: pl.DataFrame,
    mapped: Mapping[str, Sequence[MappedLabel]],
    mapper: LabelMapper,
) -> pl.DataFrame:
    rows = []
    for field, labels in mapped.items():
        counts = dict(observations[field].drop_nulls().value_counts().iter_rows())
        rows += [
            {
                "collection_id": collection,
                "field": field,
                "label_text": mapped_label.label,
                "outcome": mapped_label.outcome,
                "ontology": mapped_label.term and prefix_of(mapped_label.term),
                "term_id": mapped_label.term,
                "term_name": mapped_label.term and mapper.name_of(mapped_label.term),
                "also": list(mapped_label.also),
                "candidates": list(mapped_label.candidates),
                "evidence": mapped_label.evidence,
                "n_observations": counts[mapped_label.label],
            }
            for mapped_label in labels
        ]
    schema = TABLES["label_mapping"].schema()
    table = pl.DataFrame(rows, schema=pl.DataFrame(schema.empty_table()).schema, orient="row")
    return table.sort("field", "label_text")
