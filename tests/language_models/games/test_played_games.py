"""Games of an installation: kept by the move, played on after kills, put beside their controls."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import polars as pl
import pytest
from game_run import PLAYERS, RULES
from hosted_step import SUPPORT
from installations import PROJECT, storage_settings
from loopback_chats import LoopbackChats
from loopback_openai import serving

from genept.client.pages.games_page import games_pages, render_games
from genept.common.settings import Settings
from genept.language_models.chats import RefusedChatError
from genept.language_models.games import donor_game
from genept.language_models.games.declared_games import DeclaredGame, controls_of
from genept.language_models.games.donor_figures import draw_games, mean_resources
from genept.language_models.games.donor_rules import DonorGame
from genept.language_models.games.donor_runs import (
    beside_controls,
    forecast_game,
    play_games,
    tables_of_games,
)
from genept.language_models.games.donor_tables import DONOR_TABLES, donor_rows, fault_kind
from genept.language_models.games.played_games import PlayedGames
from genept.language_models.games.scripted_agents import CONTROLS
from genept.language_models.model_registry import LanguageModels
from genept.schema.tables import WORKING_TABLES
from genept.storage.hashes import sha256_of
from genept.text.hosted.ledger import all_payments
from validation import check_table

DECLARED = """
[models.loopback]
model = "loopback-chat"
context_tokens = 1000
dollars_per_million_tokens = 1
dollars_per_million_output_tokens = 2
"""
SMALL = DonorGame(n_agents=4, n_generations=3, n_rounds=2)
N_MOVES = 4 * 3 * 2
MOMENTS = random.Random(5)  # noqa: S311 - moments, not secrets


def drawn(body):
    """A move or a strategy that the seed decides."""
    if "response_format" not in body:
        return f"Strategy {body['seed'] % 1000}."
    answer = {"consideration": "", "percent": body["seed"] % 101}
    if "punish" in str(body["response_format"]):
        answer["kind"] = ["give", "punish"][body["seed"] % 2]
    return json.dumps(answer)


@pytest.fixture
def service():
    service = LoopbackChats(drawn)
    with serving(service) as service.url:
        yield service


@pytest.fixture
def described(tmp_path, object_store, store_prefix, service):
    """Settings as JSON values."""
    (tmp_path / "models.toml").write_text(DECLARED)
    return {
        "state_dir": str(tmp_path / "state"),
        **storage_settings(object_store),
        "product": store_prefix.replace("tests/", "").replace("_", "-"),
        "openai_base_url": service.url,
        "openai_api_key": "sk-planted-marker-key",
        "language_models": str(tmp_path / "models.toml"),
    }


@pytest.fixture
def games(described, object_store):
    def open_(**changes):
        settings = Settings(**described | changes)
        return PlayedGames(object_store, settings.product, LanguageModels(settings))

    return open_


def declared(games, *players, rules=SMALL):
    return DeclaredGame.of(rules, players, games.models)


def test_a_game_is_played_once_and_read_by_everyone(service, games):
    played = games().play(declared(games(), "loopback"))
    assert played.result.is_complete
    assert played.n_new == N_MOVES
    asked = sum(service.asked.values())
    assert asked == N_MOVES + 4 + 2 + 2
    again = games().play(declared(games(), "loopback"))
    read = games(openai_api_key="").read(declared(games(), "loopback"))
    assert again.n_new == read.n_new == 0
    assert donor_rows(again) == donor_rows(read) == donor_rows(played)
    assert sum(service.asked.values()) == asked
    assert games().declared.ids == [played.declared.id]


@pytest.mark.slow
def test_as_much_is_played_as_fits_and_the_rest_later(service, games):
    service.seconds = 0.05
    game = declared(games(), "loopback")
    first = games().play(game, seconds=0.6)
    assert not first.result.is_complete
    assert 0 <= first.n_new < N_MOVES
    paused = games().read(game)
    assert donor_rows(paused) == donor_rows(first)
    service.seconds = 0
    rest = games().play(game)
    assert rest.result.is_complete
    assert first.n_new + rest.n_new == N_MOVES
    other = games(product="another-product").play(game)
    assert donor_rows(other) == donor_rows(rest)


def test_no_time_is_no_question(service, games):
    run = play_games(games(), SMALL, [("loopback",)], minutes=0)
    assert not service.bodies
    assert run.left_out == {"loopback": f"0 of {N_MOVES} moves: play again to go on"}
    rows = beside_controls(games(), run)
    assert rows["donor_games"].filter(~pl.col("is_control"))["n_moves"].to_list() == [0]


@pytest.mark.slow
def test_after_kills_the_game_goes_on_and_nothing_is_paid_twice(
    service, described, object_store, games, tmp_path
):
    service.seconds = 0.03
    (tmp_path / "settings.json").write_text(json.dumps(described))
    command = [sys.executable, str(SUPPORT / "game_run.py"), str(tmp_path / "settings.json")]
    environment = os.environ | {"PYTHONPATH": f"{PROJECT}:{SUPPORT}"}
    kills = 0
    for _ in range(3):
        asked = sum(service.asked.values())
        run = subprocess.Popen(command, env=environment, text=True)
        end = time.monotonic() + 100
        while sum(service.asked.values()) < asked + 5 and run.poll() is None:
            assert time.monotonic() < end
            time.sleep(0.005)
        time.sleep(MOMENTS.uniform(0, 0.3))
        run.send_signal(signal.SIGKILL)
        kills += run.wait() == -signal.SIGKILL
    assert kills == 3
    killed_at = len(service.asked)
    ended = subprocess.run(
        command, env=environment, text=True, capture_output=True, timeout=200, check=False
    )
    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout.splitlines()[-1])
    assert 0 < result["n_new"] < RULES.n_moves, "the kills came too late to test anything"
    asked = sum(service.asked.values())
    assert killed_at < len(service.asked)
    assert asked <= len(service.asked) + kills, "one request was under way each time"
    payments = all_payments(object_store, described["product"])
    assert sum(payment.n_texts for payment in payments) == len(service.asked)

    unharmed = games(product="unharmed-product")
    whole = unharmed.play(declared(unharmed, *PLAYERS, rules=RULES))
    assert result["rows"] == sha256_of(donor_rows(whole))
    assert any(move.is_noise for move in whole.result.moves)
    assert any(move.punished for move in whole.result.moves)


def test_who_would_play_the_same_game_waits_until_it_is_over(service, games):
    game = declared(games(), "loopback")
    waits, results, threads = threading.Event(), [], []

    def play_too():
        results.append(games().play(game, waiting=lambda _: waits.set()))

    def moved(_):
        if not threads:
            threads.append(threading.Thread(target=play_too))
            threads[0].start()
            assert waits.wait(60)

    first = games().play(game, moved=moved)
    threads[0].join(60)
    assert first.n_new == N_MOVES
    assert results[0].n_new == 0
    assert donor_rows(results[0]) == donor_rows(first)
    assert set(service.asked.values()) == {1}


def test_players_of_several_kinds_pass_on_what_they_are(games):
    rules = DonorGame(n_agents=6, n_generations=4, n_rounds=3, inheritance="lineage")
    played = games().play(declared(games(), "loopback", "never-give", "give-half", rules=rules))
    rows = pl.DataFrame(donor_rows(played)["donor_strategies"])
    assert rows.filter(generation=0)["player"].to_list() == [
        *("loopback", "never-give", "give-half"),
        *("loopback", "never-give", "give-half"),
    ]
    by_place = {(row["generation"], row["agent"]): row for row in rows.iter_rows(named=True)}
    for row in rows.filter(pl.col("generation") > 0).iter_rows(named=True):
        (parent,) = row["parents"]
        before = by_place[row["generation"] - 1, parent]
        assert before["player"] == row["player"]
        if row["origin"] == "survivor" or row["player"] != "loopback":
            assert before["strategy"] == row["strategy"]
    for (generation, agent), row in by_place.items():
        learned = [
            later for (number, _), later in by_place.items()
            if number == generation + 1 and later["origin"] == "learner"
            and agent in later["parents"]
        ]  # fmt: skip
        assert row["n_children"] == len(learned)


def test_a_player_that_is_not_there_is_refused_or_left_out(games):
    with pytest.raises(RefusedChatError, match="'nobody' is no strategy"):
        declared(games(), "nobody")
    with pytest.raises(RefusedChatError, match="5 players for 4 agents"):
        declared(games(), *["loopback"] * 5)
    keyless = games(openai_api_key="")
    run = play_games(keyless, SMALL, [("loopback",), ("standing",)])
    assert list(run.left_out) == ["loopback"]
    assert "there is no key" in run.left_out["loopback"]
    assert [game.declared.players for game in run.games] == [("standing",)]


def test_another_model_under_the_same_id_plays_another_game(games, tmp_path):
    first = declared(games(), "loopback")
    (tmp_path / "others.toml").write_text(DECLARED.replace("loopback-chat", "loopback-2"))
    others = games(language_models=str(tmp_path / "others.toml"))
    assert declared(others, "loopback").id != first.id


def test_tables_hold_every_game_beside_its_controls(games, lake):
    play_games(games(), SMALL, [("loopback",), ("give-all",)])
    parts, unreadable = tables_of_games(lake, games())
    assert unreadable == {}
    rows = {name: lake.read([p for p in parts if p.table == name]) for name in DONOR_TABLES}
    assert rows["donor_games"].height == 2 + len(CONTROLS)
    assert rows["donor_games"]["is_control"].sum() == len(CONTROLS)
    assert rows["donor_games"]["rules"].n_unique() == 1
    assert rows["donor_moves"].height == N_MOVES * 7
    assert rows["donor_strategies"].height == 12 * 7
    for name in DONOR_TABLES:
        assert rows[name].columns == [column.name for column in WORKING_TABLES[name].columns]
        assert check_table(lake, lake.assemble(name, parts)).failed == ()
    again = tables_of_games(lake, games())
    assert again == (parts, {}), "what did not change is not written again"
    assert {control.players for control in controls_of(SMALL)} == {(name,) for name in CONTROLS}


def test_a_game_that_this_version_plays_otherwise_is_left_out_in_words(games, lake, monkeypatch):
    play_games(games(), SMALL, [("loopback",), ("give-all",)])
    everyone = donor_game.pairs_of
    monkeypatch.setattr(donor_game, "pairs_of", lambda *where: everyone(*where)[::-1])
    parts, unreadable = tables_of_games(lake, games())
    ((id_, why),) = unreadable.items()
    assert id_.startswith("loopback-")
    assert "cannot come here" in why
    assert not [part for part in parts if part.partition == (id_,)]
    assert len([part for part in parts if part.table == "donor_games"]) == 1 + len(CONTROLS)
    page = render_games(
        {name: lake.read([p for p in parts if p.table == name]) for name in DONOR_TABLES},
        unreadable,
    ).decode()
    assert f"{id_} is not shown" in page


def test_a_release_has_a_page_of_games_only_if_some_were_played(games, lake):
    assert games_pages(lake, games()) == {}
    play_games(games(), SMALL, [("loopback",)])
    ((path, page),) = games_pages(lake, games()).items()
    assert path == "language_models/donor_games.html"
    assert page.count(b"data:image/png") == 3
    assert all(f"{name} (control)".encode() in page for name in CONTROLS)


def test_faults_are_counted_by_kind(games, service):
    service.write = lambda body: (
        '{"consideration": "", "percent": 130}' if "response_format" in body else "All."
    )
    (row,) = donor_rows(games().play(declared(games(), "loopback")))["donor_games"]
    assert row["faults"] == [f"no answer in form: {N_MOVES}"]
    assert (row["n_faults"], row["n_rejected"], row["given"]) == (N_MOVES, 3 * N_MOVES, 0.0)
    assert [
        fault_kind(fault)
        for fault in (
            "", "wanted to give 'x', which is no number", "wanted to give nan of 10",
            "wanted to punish for 1, which these rules do not allow",
            "no answer: the model declined: no",
        )
    ] == ["", "no number", "outside of bounds", "not allowed", "declined"]  # fmt: skip


def test_figures_show_games_beside_controls(games):
    run = play_games(games(), SMALL, [("loopback",)])
    rows = beside_controls(games(), run)
    frames = [rows[name] for name in DONOR_TABLES]
    figures = draw_games(*frames)
    kinds = [figure.name.split("-")[0] for figure in figures]
    assert kinds == ["resources", "shares", "lineage"]
    assert all(figure.png.startswith(b"\x89PNG") for figure in figures)
    assert "loopback" in figures[0].words
    assert all(f"{name} (control)" in figures[1].words for name in CONTROLS)
    assert draw_games(*frames)[2].png == figures[2].png
    other = draw_games(*[frame.filter(pl.col("game_id") != "x") for frame in frames])
    assert other[0].png == figures[0].png


def test_resources_are_those_before_each_round_and_at_the_end(games):
    three_rounds = DonorGame(n_agents=4, n_generations=3, n_rounds=3)
    run = play_games(games(), three_rounds, [("give-all",)])
    rows = beside_controls(games(), run)
    moves, strategies = (
        rows[name].filter(game_id=run.games[0].declared.id)
        for name in ("donor_moves", "donor_strategies")
    )
    means = mean_resources(moves, strategies)
    assert means["wealth"].to_list() == [10.0, 20.0, 40.0, 80.0] * 3
    assert means["round"].to_list() == [0, 1, 2, 3] * 3


def test_what_a_game_may_cost_is_no_less_than_what_it_costs(games, object_store, described):
    game = declared(games(), "loopback")
    most = forecast_game(games(), game)
    games().play(game)
    paid = sum(it.dollars for it in all_payments(object_store, described["product"]))
    assert 0 < paid <= most
    assert forecast_game(games(), game) == 0
    assert forecast_game(games(), declared(games(), "standing")) == 0
