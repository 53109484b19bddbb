"""Which answers have the form that is required."""

import pytest

from genept.language_models.answer_formats import AnswerFormat, FormatError

GIFT = {
    "type": "object",
    "properties": {"gift": {"type": "number", "minimum": 0, "maximum": 10}},
    "required": ["gift"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"gift": 10}', None),
        (' {"gift": 2.5}\n', None),
        ('{"gift": 13}', r"at \$.gift: 13 is greater than the maximum of 10"),
        ('{"gift": NaN}', "NaN is not JSON"),
        ('{"gift": 1, "more": 2}', "'more' was unexpected"),
        ("{}", "'gift' is a required property"),
        ('{"gift": 1', "is not JSON"),
        ("I give 5", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_an_answer_is_checked_against_its_schema(text, fault):
    found = AnswerFormat.of_schema(GIFT).fault(text)
    if fault is None:
        assert found is None
    else:
        assert found is not None
        import re

        assert re.search(fault, found)


def test_free_text_must_say_something():
    assert AnswerFormat().fault("I do not know") is None
    assert AnswerFormat().fault(" \n") == "is empty"


def test_an_answer_is_checked_against_its_grammar():
    form = AnswerFormat(grammar='root ::= "yes" | "no"')
    assert form.fault("no") is None
    assert form.fault("perhaps") == "does not follow the grammar"
    nested = AnswerFormat(grammar='root ::= "(" root? ")"')
    assert "cannot be checked" in nested.fault("(" * 50_000 + ")" * 50_000)


def test_equal_schemas_are_one_form_however_they_are_written():
    swapped = dict(reversed(GIFT.items()))
    assert AnswerFormat.of_schema(GIFT) == AnswerFormat.of_schema(swapped)


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ({"schema": '{"type": "no type"}'}, "JSON schema cannot be used"),
        ({"schema": '{"$ref": "https://example.org/s.json"}'}, "put that under"),
        ({"schema": "{"}, "JSON schema cannot be used"),
        ({"grammar": "root"}, "grammar cannot be used"),
        ({"schema": "{}", "grammar": 'root ::= "x"'}, "not both"),
    ],
)
def test_a_form_that_cannot_be_used_is_refused(form, reason):
    with pytest.raises(FormatError, match=reason):
        AnswerFormat(**form)


def test_a_schema_may_refer_to_its_own_definitions():
    schema = {"$ref": "#/$defs/gift", "$defs": {"gift": {"type": "integer"}}}
    assert AnswerFormat.of_schema(schema).fault("3") is None
    assert "is not of type 'integer'" in AnswerFormat.of_schema(schema).fault('"3"')
