"""What the Donor Game must do whoever plays: bounds, arithmetic, noise, punishment, inheritance."""

import itertools
import math
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genept.language_models.games.donor_game import GameError, balance, play
from genept.language_models.games.donor_rules import (
    Action,
    DonorGame,
    Move,
    PausedGameError,
)
from genept.language_models.games.scripted_agents import SCRIPTED, imitate

SEEDS = range(20)


def of(**numbers):
    return [SCRIPTED[name.replace("_", "-")] for name, n in numbers.items() for _ in range(n)]


def winners(founders, **rules):
    """How many of the seeds each strategy has taken over whole."""
    ends = [play(DonorGame(seed=s, **rules), founders, imitate).scores[-1] for s in SEEDS]
    return Counter(end.strategies[0] for end in ends if len(set(end.strategies)) == 1)


HOSTILE = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(min_value=-(10**400), max_value=10**400),
    st.booleans(),
    st.none(),
    st.text(max_size=5),
    st.just(10.0),
    st.just([1.0]),
    st.builds(Action, st.floats(), st.booleans(), st.sampled_from(["", "no answer: x"])),
)


@dataclass
class Hostile:
    """Wants the next of what it is made with."""

    wishes: object
    strategy: str = "hostile"

    def give(self, situation):
        return next(self.wishes)


@given(
    st.lists(HOSTILE, min_size=1, max_size=30),
    st.builds(
        DonorGame,
        n_agents=st.integers(2, 5),
        n_generations=st.integers(1, 3),
        n_rounds=st.integers(1, 4),
        multiplier=st.floats(0.1, 10),
        noise=st.sampled_from([0.0, 0.3]),
        punishment=st.sampled_from([0.0, 3.0]),
        inheritance=st.sampled_from(["prompt", "lineage"]),
        seed=st.integers(0, 99),
    ),
)
@settings(max_examples=150, deadline=None)
def test_no_agent_gives_more_than_it_has_or_less_than_nothing(wishes, rules):
    endless = itertools.cycle(wishes)
    agents = [Hostile(endless) for _ in range(rules.n_agents)]
    result = play(rules, agents, lambda parents, _: parents[0])
    assert len(result.moves) == rules.n_moves
    for move in result.moves:
        assert 0 <= move.given <= move.wealth
        assert 0 <= move.punished <= move.wealth
        assert not (move.given and move.punished)
        assert type(move.given) is float
        assert not move.punished or rules.punishment
        assert 0 <= move.share <= 1
        assert not (move.fault and (move.given or move.punished))
    for score in result.scores:
        assert all(math.isfinite(wealth) and wealth >= 0 for wealth in score.wealth)


@pytest.mark.parametrize("multiplier", [0.5, 2.0, 3.0])
def test_who_all_give_all_multiply_by_the_multiplier_in_every_round(multiplier):
    rules = DonorGame(multiplier=multiplier, n_generations=2)
    result = play(rules, of(give_all=12), imitate)
    for move in result.moves:
        assert move.wealth == 10 * multiplier**move.round
    assert all(score.wealth == (10 * multiplier**12,) * 12 for score in result.scores)


def test_who_never_give_stay_as_they_are():
    result = play(DonorGame(), of(never_give=12), imitate)
    assert {score.wealth for score in result.scores} == {(10.0,) * 12}


def test_tit_for_tat_takes_over_from_never_givers_if_it_sees_what_they_did():
    assert winners(of(tit_for_tat=9, never_give=3)) == {"tit-for-tat": 20}
    assert winners(of(tit_for_tat=9, never_give=3), trace_length=0) == {"never-give": 20}


def test_where_gifts_are_worth_more_a_third_takes_over_more_often_than_by_chance():
    third = of(tit_for_tat=4, never_give=8)
    assert winners(third, multiplier=4)["tit-for-tat"] > 20 / 3
    assert winners(third, multiplier=4, trace_length=0)["tit-for-tat"] == 0
    assert winners(third, multiplier=2)["tit-for-tat"] < 20 / 3, "worth too little to invade"


@dataclass(frozen=True)
class ErrsOnce:
    """Follows a rule, but gives nothing in round 3."""

    strategy: str

    def give(self, situation):
        return 0.0 if situation.round == 3 else SCRIPTED[self.strategy].give(situation)


def shares_after_one_error(strategy, rounds=20):
    rules = DonorGame(n_generations=1, n_rounds=rounds)
    agents = [ErrsOnce(strategy), *[SCRIPTED[strategy]] * 11]
    moves = play(rules, agents, imitate).moves
    return [sorted(m.share for m in moves if m.round == number) for number in range(rounds)]


def test_tit_for_tat_never_forgets_an_error_which_goes_from_one_to_another():
    shares = shares_after_one_error("tit-for-tat")
    assert shares[2] == [0.5] * 12
    for after in shares[3:]:
        assert after == pytest.approx([0.0] + [0.5] * 11)


def test_standing_forgives_an_error_that_was_answered():
    shares = shares_after_one_error("standing")
    assert shares[3] == [0.0] + [0.5] * 11
    assert shares[4] == [0.0] + [0.5] * 11, "who erred is answered"
    assert shares[5:] == [[0.5] * 12] * 15, "and who answered is not"


