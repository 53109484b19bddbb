"""`genept games`: playing with scripts and models, what is printed beside controls, going on."""

import json
from pathlib import Path

import pytest
from installations import storage_settings
from loopback_chats import LoopbackChats
from loopback_openai import serving
from typer.testing import CliRunner

from genept.cli.games_commands import games
from genept.common.errors import StoreError

DECLARED = """
[models.loopback-a]
model = "loopback-chat"
context_tokens = 1000
dollars_per_million_tokens = 1
dollars_per_million_output_tokens = 2
"""
SMALL = ["donor", "--agents", "4", "--generations", "2", "--rounds", "3"]


@pytest.fixture
def service():
    service = LoopbackChats(
        lambda body: (
            json.dumps({"consideration": "", "percent": 50})
            if "response_format" in body
            else "I give \x1b[31mhalf."
        )
    )
    with serving(service) as service.url:
        yield service


@pytest.fixture(autouse=True)
def installation(tmp_path: Path, monkeypatch, object_store, store_prefix, service):
    (tmp_path / "models.toml").write_text(DECLARED)
    settings = {
        "state_dir": tmp_path / "state",
        "product": store_prefix.replace("tests/", "").replace("_", "-"),
        "language_models": tmp_path / "models.toml",
        "openai_base_url": service.url,
        "openai_api_key": "sk-planted",
        **storage_settings(object_store),
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"GENEPT_{name.upper()}", str(value))
    monkeypatch.setenv("COLUMNS", "160")


def run(*arguments, code=0, said=None):
    result = CliRunner().invoke(games, [*arguments], input=said)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


def row(output, name):
    (line,) = [line for line in output.splitlines() if line.strip().startswith(f"{name} ")]
    return line.split()


def test_a_scripted_game_stands_beside_its_controls():
    output = run(*SMALL, "--strategy", "give-all", "--seed", "3")
    assert row(output, "give-all")[1:5] == ["24", "80.0", "to", "80.0"]
    assert row(output, "never-give (control)")[2:6] == ["24", "10.0", "to", "10.0"]
    assert row(output, "tit-for-tat (control)")[2:6] == ["24", "33.8", "to", "33.8"]


def test_without_players_the_controls_alone_are_played():
    output = run(*SMALL)
    assert output.count("(control)") == 5
    assert run("list").count("3") == 0, "controls are not declared"


@pytest.mark.slow
def test_a_model_is_paid_for_after_a_question_and_shown_and_goes_on(service, tmp_path):
    model = ["--model", "loopback"]
    assert "at most $" in run(*SMALL, *model, code=1, said="n\n")
    assert not service.bodies
    paused = run(*SMALL, *model, "--minutes", "0", "--yes")
    assert "left out: loopback-a: 0 of 24 moves: play again to go on" in paused
    output = run(*SMALL, *model, "--yes", "--page", str(tmp_path / "games.html"))
    assert row(output, "loopback-a")[1:5] == ["24", "33.8", "to", "33.8"]
    assert "24 new moves" in output
    asked = len(service.bodies)
    assert "new moves" not in run(*SMALL, *model)
    assert len(service.bodies) == asked
    page = (tmp_path / "games.html").read_text()
    assert page.count("data:image/png") == 3
    assert "\x1b" not in page
    assert "24 of 24" in run("list")
    shown = run("show", "loopback-a")
    assert shown.count("survivor") == shown.count("learner") == 2
    assert "\x1b[31m" not in shown


def test_a_model_that_is_not_available_is_left_out_in_words(monkeypatch):
    monkeypatch.setenv("GENEPT_OPENAI_API_KEY", "")
    output = run(*SMALL, "--model", "loopback-a", code=1)
    assert "left out: loopback-a: loopback-a is a hosted model and there is no key" in output
    assert output.count("(control)") == 5


def test_players_in_one_game_are_named_together():
    output = run(*SMALL, "--strategy", "standing", "--strategy", "never-give", "--together")
    assert row(output, "standing + never-give")[3] == "24"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--strategy", "nobody"], "'nobody' is no strategy"),
        (["--model", "nobody"], "--model nobody: there are smollm2-135m"),
        (["--strategy", "give-all", "--multiplier", "900", "--rounds", "150"], "beyond all"),
    ],
)
def test_what_cannot_be_played_is_refused_in_words(arguments, words):
    with pytest.raises(StoreError, match=words):
        run(*SMALL, *arguments)


def test_rules_that_make_no_game_are_refused():
    with pytest.raises(ValueError, match="n_agents"):
        run("donor", "--agents", "1")


def test_only_a_game_that_is_there_is_shown():
    with pytest.raises(StoreError, match="'x' is the start of 0 ids"):
        run("show", "x")
