"""Every published table, declared once: columns, types, units, keys, bounds, meaning.

Parquet schemas, quality checks, the data dictionary and the column schemas in the Dagster UI are
all made from the declarations in `tables.toml`. Nothing else describes a column; nothing here reads
or writes a row. The sets of values that code refers to, such as units, stand here.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.resources import files
from typing import Any, Final, Literal, get_args

import pyarrow as pa

from genept.schema.columns import ENSEMBL_GENE_ID, VECTOR, Column, Table

__all__ = ["GENE_SNAPSHOTS", "REASONS", "SCHEMA_VERSION", "STORED", "TABLES", "WORKING_TABLES"]


SCHEMA_VERSION: Final = "2.0.0"
"""Version of the declarations: major for what breaks a reader, minor for what is added. A release
that changes more than this says is refused. See docs/decisions/0008-schema-version.md."""

Unit = Literal["counts", "tpm", "log1p", "log2", "zscore"]

UNITS: Final[tuple[Unit, ...]] = get_args(Unit)
"""Units of expression values."""

LINEAR: Final[frozenset[str]] = frozenset({"counts", "tpm"})
"""Abundances without a logarithm: values of one gene may be added up."""

NEVER_NEGATIVE: Final[frozenset[str]] = LINEAR | {"log1p"}

WEIGHTS: Final = (
    *("log1p_counts_per_kilobase", "log1p_counts", "log1p_tpm"),
    *("log1p", "log2", "zscore_above_lowest"),
)
"""How genes are weighed in GenePT-w; see `genept.embeddings.pooling.expression_weights`."""

MEANINGS: Final[dict[str, str]] = {
    "counts": "whole numbers of reads or molecules",
    "tpm": "abundances without a logarithm (TPM, CPM, FPKM, normalised counts)",
    "log1p": "ln(1 + abundance), as scanpy's log1p",
    "log2": "logarithms to the base 2",
    "zscore": "z-scores",
}
"""What values in each unit are, in the words of questions and errors."""


def merge_policy(unit: str) -> Literal["sum", "highest_mean"]:
    """Return how several inputs of one gene are merged by default.

    Parameters
    ----------
    unit
        One of `UNITS`.

    Returns
    -------
    str
        ``sum`` for linear units; else ``highest_mean``: logarithms and z-scores do not add up.
    """
    return "sum" if unit in LINEAR else "highest_mean"


REASONS: Final = (
    *("answered", "no class is likely enough"),
    *("unlike the samples of its training", "too few of its genes were measured"),
)
"""Why a model answers about a sample or abstains; see `genept.models.serving`."""


OUTCOMES: Final = (
    *("exact", "ensembl_id", "version_stripped", "case_or_space_fixed", "entrez_id"),
    *("previous", "alias", "retired_successor"),
    *("spreadsheet_date", "spreadsheet_number", "ambiguous", "withdrawn", "non_human"),
    *("control_feature", "without_ensembl_id", "unknown"),
)
"""Outcomes of resolving a gene name; see `genept.nomenclature.names` and `.spelling`."""


LABEL_FIELDS: Final = (
    *("cell_type", "tissue", "tissue_subtype", "diagnosis"),
    *("assay", "sex", "development_stage", "cell_line"),
)
"""Columns of table `observations` whose values mean terms of ontologies."""

LABEL_OUTCOMES: Final = (
    *("declared", "published", "name", "synonym", "spelling", "abbreviation"),
    *("ambiguous", "unmapped", "explained", "no_ontology"),
)
"""Outcomes of mapping a label; see `genept.collections.labels.label_mapping`."""


SHA256: Final = r"^[0-9a-f]{64}$"

UTC_TIME: Final = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"


def _list_of(type_: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("item", type_, nullable=False))


KINDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "text": {"type": pa.string()},
    "gene_id": {"type": pa.string(), "pattern": ENSEMBL_GENE_ID},
    "sha256": {"type": pa.string(), "pattern": SHA256},
    "utc_time": {"type": pa.string(), "pattern": UTC_TIME},
    "texts": {"type": _list_of(pa.string())},
    "number": {"type": pa.float64()},
    "values": {"type": _list_of(pa.float32())},
    "vector": {"type": VECTOR},
    "share": {"type": pa.float64(), "minimum": 0.0, "maximum": 1.0},
    "share32": {"type": pa.float32(), "minimum": 0.0, "maximum": 1.0},
    "count": {"type": pa.int64(), "minimum": 0},
    "hash": {"type": pa.int64()},
    "index": {"type": pa.uint32(), "minimum": 0},
    "indices": {"type": _list_of(pa.uint32()), "minimum": 0},
    "flag": {"type": pa.bool_()},
}
"""Kinds of columns: their type, and the rules that hold unless a column has others."""

_NAMED_SETS: Final = {
    "outcomes": OUTCOMES, "reasons": REASONS, "units": UNITS, "weights": WEIGHTS,
    "label_fields": LABEL_FIELDS, "label_outcomes": LABEL_OUTCOMES,
}  # fmt: skip

_DECLARED: Final = tomllib.loads(
    files("genept.schema.tables").joinpath("tables.toml").read_text("utf-8")
)


def _shared_column(name: str) -> Column:
    return _column({"name": name, **_DECLARED["columns"][name]})


def _column(entry: Mapping[str, Any]) -> Column:
    rules = dict(entry)
    if "allowed" in rules:
        allowed = rules["allowed"]
        rules["allowed"] = _NAMED_SETS[allowed] if isinstance(allowed, str) else tuple(allowed)
    if "like" in rules:
        return replace(_shared_column(rules.pop("like")), **rules)
    kinds = rules.keys() & KINDS.keys()
    if len(kinds) != 1:
        raise ValueError(f"{dict(entry)} needs `like`, or one of {', '.join(KINDS)}")
    (kind,) = kinds
    return Column(**{"meaning": rules.pop(kind), **KINDS[kind], **rules})


def _columns(entries: list[str | dict[str, Any]]) -> Iterator[Column]:
    for entry in entries:
        if isinstance(entry, dict):
            yield _column(entry)
        elif entry in _DECLARED["groups"]:
            yield from _columns(_DECLARED["groups"][entry])
        else:
            yield _shared_column(entry)


def _table(entry: Mapping[str, Any]) -> Table:
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()
    }
    try:
        return Table(**fields | {"columns": tuple(_columns(entry["columns"]))})
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"tables.toml: table {entry.get('name')!r}: {error}") from error


TABLES: Final[dict[str, Table]] = {entry["name"]: _table(entry) for entry in _DECLARED["published"]}
"""All published tables by name, in the order in which they are built on one another."""


WORKING_TABLES: Final[dict[str, Table]] = {
    entry["name"]: _table(entry) for entry in _DECLARED["working"]
}
"""Tables that never leave the lake: results that an interrupted run can reuse, and run metrics."""


GENE_SNAPSHOTS: Final = _table(_DECLARED["gene_snapshots"])
"""Kept in the lake and not published: the content is the publishers', and no release needs it."""