def test_with_noise_standing_returns_to_half_and_tit_for_tat_drifts():
    def spread(strategy):
        lasts = []
        for seed in SEEDS:
            rules = DonorGame(n_generations=1, n_rounds=48, noise=0.1, seed=seed)
            moves = play(rules, of(**{strategy: 12}), imitate).moves
            lasts += [m.share for m in moves if m.round == 47 and not m.is_noise]
        return sum(abs(share - 0.5) > 0.01 for share in lasts) / len(lasts)

    assert spread("standing") < 0.1
    assert spread("tit_for_tat") > 0.9


def test_noise_replaces_so_many_donations_and_asks_nobody_for_them():
    asked = []

    class Counted:
        strategy = "counted"

        def give(self, situation):
            asked.append(situation)
            return 0.0

    rules = DonorGame(noise=0.25, n_generations=2)
    moves = play(rules, [Counted()] * 12, lambda parents, _: parents[0]).moves
    n_noise = sum(move.is_noise for move in moves)
    assert n_noise + len(asked) == 288
    assert 0.15 < n_noise / 288 < 0.35
    assert all(move.given > 0 for move in moves if move.is_noise)
    assert not any(move.given for move in moves if not move.is_noise)
    still = play(DonorGame(n_generations=2), [Counted()] * 12, lambda parents, _: parents[0])
    assert not any(move.is_noise for move in still.moves)


def test_who_is_punished_loses_a_multiple_but_no_more_than_it_has():
    rules = DonorGame(n_agents=3, punishment=3)
    moves = [
        Move(0, 0, 0, 1, 10, 0, punished=2),
        Move(0, 0, 1, 2, 10, 4),
        Move(0, 0, 2, 0, 10, 0, punished=5),
    ]
    assert balance(rules, [10, 10, 10], moves) == [0.0, 0.0, 13.0]
    # 0: pays 2, loses 15 of 8; 1: gives 4, loses 6 of 6; 2: gets 8, pays 5


def test_nobody_punishes_where_the_rules_do_not_allow_it():
    class Punisher:
        strategy = "punishes"

        def give(self, situation):
            return Action(1.0, punishes=True)

    agents = [Punisher()] * 12
    result = play(DonorGame(n_generations=1), agents, imitate)
    assert result.scores[0].n_faults == 144
    assert result.scores[0].wealth == (10.0,) * 12
    allowed = play(DonorGame(n_generations=1, n_rounds=1, punishment=2), agents, imitate)
    assert allowed.scores[0].n_faults == 0
    assert allowed.scores[0].wealth == (7.0,) * 12


def test_punishers_keep_never_givers_down_where_standing_does_not():
    def ahead(strategy):
        rules = {"n_generations": 1, "punishment": 3}
        score = play(DonorGame(**rules), of(**{strategy: 9, "never_give": 3}), imitate).scores[0]
        return min(score.wealth[:9]) - max(score.wealth[9:])

    assert ahead("punisher") > ahead("standing")


def test_by_lineage_each_new_agent_has_one_parent_and_the_richer_has_more_children():
    children = Counter()
    for seed in SEEDS:
        rules = DonorGame(inheritance="lineage", n_generations=2, seed=seed)
        result = play(rules, of(random=12), imitate)
        second = result.scores[1]
        assert [len(parents) for parents in second.parents] == [1] * 12
        wealth = result.scores[0].wealth
        ranked = sorted(range(12), key=lambda agent: -wealth[agent])
        assert [parents[0] for parents in second.parents[:6]] == ranked[:6]
        children.update(ranked.index(parents[0]) for parents in second.parents[6:])
    assert set(children) <= set(range(6)), "only survivors have children"
    assert children[0] + children[1] > 2 * (children[4] + children[5])


def test_by_prompt_each_new_agent_learns_from_all_survivors():
    result = play(DonorGame(n_generations=2), of(random=12), imitate)
    first, second = result.scores
    assert first.parents == ((),) * 12
    assert second.n_survivors == 6
    survivors = tuple(parents[0] for parents in second.parents[:6])
    assert second.parents[6:] == (survivors,) * 6


def test_a_lineage_of_agents_that_have_nothing_goes_on():
    class Wasted:
        strategy = "wasted"

        def give(self, situation):
            return situation.wealth

    rules = DonorGame(inheritance="lineage", multiplier=1e-300, n_generations=3, n_rounds=2)
    result = play(rules, [Wasted()] * 12, lambda parents, _: parents[0])
    assert result.is_complete
    assert result.scores[-1].wealth == (0.0,) * 12


def test_wealth_beyond_all_numbers_ends_the_game():
    with pytest.raises(GameError, match="beyond all numbers in round"):
        play(DonorGame(multiplier=1000, n_rounds=200), of(give_all=12), imitate)


@pytest.mark.parametrize("after", [0, 5, 144, 150])
def test_a_paused_game_says_how_far_it_is_and_goes_on(after):
    class Pausing:
        strategy = "never-give"
        asked = 0

        def give(self, situation):
            if Pausing.asked == after:
                raise PausedGameError
            Pausing.asked += 1
            return 0.0

    rules = DonorGame(n_generations=2)
    paused = play(rules, [Pausing()] * 12, lambda parents, _: parents[0])
    assert not paused.is_complete
    assert len(paused.moves) == after
    assert [score.is_complete for score in paused.scores] == [after >= 144, False][
        -1 - after // 144 :
    ]
    whole = play(rules, of(never_give=12), imitate, recorded=paused.moves)
    assert whole.is_complete
    assert whole.moves == play(rules, of(never_give=12), imitate).moves
