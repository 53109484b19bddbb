"""The vocabulary of declarations refuses what nothing could check or store."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from genept.schema.columns import VECTOR, Column, Table

TEXT = pa.string()
ID = Column("id", TEXT, "What it is.")
PART = Column("part", TEXT, "Where it lies.")


def table(**changed: Any) -> Table:
    declared: dict[str, Any] = {
        "name": "things",
        "meaning": "Things.",
        "group": "store",
        "key": ("part", "id"),
        "partition": ("part",),
        "columns": (PART, ID),
    }
    return Table(**declared | changed)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"columns": (PART, ID, ID)}, "declares a column twice"),
        ({"key": ("part", "id", "other")}, "key column 'other' is not declared"),
        ({"key": (), "partition": ()}, "key"),
        ({"key": ("id", "part")}, "must be the first columns of its key"),
        ({"partition": ("part", "id", "id")}, "must be the first columns of its key"),
        (
            {"columns": (PART, Column("id", TEXT, "Sometimes.", nullable=True))},
            "key column 'id' must be one value",
        ),
        ({"columns": (PART, Column("id", VECTOR, "A vector."))}, "key column 'id' must be one"),
        ({"columns": (Column("part", pa.int64(), "A number."), ID)}, "'part' names a folder"),
    ],
)
def test_tables_that_could_not_be_stored_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="table 'things'.*" + message):
        table(**changed)


@pytest.mark.parametrize(
    ("type_", "rule"),
    [
        (TEXT, {"minimum": 0}),
        (pa.bool_(), {"maximum": 1}),
        (VECTOR, {"minimum": -1.0}),
        (pa.int64(), {"allowed": ("1",)}),
        (pa.list_(TEXT), {"pattern": "^a$"}),
        (pa.list_(TEXT), {"allowed": ("a",)}),
        (pa.float64(), {"norm": 1.0}),
        (pa.list_(pa.float32()), {"norm": 1.0}),
    ],
)
def test_a_rule_that_no_check_would_read_is_refused(type_: pa.DataType, rule: Any) -> None:
    (name,) = rule
    with pytest.raises(ValueError, match=f"column 'x': no check reads `{name}`"):
        Column("x", type_, "What it is.", **rule)


def test_a_column_must_say_what_it_means() -> None:
    with pytest.raises(ValueError, match="'x' says nothing"):
        Column("x", TEXT, " ")


def test_fields_carry_meaning_unit_and_nullability() -> None:
    field = Column("x", pa.int64(), "How many.", unit="genes", nullable=True).field()
    assert field == pa.field("x", pa.int64(), nullable=True)
    assert field.metadata == {b"description": b"How many.", b"unit": b"genes"}
    assert ID.field().metadata == {b"description": b"What it is."}
    assert not ID.field().nullable


def test_a_vector_takes_the_dimension_of_its_space() -> None:
    column = Column("x", VECTOR, "A vector.", norm=1.0)
    assert column.is_vector
    assert column.is_list
    assert column.field(384).type == pa.list_(pa.field("item", pa.float32(), nullable=False), 384)
    with pytest.raises(ValueError, match="'x' is a vector: give its dimension"):
        column.field()


@pytest.mark.parametrize(
    ("type_", "name", "is_list", "is_floating"),
    [
        (TEXT, "string", False, False),
        (pa.float64(), "double", False, True),
        (pa.list_(pa.float32()), "list<float>", True, True),
        (pa.list_(TEXT), "list<string>", True, False),
        (VECTOR, "list<float>[dimensions of the space]", True, True),
    ],
)
def test_types_as_readers_see_them(
    type_: pa.DataType, name: str, is_list: bool, is_floating: bool
) -> None:
    column = Column("x", type_, "What it is.")
    assert column.type_name == name
    assert (column.is_list, column.is_floating) == (is_list, is_floating)


def test_a_table_knows_its_columns_schema_and_vector() -> None:
    vector = Column("x", VECTOR, "A vector.")
    things = table(columns=(PART, ID, vector))
    assert things["id"] is ID
    assert things.vector is vector
    assert table().vector is None
    assert things.schema(2).names == ["part", "id", "x"]
    assert things.schema(2).metadata == {
        b"table": b"things",
        b"description": b"Things.",
        b"key": b"part,id",
    }
    with pytest.raises(KeyError, match="table 'things' has no column 'y'"):
        things["y"]


def test_a_partition_is_a_folder() -> None:
    assert table().partition_path(["minilm/name"]) == "minilm/name"
    assert table(partition=()).partition_path([]) == ""
    for wrong in ([], ["a", "b"], [""]):
        with pytest.raises(ValueError, match="partitioned by"):
            table().partition_path(wrong)
