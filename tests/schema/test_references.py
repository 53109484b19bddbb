"""Foreign keys are found by the names of keys, and point at columns of the same type."""

from __future__ import annotations

from genept.schema.columns import Table
from genept.schema.references import LOOSE, ForeignKey, foreign_keys
from genept.schema.tables import TABLES


def keys(name: str) -> set[str]:
    return {key.table for key in foreign_keys(TABLES[name])}


def test_columns_have_the_types_of_the_keys_that_they_name() -> None:
    for table in TABLES.values():
        for key in foreign_keys(table):
            assert key.referenced == TABLES[key.table].key
            for column, referenced in zip(key.columns, key.referenced, strict=True):
                assert table[column].type == TABLES[key.table][referenced].type


def test_tables_name_what_they_are_about() -> None:
    assert keys("drug_responses") == {"collections", "observations", "drugs"}
    assert keys("gene_mapping") == {"collections", "genes"}
    assert keys("perturbation_predictions") == {"genes", "perturbation_screens"}
    assert keys("genes") == set()


def test_ids_of_ontologies_name_terms_except_those_of_cell_lines() -> None:
    named = {key.columns for key in foreign_keys(TABLES["observations"])}
    assert ("cell_type_ontology_term_id",) in named
    assert ("cell_line_ontology_term_id",) not in named
    assert ForeignKey(("term_id",), "ontology_terms", ("term_id",)) in foreign_keys(
        TABLES["label_mapping"]
    )


def test_columns_that_hold_other_things_are_no_foreign_keys() -> None:
    for name, other in LOOSE:
        table: Table = TABLES[name]
        assert {*TABLES[other].key} <= {column.name for column in table.columns}, "needless"
        assert other not in keys(name)
