"""Statements: what a model wrote is kept only if what it cites says the same."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genept.language_models.answer_formats import AnswerFormat
from genept.language_models.chats import Chat, ChatOutcome, Reply
from genept.language_models.descriptions import GeneEvidence, statements_of, support
from genept.language_models.descriptions.statements import LEAST_SUPPORT
from genept.language_models.prompts import load_prompts
from genept.schema import CANARY

GENE = GeneEvidence(
    "ENSG1",
    "BRAF",
    "B-Raf proto-oncogene, serine/threonine kinase",
    (
        "This protein regulates the MAP kinase/ERK signaling pathway.",
        "Mutations in this gene, most commonly the V600E mutation, are found in melanoma.",
    ),
    ("summary@r1", "summary@r1"),
)


def outcome(text, prompt="gene-statement-lines", reason=""):
    form = load_prompts()[prompt].answer_format
    reply = Reply(text or "", "", "stop", "m", 1, 1)
    return ChatOutcome(Chat("?", answer_format=form), text, reason, (), reply)


def fates(*lines):
    rows = statements_of(outcome("".join(f"{line}\n" for line in lines)), GENE)
    return [row["fate"] for row in rows]


@pytest.mark.parametrize(
    ("line", "fate"),
    [
        ("[1] It regulates the ERK signaling pathway.", "kept"),
        ("[1] BRAF regulates the MAP kinase pathway.", "kept"),
        ("[2] Mutations of V600E are found in melanoma.", "kept"),
        ("[1] Mutations of V600E are found in melanoma.", "unsupported"),
        ("[2] Mutations of V600K are found in melanoma.", "unsupported"),
        ("[1] It regulates the ERK signaling pathway with KRAS.", "unsupported"),
        ("[1] It is expressed in the developing brain.", "unsupported"),
        ("[3] It regulates the ERK signaling pathway.", "no_citation"),
        (f"[1] It regulates ERK signaling {CANARY}.", "canary"),
        (f"[1] It regulates ERK signaling {CANARY.upper()}.", "canary"),
    ],
)
def test_a_statement_is_kept_if_the_line_that_it_cites_says_so(line, fate):
    assert fates(line) == [fate]


def test_what_was_stated_before_is_not_stated_again():
    line = "[1] It regulates the ERK signaling pathway."
    assert fates(line, line.replace("regulates", "Regulates")) == ["kept", "repeated"]


def test_json_is_checked_in_the_same_way():
    statements = [
        {"evidence": [1, 2, 1], "text": "It regulates  ERK signaling in melanoma."},
        {"evidence": [1, 9], "text": "It regulates the ERK signaling pathway."},
    ]
    text = json.dumps({"statements": statements})
    assert load_prompts()["gene-statements"].answer_format.fault(text) is None
    kept, other = statements_of(outcome(text, "gene-statements"), GENE)
    assert kept["statement"] == "It regulates ERK signaling in melanoma."
    assert kept["evidence"] == list(GENE.lines)
    assert (kept["fate"], other["fate"]) == ("kept", "no_citation")


def test_a_chat_without_an_answer_is_a_row_with_its_reason():
    (row,) = statements_of(outcome(None, reason="the model declined: no"), GENE)
    assert (row["fate"], row["statement"]) == ("no_answer", "the model declined: no")


@given(st.text(max_size=80), st.lists(st.text(max_size=60), max_size=3))
def test_support_is_a_share(statement, lines):
    assert 0 <= support(statement, lines) <= 1


@given(st.lists(st.sampled_from(GENE.lines[0].strip(".").split()), min_size=4))
def test_words_of_the_line_alone_are_supported(words):
    assert support(" ".join(words), GENE.lines) in (0.0, 1.0)
    assert support(GENE.lines[0], GENE.lines) == 1.0 > LEAST_SUPPORT


def test_the_form_of_lines_allows_no_number_beyond_two_digits():
    form = load_prompts()["gene-statement-lines"].answer_format
    assert isinstance(form, AnswerFormat)
    assert form.fault("[1] A statement about a gene.\n") is None
    assert form.fault("[100] A statement about a gene.\n")
    assert form.fault("A statement about a gene.\n")
