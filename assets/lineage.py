"""Which columns a column is made from, as the UI draws it: shared keys, and the computed ones.

Declared once here for all tables; what a column means is declared in `genept.tables`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import dagster as dg

from genept.tables import STORED

MADE_FROM: Final[Mapping[str, tuple[str, ...]]] = {
    "gene_mapping": ("genes",),
    "gene_axis": ("genes",),
    "gene_properties": ("genes",),
    "gene_descriptions": ("genes",),
    "undescribed_genes": ("genes",),
    "gene_embeddings": ("gene_descriptions",),
    "cell_embeddings": ("expression", "gene_embeddings"),
    "sample_embeddings": ("expression", "gene_embeddings"),
    "diagnosis_predictions": ("observations",),
    "sample_diagnoses": ("observations",),
    "drug_response_predictions": ("drug_responses",),
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


def column_lineage(name: str) -> dg.TableColumnLineage | None:
    """Where the columns of a table come from; None if all of them come from sources."""
    deps: dict[str, list[dg.TableColumnDep]] = {}
    for column in STORED[name].columns:
        found = COMPUTED.get(name, {}).get(column.name) or tuple(
            (parent, column.name)
            for parent in MADE_FROM.get(name, ())
            if column.name in {one.name for one in STORED[parent].columns}
        )
        if found:
            deps[column.name] = [
                dg.TableColumnDep(dg.AssetKey(table), source) for table, source in found
            ]
    return dg.TableColumnLineage(deps) if deps else None
