"""Grammars: which texts follow one, and which grammars are refused."""

import pytest

from genept.language_models.grammars import Grammar, GrammarError

GIFT = r"""
# A gift with its reason.
root   ::= reason "\n" "give " amount
reason ::= [^\n]{1,80}
amount ::= "0" | [1-9] [0-9]? | "100"
"""
JSON = r"""
root   ::= object
value  ::= object | list | string | number | "true" | "false" | "null"
object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value)* )? "}" ws
list   ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) )* "\"" ws
number ::= "-"? ("0" | [1-9] [0-9]*) ("." [0-9]+)? ([eE] [-+]? [0-9]+)? ws
ws     ::= [ \t\n]*
"""


@pytest.mark.parametrize(
    ("grammar", "text", "follows"),
    [
        ('root ::= "yes" | "no"', "yes", True),
        ('root ::= "yes" | "no"', "yes, and no", False),
        ('root ::= "yes" | "no"', "", False),
        (GIFT, "they gave\ngive 42", True),
        (GIFT, "they gave\ngive 100", True),
        (GIFT, "they gave\ngive 130", False),
        (GIFT, "they gave\ngive 05", False),
        (GIFT, "x" * 80 + "\ngive 0", True),
        (GIFT, "x" * 81 + "\ngive 0", False),
        (JSON, '{"a": [1, -2.5e3, {"b": "\\u00e9 \\"x\\""}], "c": null}', True),
        (JSON, '{"a": 01}', False),
        (JSON, '{"a": "line\nbreak"}', False),
        (r'root ::= ("a" | "ab") "c"', "abc", True),
        (r'root ::= [a\-c] "]"', "-]", True),
        (r'root ::= [a\-c] "]"', "b]", False),
        (r"root ::= [\]x]+", "]x]", True),
        ('root ::= "a"*', "", True),
        ('root ::= ("a"?)* "b"', "aaab", True),
        ('root ::= "a"{2,3}', "aaaa", False),
        ('root ::= "a"{2,}', "aaaa", True),
        ("root ::= .", "\n", True),
        ('root ::= "\\u00e9"', "é", True),
        ('root ::= "(" root? ")"', "((()))", True),
        ('root ::= "(" root? ")"', "((())", False),
    ],
)
def test_a_text_follows_a_grammar_or_not(grammar, text, follows):
    assert Grammar(grammar).matches(text) is follows


@pytest.mark.parametrize(
    ("grammar", "reason"),
    [
        ('answer ::= "yes"', "no rule `root`"),
        ("root ::= answer", "names answer, which is no rule"),
        ('root ::= ("yes"', "not closed"),
        ('root ::= "yes', "cannot read"),
        ('"yes"', "expected a rule"),
        ("root ::= [z-a]", "no class of characters"),
    ],
)
def test_a_grammar_that_cannot_be_read_is_refused(grammar, reason):
    with pytest.raises(GrammarError, match=reason):
        Grammar(grammar)


def test_a_rule_that_begins_with_itself_is_refused():
    with pytest.raises(GrammarError, match="rule root begins with itself"):
        Grammar('root ::= root "a" | "a"').matches("aaa")


def test_an_ambiguous_grammar_ends():
    ambiguous = Grammar('root ::= a* "b"\na ::= "x" | "x" "x" | "x" "x" "x"')
    assert not ambiguous.matches("x" * 300)
