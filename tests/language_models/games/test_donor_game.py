"""The Donor Game: its arithmetic, what donors see and may give, and going on after a kill."""

import itertools
import math
import time
from random import Random

import pytest
from pydantic import ValidationError

from genept.language_models.games.donor_game import GameError, pairs_of, play, trace_of
from genept.language_models.games.donor_rules import DonorGame, Move
from genept.language_models.games.scripted_agents import (
    SCRIPTED,
    ScriptedAgent,
    imitate,
    imitate_or_invent,
)

GAME = DonorGame()
MIXED = [SCRIPTED[name] for name in itertools.islice(itertools.cycle(sorted(SCRIPTED)), 12)]


def of(**numbers):
    return [SCRIPTED[name.replace("_", "-")] for name, n in numbers.items() for _ in range(n)]


class Wants:
    """An agent that wants to give what it is made with."""

    strategy = "wants"

    def __init__(self, amount):
        self.amount = amount

    def give(self, situation):
        return self.amount


@pytest.mark.parametrize(
    ("strategy", "wealth"),
    [
        ("never-give", 10.0),
        ("give-half", 10 * 1.5**12),  # each gives half and gets twice the half of an equal
        ("tit-for-tat", 10 * 1.5**12),
        ("standing", 10 * 1.5**12),
    ],
)
def test_a_population_of_one_strategy_ends_as_computed_by_hand(strategy, wealth):
    result = play(GAME, [SCRIPTED[strategy]] * 12, imitate)
    assert len(result.scores) == 10
    for score in result.scores:
        assert score.wealth == pytest.approx([wealth] * 12)
        assert score.mean_wealth == pytest.approx(wealth)


def test_a_gift_costs_what_it_is_and_brings_twice_that():
    result = play(GAME, MIXED, imitate_or_invent(0.2))
    for generation in range(10):
        moves = [move for move in result.moves if move.generation == generation]
        given = math.fsum(move.given for move in moves)
        assert math.fsum(result.scores[generation].wealth) == pytest.approx(120 + given)
        assert len(moves) == 144


def test_everyone_gives_once_and_receives_once_in_a_round_and_never_to_itself():
    for generation, round_ in itertools.product(range(3), range(12)):
        pairs = pairs_of(GAME, generation, round_)
        assert sorted(donor for donor, _ in pairs) == list(range(12))
        assert sorted(recipient for _, recipient in pairs) == list(range(12))
        assert all(donor != recipient for donor, recipient in pairs)
    assert len({tuple(pairs_of(GAME, 0, round_)) for round_ in range(12)}) == 12


def test_a_full_game_of_scripted_agents_takes_less_than_seconds():
    began = time.perf_counter()
    result = play(GAME, MIXED, imitate)
    assert len(result.moves) == 10 * 12 * 12
    assert time.perf_counter() - began < 5


def test_never_givers_take_over_from_blind_givers_but_not_from_those_who_look():
    blind = play(GAME, of(give_half=9, never_give=3), imitate).scores[-1].strategies
    looking = play(GAME, of(standing=9, never_give=3), imitate).scores[-1].strategies
    assert set(blind) == {"never-give"}
    assert set(looking) == {"standing"}


def test_the_richest_survive_and_the_rest_learn_from_them():
    result = play(GAME, MIXED, imitate)
    first, second = result.scores[:2]
    ranked = sorted(range(12), key=lambda number: -first.wealth[number])
    survivors = [first.strategies[number] for number in ranked[:6]]
    assert sorted(second.strategies[:6]) == sorted(survivors)
    assert set(second.strategies[6:]) <= set(survivors)


def test_a_donor_sees_what_its_recipient_did_and_to_whom_and_what_that_one_had_done():
    moves = [
        Move(0, 0, 0, 1, 10, 1), Move(0, 0, 1, 2, 10, 2), Move(0, 0, 2, 0, 10, 3),
        Move(0, 1, 0, 2, 10, 4), Move(0, 1, 2, 1, 10, 5), Move(0, 1, 1, 0, 10, 6),
        Move(0, 2, 0, 1, 10, 7), Move(0, 2, 1, 2, 10, 8), Move(0, 2, 2, 0, 10, 9),
    ]  # fmt: skip
    assert [move.given for move in trace_of(moves, 0, 3)] == [7, 6, 1]
    assert [move.given for move in trace_of(moves, 0, 2)] == [7, 6]
    assert [move.given for move in trace_of(moves[:3], 1, 3)] == [2]
    assert trace_of([], 1, 3) == ()
    assert trace_of(moves, 0, 0) == ()


