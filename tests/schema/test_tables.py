"""Every published table: keys, partitions, meanings, groups, and its entry in the dictionary."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from declared_rows import declared_rows

import genept
from genept.release.manifest import ReleasedColumn
from genept.schema import tables
from genept.schema.columns import Table
from genept.schema.tables import TABLES, _table

PACKAGES = {path.parent.name for path in Path(genept.__file__).parent.glob("*/__init__.py")}

every_table = pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))


@every_table
def test_rows_have_one_place_and_one_key(table: Table) -> None:
    assert table.key[: len(table.partition)] == table.partition
    for name in table.key:
        assert not table[name].nullable
        assert not table[name].is_list
    one_row_each = {"collections", "perturbation_screens"}
    assert len(table.key) > len(table.partition) or table.name in one_row_each


@every_table
def test_names_are_unique_and_fit_every_reader(table: Table) -> None:
    names = [column.name for column in table.columns]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in (table.name, *names))


@every_table
def test_tables_and_columns_say_what_they_mean(table: Table) -> None:
    for meaning in (table.meaning, *(column.meaning for column in table.columns)):
        assert meaning[0].isupper() or meaning[0] == "`"
        assert meaning.endswith(".")
        assert len(meaning.split()) > 1


@every_table
def test_the_group_is_a_package_of_the_library(table: Table) -> None:
    assert table.group in PACKAGES


@every_table
def test_the_data_dictionary_is_complete(table: Table) -> None:
    entries = ReleasedColumn.of(table)
    assert [entry.name for entry in entries] == [column.name for column in table.columns]
    for entry, column in zip(entries, table.columns, strict=True):
        assert entry.type
        assert (entry.meaning, entry.unit, entry.nullable) == (
            column.meaning,
            column.unit,
            column.nullable,
        )
    schema = table.schema(2)
    assert all(field.metadata[b"description"] for field in schema)
    assert all(field.metadata.get(b"unit") != b"" for field in schema)


@every_table
def test_patterns_and_bounds_can_be_kept(table: Table) -> None:
    rows = declared_rows(table, 5)
    assert rows.schema == table.schema(4)
    for column in table.columns:
        if column.minimum is not None and column.maximum is not None:
            assert column.minimum < column.maximum
        if column.pattern:
            assert all(
                re.fullmatch(column.pattern, value) for value in rows[column.name].to_pylist()
            )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"columns": ["gossip"]}, "'gossip'"),
        ({"columns": [{"name": "x"}]}, "{'name': 'x'} needs `like`, or one of text, "),
        ({"columns": [{"name": "x", "text": "A.", "flag": "A."}]}, "needs `like`, or one of text"),
        ({"columns": [{"name": "x", "text": "A.", "minimun": 1}]}, "'minimun'"),
        ({"columns": [{"name": "x", "text": "A.", "minimum": 1}]}, "no check reads `minimum`"),
        ({"columns": [{"name": "x", "text": "A.", "allowed": "gossip"}]}, "'gossip'"),
        ({"columns": [{"like": "gossip"}]}, "'gossip'"),
        ({"columns": ["gene_id"]}, "'gene_id'"),
        ({"colums": []}, "'columns'"),
        ({"columns": ["task"], "partitoin": ["task"]}, "'partitoin'"),
        ({"columns": ["task"]}, "key column 'x' is not declared"),
    ],
)
def test_a_wrong_declaration_is_refused_by_the_name_of_its_table(
    wrong: dict[str, Any], message: str
) -> None:
    entry = {"name": "things", "group": "text", "meaning": "A thing.", "key": ["x"], **wrong}
    with pytest.raises(ValueError, match=rf"tables.toml: table 'things': .*{re.escape(message)}"):
        _table(entry)


def test_what_tables_share_has_one_name_and_is_used_more_than_once() -> None:
    declared = tomllib.loads(Path(tables.__file__).with_name("tables.toml").read_text("utf-8"))
    shared = {**declared["columns"], **declared["groups"]}
    assert len(shared) == len(declared["columns"]) + len(declared["groups"])
    lists = [table["columns"] for kind in ("published", "working") for table in declared[kind]]
    lists += [declared["gene_snapshots"]["columns"], *declared["groups"].values()]
    entries = [*chain(*lists), *declared["columns"].values()]
    uses = Counter(entry if isinstance(entry, str) else entry.get("like") for entry in entries)
    assert {name for name in shared if uses[name] < 2} == set()


def test_names_are_registered_under_themselves() -> None:
    assert [table.name for table in TABLES.values()] == list(TABLES)


def test_key_columns_of_one_name_join() -> None:
    """What identifies a row has the same type in every table that has it."""
    types: dict[str, set[pa.DataType]] = {}
    keys = {name for table in TABLES.values() for name in table.key}
    for table in TABLES.values():
        for column in table.columns:
            if column.name in keys and not column.is_list:
                types.setdefault(column.name, set()).add(column.type)
    assert {name: several for name, several in types.items() if len(several) > 1} == {}


def test_gene_rows_are_keyed_by_the_ensembl_id_never_by_the_symbol() -> None:
    for table in TABLES.values():
        assert "symbol" not in table.key
        if any(column.name == "symbol" for column in table.columns):
            assert "ensembl_gene_id" in {column.name for column in table.columns}
