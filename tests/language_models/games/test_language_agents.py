"""Agents of the Donor Game that ask a language model, on loopback."""

import re
from collections import Counter
from random import Random

import pytest
from loopback_chats import question

from genept.language_models.chats import ChatError
from genept.language_models.completion import complete
from genept.language_models.games.donor_game import play
from genept.language_models.games.donor_rules import DonorGame, Situation
from genept.language_models.games.donor_tables import fault_kind
from genept.language_models.games.language_agents import language_agents

SMALL = DonorGame(n_agents=4, n_generations=2, n_rounds=3)
CHANCE = Random(1)  # noqa: S311 - a game


def is_move(body):
    return "response_format" in body


@pytest.fixture
def ask(hosted, new_cache):
    client = hosted()
    cache = new_cache(client)
    return lambda chat: complete(client, cache, [chat])[0]


def test_a_model_that_gives_half_does_as_the_scripted_agent(service, ask):
    service.write = lambda body: (
        '{"consideration": "half", "percent": 50}' if is_move(body) else "I give\n half."
    )
    founders, learn = language_agents(SMALL, ask)
    result = play(SMALL, founders, learn)
    for score in result.scores:
        assert score.wealth == pytest.approx([10 * 1.5**3] * 4)
        assert set(score.strategies) == {"I give half."}
        assert score.n_faults == 0


@pytest.mark.parametrize("wealth", [7.1, 9.95, 10 / 3, 1.1**40])
def test_all_is_no_more_than_all(service, ask, wealth):
    """100 per cent of ten thirds, as 10 / 3 * 100 / 100, would be more than that."""
    service.write = lambda body: (
        '{"consideration": "", "percent": 100}' if is_move(body) else "I give all."
    )
    (agent, *_), _ = language_agents(SMALL, ask)
    situation = Situation(0, 0, wealth, wealth, (), CHANCE)
    assert agent.give(situation).amount == wealth


def test_what_is_considered_is_written_before_what_is_given(service, ask):
    service.write = lambda body: (
        '{"consideration": "", "kind": "give", "percent": 1}' if is_move(body) else "I give."
    )
    for rules in (SMALL, DonorGame(**SMALL.model_dump() | {"punishment": 3})):
        founders, _ = language_agents(rules, ask)
        founders[0].give(Situation(0, 0, 10, 10, (), CHANCE, rules.punishment))
        schema = service.bodies[-1]["response_format"]["json_schema"]["schema"]
        assert next(iter(schema["properties"])) == "consideration"


def test_a_donor_is_shown_what_it_may_know(service, ask):
    service.write = lambda body: (
        '{"consideration": "", "percent": 20}' if is_move(body) else "I give little."
    )
    founders, learn = language_agents(SMALL, ask)
    play(SMALL, founders, learn)
    moves = [body for body in service.bodies if is_move(body)]
    assert "The recipient has not been a donor yet." in question(moves[0])
    assert "You have 10.00 units" in question(moves[0])
    assert all("Your strategy: I give little." in m["messages"][0]["content"] for m in moves)
    lengths = Counter(len(re.findall("gave 20 percent", question(move))) for move in moves)
    assert lengths == {0: 8, 1: 8, 2: 8}
    assert not any("round" in question(move) for move in moves), "the end is not announced"
    learners = [question(body) for body in service.bodies if not is_move(body)]
    assert [text.count("- I give little.") for text in learners] == [0, 0, 0, 0, 2, 2]


def test_more_than_all_is_out_of_form_and_then_a_fault(service, ask):
    service.write = lambda body: (
        '{"consideration": "generous", "percent": 130}'
        if is_move(body)
        else "I give more than all."
    )
    founders, learn = language_agents(SMALL, ask)
    result = play(SMALL, founders, learn)
    assert all(move.given == 0 and move.n_rejected == 3 for move in result.moves)
    assert {fault_kind(move.fault) for move in result.moves} == {"no answer in form"}
    assert [score.n_faults for score in result.scores] == [12, 12]
    assert sum(map(is_move, service.bodies)) == 3 * 24


def test_a_game_that_is_played_again_asks_for_nothing(service, ask):
    def write(body):
        if is_move(body):
            return f'{{"consideration": "", "percent": {body["seed"] % 101}}}'
        return f"Strategy {body['seed']}."

    service.write = write
    results = [play(SMALL, *language_agents(SMALL, ask)) for _ in range(2)]
    assert results[0] == results[1]
    assert len(service.bodies) == 24 + 4 + 2
    assert len({score.strategies for score in results[0].scores}) == 2
    play(SMALL, *language_agents(DonorGame(**SMALL.model_dump() | {"seed": 1}), ask))
    assert len(service.bodies) > 30


def test_a_model_may_punish_where_the_rules_say_so(service, ask):
    rules = DonorGame(**SMALL.model_dump() | {"punishment": 3})
    service.write = lambda body: (
        '{"consideration": "", "kind": "punish", "percent": 10}' if is_move(body) else "I punish."
    )
    founders, learn = language_agents(rules, ask)
    result = play(rules, founders, learn)
    assert all(move.punished == pytest.approx(move.wealth / 10) for move in result.moves)
    assert result.scores[0].wealth == pytest.approx([10 * 0.6**3] * 4)  # less 0.1, less 3 x 0.1
    moves = [question(body) for body in service.bodies if is_move(body)]
    assert all("loses 3.0 units for each unit that you pay" in text for text in moves)
    assert "The recipient paid 10 percent of what it had to punish" in moves[-1]
    strategies = [m["messages"][0]["content"] for m in service.bodies if not is_move(m)]
    assert all("You may punish in place of giving" in text for text in strategies)


def test_a_model_without_a_strategy_cannot_play(service, ask):
    service.faults = ["refusal"]
    with pytest.raises(ChatError, match="an agent has no strategy: the model declined"):
        language_agents(SMALL, ask)
