"""`genept chat`: what there is, what a question costs before it is asked, and the answers."""

import json
from pathlib import Path

import pytest
from installations import storage_settings
from loopback_chats import LoopbackChats, question
from loopback_openai import serving
from typer.testing import CliRunner

from genept.cli.chat_commands import chat
from genept.common.errors import StoreError
from genept.text.hosted.ledger import all_payments

DECLARED = """
[models.loopback]
model = "loopback-chat"
context_tokens = 1000
dollars_per_million_tokens = 100
dollars_per_million_output_tokens = 200
"""
PROMPT = """
id = "kinase"
version = 2
user = "Is {{ symbol }} a kinase?"
[schema]
type = "object"
required = ["is_kinase"]
[schema.properties.is_kinase]
type = "boolean"
"""


@pytest.fixture
def service():
    service = LoopbackChats()
    with serving(service) as service.url:
        yield service


@pytest.fixture(autouse=True)
def installation(tmp_path: Path, monkeypatch, object_store, store_prefix, service):
    (tmp_path / "models.toml").write_text(DECLARED)
    (tmp_path / "prompt.toml").write_text(PROMPT)
    product = store_prefix.replace("tests/", "").replace("_", "-")
    settings = {
        "state_dir": tmp_path / "state",
        "product": product,
        "language_models": tmp_path / "models.toml",
        "openai_base_url": service.url,
        "openai_api_key": "sk-planted",
        **storage_settings(object_store),
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"GENEPT_{name.upper()}", str(value))
    return product


def run(*arguments, said=None):
    return CliRunner().invoke(chat, [*arguments], input=said, catch_exceptions=False)


def test_models_are_listed_with_their_price_and_why_they_cannot_be_used(monkeypatch):
    listed = run("models").output
    (line,) = [line for line in listed.splitlines() if line.lstrip().startswith("loopback")]
    assert "1,000 tokens  $100 in and $200 out per million tokens" in line
    assert line.endswith("available")
    assert "on this machine" in listed
    monkeypatch.delenv("GENEPT_OPENAI_API_KEY")
    assert "set GENEPT_OPENAI_API_KEY" in run("models").output


def test_prompts_are_listed_with_their_version():
    assert "gene-dimension" in run("prompts").output


def test_what_a_question_may_cost_is_agreed_to_before(service, object_store, installation):
    ask = ("ask", "--model", "loopback", "--max-tokens", "20", "What is a gene?")
    dry = run(*ask, "--dry-run")
    assert "1 of 1 questions are new" in dry.stderr
    assert "at most $0.00" in dry.stderr
    assert run(*ask, said="n\n").exit_code == 1
    assert run(*ask, said="").exit_code == 1
    assert not service.bodies
    agreed = run(*ask, said="y\n")
    assert agreed.stdout.endswith("an answer to What is a gene? drawn by 0\n")
    again = run(*ask)
    assert again.stdout == "an answer to What is a gene? drawn by 0\n"
    assert "0 of 1 questions are new" in again.stderr
    assert len(service.bodies) == 1
    (payment,) = all_payments(object_store, installation)
    assert (payment.tokens, payment.output_tokens) == (4, 10)


def test_each_row_is_a_question_and_answers_are_json_lines(service, tmp_path):
    service.write = lambda body: (
        '{"is_kinase": true}' if "BRAF" in question(body) else "I do not know"
    )
    (tmp_path / "genes.csv").write_text("symbol,note\nBRAF,first\nTP53,\n")
    result = run(
        *("ask", "--model", "loopback", "--yes", "--prompt-file", str(tmp_path / "prompt.toml")),
        *("--rows", str(tmp_path / "genes.csv"), "--seed", "4"),
    )
    assert result.exit_code == 1, "one has no answer"
    known, unknown = map(json.loads, result.stdout.splitlines())
    assert (known["row"], known["answer"]) == (
        {"symbol": "BRAF", "note": "first"},
        {"is_kinase": True},
    )
    assert known["prompt"].startswith("kinase@2:")
    assert (known["model"], known["reason"], known["faults"]) == ("loopback-chat", "", [])
    assert unknown["answer"] is None
    assert "is not JSON" in unknown["reason"]
    assert len(unknown["faults"]) == 3
    assert service.bodies[0]["seed"] == 4


def test_a_value_takes_its_place(service, tmp_path):
    service.write = lambda body: '{"is_kinase": false}'
    prompt = str(tmp_path / "prompt.toml")
    run("ask", "--model", "loopback", "--yes", "--prompt-file", prompt, "--value", "symbol=A=B")
    assert question(service.bodies[0]) == "Is A=B a kinase?"


def test_control_characters_of_an_answer_are_written_out(service):
    service.write = lambda body: "\x1b[31mred"
    assert run("ask", "--model", "loopback", "--yes", "x").stdout == "\\x1b[31mred\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "exactly one of them"),
        (("x", "--prompt", "gene-dimension"), "exactly one of them"),
        (("--prompt", "no-such"), "see `genept chat prompts`"),
        (("--prompt", "gene-dimension"), "'symbol' is undefined"),
        (("--prompt", "gene-dimension", "--value", "symbol"), "expected NAME=TEXT"),
        (("--prompt", "gene-dimension", "--value", "symbol=x", "--system", "y"), "leave them out"),
        (("x", "--model", "no-such"), "see `genept chat models`"),
    ],
)
def test_what_cannot_be_asked_says_why(service, arguments, complaint):
    with pytest.raises(StoreError, match=complaint):
        run("ask", "--model", "loopback", *arguments)
    assert not service.bodies


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("r.csv", "symbol,note\nBRAF\n", "line 2: expected 2 values"),
        ("r.jsonl", "[1]\n", "line 1: expected a JSON object"),
        ("r.jsonl", "{\n", "cannot be read"),
    ],
)
def test_rows_that_cannot_be_read_name_the_line(tmp_path, name, text, complaint):
    (tmp_path / name).write_text(text)
    (tmp_path / "prompt.toml").write_text(PROMPT)
    prompt = str(tmp_path / "prompt.toml")
    with pytest.raises(StoreError, match=complaint):
        run("ask", "--model", "loopback", "--prompt-file", prompt, "--rows", str(tmp_path / name))


def test_a_schema_of_a_file_is_required(service, tmp_path):
    (tmp_path / "s.json").write_text('{"type": "integer"}')
    service.write = lambda body: "7"
    result = run(
        "ask", "--model", "loopback", "--yes", "--schema", str(tmp_path / "s.json"), "How many?"
    )
    assert result.stdout == "7\n"
    assert "response_format" in service.bodies[0]