STORED: Final = TABLES | WORKING_TABLES | {GENE_SNAPSHOTS.name: GENE_SNAPSHOTS}
"""All tables that the lake holds, by name."""


MADE_FROM: Final[Mapping[str, tuple[str, ...]]] = {
    "gene_mapping": ("genes",),
    "gene_axis": ("genes",),
    "drugs": ("drug_responses",),
    "drug_targets": ("drug_responses", "genes"),
    "gene_properties": ("genes",),
    "gene_descriptions": ("genes",),
    "undescribed_genes": ("genes",),
    "gene_embeddings": ("gene_descriptions",),
    "cell_embeddings": ("expression", "gene_embeddings"),
    "sample_embeddings": ("expression", "gene_embeddings"),
    "observation_descriptions": ("expression",),
    "perturbation_predictions": ("perturbation_effects",),
    "diagnosis_predictions": ("observations",),
    "sample_diagnoses": ("observations",),
    "drug_response_predictions": ("drug_responses",),
    "left_out_drugs": ("drug_responses",),
    "unscreened_drugs": ("drugs",),
    "unscreened_drug_responses": ("observations", "drugs"),
    "model_folds": ("observations",),
}
"""Tables whose keys a table takes over: a column of the same name has the same values."""

_POOLED: Final = (
    *(("expression", "gene_index"), ("expression", "value"), ("gene_axis", "ensembl_gene_id")),
    ("gene_embeddings", "embedding"),
)

COMPUTED: Final[Mapping[str, Mapping[str, tuple[tuple[str, str], ...]]]] = {
    "gene_embeddings": {"embedding": (("gene_descriptions", "text"),)},
    "cell_embeddings": {"embedding": _POOLED, "coverage": _POOLED},
    "sample_embeddings": {"embedding": _POOLED, "coverage": _POOLED},
}
"""Columns of which every value is computed from others."""


def column_origins(name: str) -> dict[str, list[tuple[str, str]]]:
    """Find the columns that the columns of a table are taken or computed from.

    Parameters
    ----------
    name
        Name of a table that the lake holds.

    Returns
    -------
    dict of str to list of (str, str)
        Table and column each, by column; a column that comes from sources is not in it.
    """
    computed = COMPUTED.get(name, {})
    columns_of = {of: {it.name for it in STORED[of].columns} for of in MADE_FROM.get(name, ())}
    origins = {
        column.name: [
            *computed.get(column.name, ()),
            *(
                (table, column.name)
                for table, columns in columns_of.items()
                if column.name in columns and column.name not in computed
            ),
        ]
        for column in STORED[name].columns
    }
    return {column: pairs for column, pairs in origins.items() if pairs}
