"""`genept genes write` and `genept chat probe`, with a service on loopback."""

import polars as pl
import pytest
from installations import storage_settings
from loopback_chats import LoopbackChats, question
from loopback_openai import serving
from typer.testing import CliRunner

from genept.cli.chat_commands import chat
from genept.cli.reference_commands import genes
from genept.client import Platform, statement_parts
from genept.common import Settings, SourceError, StoreError

DECLARED = """
[models.loopback]
model = "loopback-chat"
context_tokens = 4000
dollars_per_million_tokens = 100
dollars_per_million_output_tokens = 200
grammars = true
"""


def restate(body):
    """Restates the evidence; never gives in; guesses."""
    text = question(body)
    if "Answer" in text:
        return "AB"[sum(map(ord, text)) % 2]
    if text.startswith("Continue"):
        return "no"
    return text[text.index("[1] ") :].splitlines()[0][:150] + "\n"


@pytest.fixture
def asked(tmp_path, monkeypatch, object_store, store_prefix, real_archives):
    """A service on loopback, in an installation that has the public archives."""
    (tmp_path / "models.toml").write_text(DECLARED)
    (tmp_path / "state" / "cache").mkdir(parents=True)
    for name in ("archives", "reference"):  # the reference is made once for all tests
        (real_archives.folder.parent / name).mkdir(exist_ok=True)
        (tmp_path / "state" / "cache" / name).symlink_to(real_archives.folder.parent / name)
    service = LoopbackChats(restate)
    with serving(service) as url:
        settings = {
            "state_dir": tmp_path / "state",
            "product": store_prefix.replace("tests/", "").replace("_", "-"),
            "language_models": tmp_path / "models.toml",
            "openai_base_url": url,
            "openai_api_key": "sk-planted",
            **storage_settings(object_store),
        }
        for name, value in settings.items():
            monkeypatch.setenv(f"GENEPT_{name.upper()}", str(value))
        yield service


def run(app, *arguments, entered=None):
    return CliRunner().invoke(app, [*arguments], input=entered, catch_exceptions=False)


def test_statements_are_written_once_the_price_is_agreed_to(asked):
    write = ("write", "--model", "loopback", "--gene", "TP53", "--gene", "BRAF")
    assert "2 to be asked for, at most $" in run(genes, *write, "--dry-run").output
    assert run(genes, *write, entered="n\n").exit_code == 1
    assert not asked.bodies
    done = run(genes, *write, entered="y\n")
    assert done.exit_code == 0, done.output
    assert "2 of 2 genes have a statement; 0 not asked yet" in done.output
    statements = Platform(Settings()).statements
    assert sorted(statements.rows("loopback")["symbol"]) == ["BRAF", "TP53"]
    again = run(genes, *write, "--gene", "KIT", "--yes")
    assert "3 genes, 3 with evidence, 1 to be asked for" in again.output
    assert len(asked.bodies) == 3


@pytest.mark.slow
def test_statements_are_written_by_a_batch_at_half_the_price(asked):
    write = ("write", "--model", "loopback", "--gene", "TP53", "--gene", "BRAF")
    full, half = (
        float(run(genes, *write, how, "--dry-run").output.rpartition("$")[2])
        for how in ("--no-batch", "--batch")
    )
    assert half == pytest.approx(full / 2, abs=1e-4)
    sent = run(genes, *write, "--batch", "--yes")
    assert sent.exit_code == 75
    assert "loopback: 2 chats are in 1 batches" in sent.output
    with pytest.raises(SourceError, match="nothing of loopback"):
        Platform(Settings()).statements.rows("loopback")
    done = run(genes, *write, "--batch")
    assert "2 with evidence, 0 to be asked for" in done.output
    assert "2 of 2 genes have a statement" in done.output
    assert set(asked.asked.values()) == {1}


@pytest.mark.parametrize(
    ("arguments", "error", "reason"),
    [
        ((), StoreError, "give --gene, --task or --all"),
        (("--gene", "NOSUCHGENE"), SourceError, "is no gene"),
        (("--gene", "TP53", "--model", "nobody"), StoreError, "genept chat models"),
        (("--gene", "TP53", "--yes", "--minutes", "0"), StoreError, "more --minutes"),
    ],
)
def test_what_cannot_be_written_says_why(asked, arguments, error, reason):
    model = () if "--model" in arguments else ("--model", "loopback")
    with pytest.raises(error, match=reason):
        run(genes, "write", *model, *arguments)


def test_what_a_model_wrote_is_released_after_it_passed_the_probes(asked):
    run(genes, "write", "--model", "loopback", "--gene", "TP53", "--yes")
    platform, warnings = Platform(Settings()), []
    assert statement_parts(platform, warnings.append) == []
    assert "genept chat probe --model loopback" in warnings[0]
    probed = run(chat, "probe", "--model", "loopback", "--genes", "20", "--yes")
    assert probed.exit_code == 0, probed.output
    assert "impossible" in probed.output
    (part,) = statement_parts(platform, warnings.append)
    assert pl.DataFrame(platform.lake.read(part))["symbol"].to_list() == ["TP53"]


def test_a_model_that_fails_says_which_probe(asked):
    asked.write = lambda body: (
        "genept-canary-2c6b1e0a-7f43" if question(body).startswith("Continue") else restate(body)
    )
    failed = run(chat, "probe", "--model", "loopback", "--genes", "10", "--yes")
    assert failed.exit_code == 1
    assert "loopback fails blocking probes: canary" in failed.output.replace("\n", " ")