@pytest.mark.parametrize("amount", [13.0, 10.000001, -1.0, math.nan, math.inf, True, "5", None])
def test_what_cannot_be_given_is_not_given_and_counted(amount):
    result = play(DonorGame(n_generations=1, n_rounds=1), [Wants(amount)] * 12, imitate)
    assert result.scores[0].n_faults == 12
    assert result.scores[0].wealth == (10.0,) * 12
    assert all(move.given == 0 and move.fault.startswith("wanted to give") for move in result.moves)


@pytest.mark.parametrize("amount", [0, 10, 10.0, 2.5])
def test_what_can_be_given_is(amount):
    result = play(DonorGame(n_generations=1, n_rounds=1), [Wants(amount)] * 12, imitate)
    assert result.scores[0].n_faults == 0
    assert result.scores[0].wealth == pytest.approx([10 + amount] * 12)


def test_wealth_never_becomes_negative():
    for seed in range(20):
        result = play(DonorGame(seed=seed), [SCRIPTED["random"]] * 12, imitate)
        assert all(0 <= move.given <= move.wealth for move in result.moves)


class Interrupted(Exception):  # noqa: N818 - what happens, not what is wrong
    pass


@pytest.mark.parametrize("after", [0, 1, 100, 143, 144, 145, 1000, 1439, 1440])
def test_a_game_goes_on_by_the_move_and_asks_nobody_again(after):
    learn = imitate_or_invent(0.3)
    whole = play(GAME, MIXED, learn)
    moves = []

    def record(move):
        if len(moves) == after:
            raise Interrupted
        moves.append(move)

    if after < len(whole.moves):
        with pytest.raises(Interrupted):
            play(GAME, MIXED, learn, record=record)
    else:
        play(GAME, MIXED, learn, record=moves.append)
    rest = []
    assert play(GAME, MIXED, learn, recorded=moves, record=rest.append) == whole
    assert len(rest) == len(whole.moves) - after


def test_one_seed_is_one_game_and_another_seed_another():
    def moves(seed):
        return play(DonorGame(seed=seed), [SCRIPTED["random"]] * 12, imitate).moves

    assert moves(1) == moves(1)
    assert moves(1) != moves(2)


def test_moves_of_another_game_are_refused():
    whole = play(GAME, MIXED, imitate)
    with pytest.raises(GameError, match="cannot come here"):
        play(DonorGame(seed=1), MIXED, imitate, recorded=whole.moves)
    with pytest.raises(GameError, match="goes on after the last move"):
        play(DonorGame(n_generations=9), MIXED, imitate, recorded=whole.moves)
    with pytest.raises(GameError, match="expected 12 founders, got 2"):
        play(GAME, MIXED[:2], imitate)


@pytest.mark.parametrize(
    "change",
    [{"n_agents": 1}, {"surviving_share": 1.0}, {"endowment": math.inf}, {"n_round": 3}],
)
def test_rules_that_make_no_game_are_refused(change):
    with pytest.raises(ValidationError):
        DonorGame(**change)


def test_some_survive_and_some_do_not():
    shares = (0.01, 0.5, 0.99)
    assert [DonorGame(n_agents=2, surviving_share=s).n_survivors for s in shares] == [1, 1, 1]
    assert [DonorGame(surviving_share=s).n_survivors for s in shares] == [1, 6, 11]


def test_inventing_brings_strategies_that_nobody_has():
    learn = imitate_or_invent(1.0)
    chances = [Random(seed) for seed in range(60)]  # noqa: S311 - a game
    invented = {learn([ScriptedAgent("random")], chance).strategy for chance in chances}
    assert invented == set(SCRIPTED)
