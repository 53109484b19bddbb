from __future__ import annotations

import io

import pytest

from genept.common.errors import SourceError
from genept.datasources.readers.text_matrix import read_matrix, read_table


def test_a_matrix_keeps_names_and_numbers() -> None:
    text = '\ufeffid,"A,1",B\r\nx,1.5,-2\r\ny,0,3e2\r\n'
    matrix = read_matrix(io.BytesIO(text.encode()), separator=",", what="m.csv")
    assert matrix.rows == ("x", "y")
    assert matrix.columns == ("A,1", "B")
    assert matrix.values.tolist() == [[1.5, -2.0], [0.0, 300.0]]
    assert matrix.values.dtype == "float32"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"", "expected delimited text"),
        (b"id,A,B", "expected delimited text"),
        (b"<html>\n<body>", "begins with b'<html>"),
        (b"\x1f\x8b\x08\n\n", "expected delimited text"),
        (b"i\0d,A\nx,1\n", "expected delimited text"),
        ("id,A\nx,1\n".encode("utf-16"), "not a regular table|expected delimited text"),
        (b"id,\xe4\nx,1\n", "not a regular table"),
        (b"id,A,A\nx,1,2\n", "columns are not unique: 'A'"),
        (b"id,A\nx,1\nx,2\n", "row names are not unique: 'x'"),
        (b"id,A,B\nx,1\n", "not a regular table"),
        (b"id,A,B\nx,1,2\ny,1\n", "1 empty values in column 'B'"),
        (b"id,A,B\nx,1,\n", "1 empty values in column 'B'"),
        (b"id,A\n,1\n", "1 empty values in column 'id'"),
        (b"id,A\nx,1,2\n", "not a regular table"),
        (b'id,A\nx,"1,234"\n', "not a regular table"),
        (b"id,A\nx,1-Sep\n", "not a regular table"),
        (b"id;A\nx;1,5\n", "not a regular table|no column"),
    ],
)
def test_whatever_is_irregular_is_refused(text: bytes, complaint: str) -> None:
    with pytest.raises(SourceError, match=complaint) as caught:
        read_matrix(io.BytesIO(text), separator=",", what="m.csv")
    assert str(caught.value).startswith("m.csv: ")


def test_a_table_is_text_and_empty_is_null() -> None:
    table = read_table(io.BytesIO(b"a,b,c\n007,,x\n"), columns=("a", "b"), what="t.csv")
    assert table.rows() == [("007", None)]


def test_a_missing_column_is_named() -> None:
    with pytest.raises(SourceError, match=r"t\.csv: has no column 'z'; found \['a', 'b'\]"):
        read_table(io.BytesIO(b"a,b\n1,2\n"), columns=("a", "z"), what="t.csv")


def test_a_row_about_nothing_is_named() -> None:
    with pytest.raises(SourceError, match=r"t\.csv: row 3 has no 'a'"):
        read_table(io.BytesIO(b"a,b\n1,2\n,2\n"), columns=("a", "b"), what="t.csv")


def test_a_row_that_is_too_long_is_refused() -> None:
    with pytest.raises(SourceError, match="not a regular table"):
        read_table(io.BytesIO(b"a,b\n1,2\n1,2,3\n"), columns=("a",), what="t.csv")
