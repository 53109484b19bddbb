"""Prompts as versioned files."""

import pytest

from genept.language_models.chats import RefusedChatError, SamplingOptions
from genept.language_models.prompts import load_prompts, read_form, read_prompt

RELEASED = {
    ("donor-move", 2): "e27a0f01e873cab3448f8f3e1b1ac68b182037ac5e5abde500bd1858a1d74a8b",
    ("donor-punish", 1): "4678ea6766f29c1e8b40e271911680b894d61ffc680ffc06653e7865730c28d8",
    ("donor-strategy", 2): "5500add29847838ac25baf86c776adb8db2cdcfbf8fba333cafc835800b58edb",
    ("gene-dimension", 1): "112ff883fb810ebd452d1f02fe275678a76b2cf15e965a5ca4c11f05bd80bf5d",
    (
        "gene-statement-lines",
        1,
    ): "9dcd6cb989d898949d92d67fe87829bfdb97ab89eed53eba2e5d12f82c4ba782",
    ("gene-statements", 1): "63116967d718b86d08e0e3c67ecbcfd69d818ffe4d247bd7826bf4219fbe1f9c",
    ("probe-canary", 1): "4012a6675e2899d705f5e10dac75c21638181f80e23075fb131f1c57d295b010",
    ("probe-choice", 1): "1cc8444d2faa16ec030cd0ef90637aafd70fb274d324160ed0acb5d534e831d2",
    ("probe-labels", 1): "403ee8265658e9846928ac8be8ce92647774e21e6ac6a0b878e9b51a9f30e115",
}
"""SHA-256 of every version that was released: a change of a prompt is a new version of it."""

VALUES = {"symbol": "TP53", "name": "tumor protein p53", "dimension": "drugs", "texts": "{{ x }}"}
FILE = b"""
id = "greeting"
version = 3
system = "You greet."
user = "Greet {{ who }}."
grammar = 'root ::= "hello"'
"""


def test_prompts_of_the_platform_are_as_they_were_released():
    prompts = load_prompts().values()
    assert {(prompt.id, prompt.version): prompt.sha256 for prompt in prompts} == RELEASED


def test_values_are_put_in_places_and_not_read_as_templates():
    chat = load_prompts()["gene-dimension"].chat(VALUES, SamplingOptions(seed=3))
    assert "Gene: TP53 (tumor protein p53)" in chat.user
    assert "{{ x }}" in chat.user
    assert chat.prompt.id == "gene-dimension"
    assert chat.sampling.seed == 3
    assert chat.answer_format.fault('{"statements": [], "is_little_known": true}') is None


def test_id_version_and_content_are_part_of_the_key():
    variants = [
        FILE,
        FILE.replace(b"3", b"4", 1),
        FILE.replace(b"greeting", b"welcome"),
        FILE + b"#",
    ]
    chats = [read_prompt(content, "f").chat({"who": "TP53"}) for content in variants]
    assert len({chat.user for chat in chats}) == 1
    assert len({chat.address for chat in chats}) == 4


def test_a_place_without_a_value_is_refused():
    with pytest.raises(RefusedChatError, match="prompt greeting: 'who' is undefined"):
        read_prompt(FILE, "f").chat({})


def test_a_template_reaches_nothing_but_its_values():
    spying = FILE.replace(b"{{ who }}", b"{{ ().__class__.__base__.__subclasses__() }}")
    with pytest.raises(RefusedChatError, match="unsafe"):
        read_prompt(spying, "f").chat({})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"id = ", "mine.toml is no prompt"),
        (b'id = "x"\nversion = 1', "user"),
        (FILE + b"more = 1", "more"),
        (FILE + b"[schema]\ntype = 'object'", "not both"),
        (b"\xff", "no prompt"),
    ],
)
def test_a_file_that_is_no_prompt_is_refused(content, reason):
    with pytest.raises(RefusedChatError, match=reason):
        read_prompt(content, "mine.toml")


def test_a_schema_is_read_from_json_and_a_grammar_from_gbnf(tmp_path):
    (tmp_path / "s.json").write_text('{"type": "integer"}')
    (tmp_path / "g.gbnf").write_text('root ::= "x"')
    assert read_form(tmp_path / "s.json").fault("1") is None
    assert read_form(tmp_path / "g.gbnf").fault("x") is None
    with pytest.raises(RefusedChatError, match="missing.json"):
        read_form(tmp_path / "missing.json")
