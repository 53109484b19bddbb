"""Checks of labels: one that has no outcome, or an id that is not described, is found."""

from __future__ import annotations

import polars as pl
import pytest
from declared_rows import declared_frame

from genept.collections.labels.label_mapping import LabelMapper
from genept.collections.labels.labelled_observations import with_terms
from genept.collections.labels.ontology_table import term_rows
from genept.datasources import OntologyTerm
from genept.schema.tables import LABEL_OUTCOMES, STORED
from genept.storage.lake import Lake
from genept.storage.provenance import NewPart, Origin, StoredTable
from validation.label_checks import WITH_TERM, unmapped_labels

MAPPER = LabelMapper({"CL": {"CL:0000084": OntologyTerm("T cell", "", (), {})}})
READ = declared_frame(STORED["read_observations"], partition=("mine",)).with_columns(
    **{name: pl.lit(None, pl.String) for name in ("tissue", "tissue_subtype", "diagnosis")},
    cell_type=pl.Series(["T cell", "T cell", "gossip"]),
)
OBSERVATIONS, MAPPING = with_terms("mine", READ, None, MAPPER)
TERMS = term_rows(MAPPER, ["CL:0000084"])


def stored(lake: Lake, table: str, rows: pl.DataFrame, *partition: str) -> StoredTable:
    origin = Origin(code=(), inputs={"rows": rows.write_json()}, settings={})
    parts = lake.build(table, origin, lambda: [NewPart(table, rows, partition)])
    return lake.assemble(table, parts)


def findings(lake: Lake, terms: pl.DataFrame, mapping: pl.DataFrame) -> list[str]:
    return unmapped_labels(
        lake,
        stored(lake, "ontology_terms", terms),
        stored(lake, "observations", OBSERVATIONS, "mine"),
        stored(lake, "label_mapping", mapping, "mine"),
    )


def test_labels_with_outcomes_are_no_finding(lake: Lake) -> None:
    assert findings(lake, TERMS, MAPPING) == []


@pytest.mark.parametrize(
    ("mapping", "finding"),
    [
        (MAPPING.head(1), "mine: 1 labels are not in label_mapping, or not"),
        (MAPPING.with_columns(n_observations=pl.lit(2)), "mine: 1 rows of label_mapping are of no"),
        (MAPPING.with_columns(outcome=pl.lit("name")), "mine: 1 labels whose outcome and term do"),
    ],
)
def test_what_does_not_fit_is_found(lake: Lake, mapping: pl.DataFrame, finding: str) -> None:
    found = findings(lake, TERMS, mapping)
    assert [each for each in found if each.startswith(finding)], found


def test_an_id_that_is_not_described_is_found(lake: Lake) -> None:
    (finding,) = findings(lake, TERMS.clear(), MAPPING)
    assert finding == "mine: 1 ids are not in ontology_terms, such as CL:0000084"


def test_outcomes_with_a_term_are_outcomes() -> None:
    assert set(WITH_TERM) < set(LABEL_OUTCOMES)
