"""Attributes of samples, as GEO, ARCHS4, SRA and recount3 write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genept.datasources.readers.attributes import attribute, attribute_fields, parse_attributes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tissue: liver,disease: none", {"tissue": "liver", "disease": "none"}),
        ("Tissue: Liver, Sex: F", {"tissue": "Liver", "sex": "F"}),
        ("tissue: liver\tage: 5;sex: F", {"tissue": "liver", "age": "5", "sex": "F"}),
        ("treatment: 10 nM, 24 h,age: 5", {"treatment": "10 nM, 24 h", "age": "5"}),
        ("started at: 10:30,page: a", {"started at": "10:30", "page": "a"}),
        ("tissue: ,sex: F", {"sex": "F"}),
        ("tissue: a,tissue: b", {"tissue": "a"}),
        ("age;;43|tissue;;lung: left|sex;;", {"age": "43", "tissue": "lung: left"}),
        ("source_name;;K562", {"source_name": "K562"}),
        ("blood", {}),
        ("", {}),
    ],
)
def test_attributes_are_taken_apart(text, expected) -> None:
    assert parse_attributes(text) == expected


WORDS = st.text(st.characters(categories=["L", "N"], codec="utf-8"), min_size=1, max_size=8)
PAIRS = st.dictionaries(WORDS.map(str.lower).filter(lambda it: it == it.lower()), WORDS, min_size=1)


@given(PAIRS)
def test_both_forms_say_the_same(pairs) -> None:
    expected = dict(pairs)
    assert parse_attributes(",".join(f"{key}: {value}" for key, value in pairs.items())) == expected
    assert parse_attributes("|".join(f"{key};;{value}" for key, value in pairs.items())) == expected


def test_the_first_key_that_a_sample_has_counts() -> None:
    assert attribute("organ: liver,disease: HCC", "tissue|Organ") == "liver"
    assert attribute("organ: liver", "tissue") is None
    assert attribute(None, "tissue") is None


def test_keys_become_fields() -> None:
    texts = ["tissue: liver,sex: F", "tissue: lung,title: x", None]
    assert attribute_fields(texts, ["title"]) == {
        "tissue": ["liver", "lung", None], "sex": ["F", None, None]
    }  # fmt: skip
    many = [",".join(f"key {at}: x" for at in range(300)), "key 299: y"]
    fields = attribute_fields(many, ())
    assert len(fields) == 200
    assert next(iter(fields)) == "key 299"
