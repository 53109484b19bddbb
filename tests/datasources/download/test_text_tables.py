"""Rows of tables of which the header is known: quotes, byte-order marks, and what is refused."""

from __future__ import annotations

import io
from contextlib import nullcontext

import pytest

from genept.common import SourceError
from genept.datasources.download import table_rows


def rows(text: str, separator: str = ",") -> list[tuple[int, list[str]]]:
    return list(
        table_rows(lambda: nullcontext(io.BytesIO(text.encode())), "x.csv", ("a", "b"), separator)
    )


def test_values_within_quotes_keep_their_separators() -> None:
    assert rows('\ufeffa,b\n"1, 2",3\n') == [(2, ["1, 2", "3"])]
    assert rows("a\tb\n1\t2\r\n3\t\n", "\t") == [(2, ["1", "2"]), (3, ["3", ""])]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,c\n1,2\n", "x.csv: line 1 is ['a', 'c']; expected a,b"),
        ("a,b\n1,2\n1,2,3\n", "x.csv: line 3 has 3 values; expected 2: a,b"),
        ("a,b\n1,2\n\n", "x.csv: line 3 has 0 values"),
        ("", "x.csv: is empty"),
    ],
)
def test_another_form_is_refused_by_its_line(text: str, message: str) -> None:
    with pytest.raises(SourceError) as refused:
        rows(text)
    assert str(refused.value).startswith(message)
