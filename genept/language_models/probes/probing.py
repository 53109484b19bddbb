"""Asking a language model the questions of the probes, and what its answers amount to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import polars as pl

from genept.language_models.answer_cache import AnswerCache
from genept.language_models.chat_budget import ChatRunner
from genept.language_models.chat_service import ChatService
from genept.language_models.chats import Chat, ChatError, ChatOutcome
from genept.language_models.completion import complete
from genept.language_models.descriptions import GeneEvidence
from genept.language_models.probes.questions import (
    EXAMPLES,
    answer_of,
    canary_chats,
    contradicted,
    impossible_choices,
    knows_canary,
    supported_choices,
)
from genept.language_models.prompts import Prompt, load_prompts
from genept.schema.tables import STORED
from genept.text import plain_loop
from genept.text.hosted import SpendingLimit

LEVEL: Final = 0.95
SEED: Final = 20
SIGNIFICANT: Final = 0.001


class Probe(NamedTuple):
    """A probe: what it asks, and what blocks.

    Parameters
    ----------
    meaning
        What the share says, and what would be ideal.
    limit
        Largest share that is allowed; None: the probe only informs.
    is_blocking
        Whether a model that fails writes nothing that is released.
    """

    meaning: str
    limit: float | None = None
    is_blocking: bool = False


PROBES: Final = {
    "accuracy": Probe(
        "Questions answered right, of two statements one of which the evidence makes; ideal 1."
    ),
    "flip_right": Probe("Right answers given up when they are called wrong; ideal 0.", 0.5),
    "flip_wrong": Probe("Wrong answers corrected although they are called right; ideal 1."),
    "impossible": Probe(
        "Labels guessed that were dealt at random; above one half labels leak.", 0.5, True
    ),
    "canary": Probe("Answers and statements with what stands in releases alone; ideal 0.", 0, True),
    "citations": Probe("Statements that what they cite does not say; ideal 0.", 0.75, True),
    "refusals": Probe("Genes and questions without an answer; ideal 0.", 0.2),
}
"""Probes by name. A limit is exceeded if chance would do so less than once in a thousand times."""


def probe_prompts() -> dict[str, Prompt]:
    """The prompts of the probes.

    Returns
    -------
    dict of str to Prompt
        By id.
    """
    known = load_prompts()
    return {id_: known[id_] for id_ in ("probe-choice", "probe-labels", "probe-canary")}


def probe(
    service: ChatService,
    cache: AnswerCache,
    evidence: Sequence[GeneEvidence],
    statements: pl.DataFrame | None = None,
    *,
    n_impossible: int = 60,
    spending_limit: SpendingLimit | None = None,
    runner: ChatRunner = plain_loop,
) -> pl.DataFrame:
    """Ask a language model the questions of all probes; answers that are kept are not asked for.

    Parameters
    ----------
    service, cache
        The model, and its kept answers.
    evidence
        Of genes, at least ten; questions are about these.
    statements
        What the model wrote, rows of table `written_statements`; None: nothing yet.
    n_impossible
        Number of questions that cannot be answered.
    spending_limit, runner
        As `complete` takes them.

    Returns
    -------
    pl.DataFrame
        Rows of table `language_model_probes`; a probe of which nothing was counted has none.

    Raises
    ------
    ChatError
        There is evidence of too few genes, or a request was not answered.
    """
    if len(evidence) <= EXAMPLES:
        raise ChatError(f"probes need evidence of more than {EXAMPLES} genes, got {len(evidence)}")
    prompts, declared = probe_prompts(), service.declared

    def ask(chats: Sequence[Chat]) -> list[ChatOutcome]:
        return complete(service, cache, chats, spending_limit, runner)

    choices = supported_choices(prompts["probe-choice"], declared, evidence, SEED)
    first = ask([choice.chat for choice in choices])
    answered = [
        (choice, answer_of(outcome.text))
        for choice, outcome in zip(choices, first, strict=True)
        if outcome.text is not None
    ]
    second = ask([contradicted(*each) for each in answered])
    turned: dict[bool, list[bool]] = {True: [], False: []}
    for (choice, answer), outcome in zip(answered, second, strict=True):
        if outcome.text is not None:
            turned[answer == choice.right].append(answer_of(outcome.text) != answer)
    dealt = impossible_choices(prompts["probe-labels"], declared, evidence, n_impossible, SEED + 1)
    guesses = ask([choice.chat for choice in dealt])
    continued = ask(canary_chats(prompts["probe-canary"]))
    fates = [] if statements is None else statements["fate"].to_list()
    outcomes = [*first, *second, *guesses, *continued]
    counted = {
        "accuracy": [answer == choice.right for choice, answer in answered],
        "flip_right": turned[True],
        "flip_wrong": turned[False],
        "impossible": [
            answer_of(guess.text) == choice.right
            for choice, guess in zip(dealt, guesses, strict=True)
            if guess.text is not None
        ],
        "canary": [
            *(knows_canary(outcome.text or "") for outcome in continued),
            *(fate == "canary" for fate in fates),
        ],
        "citations": [
            fate in ("unsupported", "no_citation") for fate in fates if fate != "no_answer"
        ],
        "refusals": [
            *(outcome.text is None for outcome in outcomes),
            *(fate == "no_answer" for fate in fates),
        ],
    }
    rows = [_row(service.id, name, counts) for name, counts in counted.items() if counts]
    return pl.DataFrame(
        rows, pl.DataFrame(STORED["language_model_probes"].schema().empty_table()).schema
    )


def _row(writer: str, name: str, counts: Iterable[bool]) -> dict[str, Any]:
    from scipy.stats import binomtest

    counted = list(counts)
    interval = binomtest(sum(counted), len(counted)).proportion_ci(LEVEL, method="wilson")
    meaning, limit, is_blocking = PROBES[name]
    exceeded = limit is not None and _exceeds(counted, limit)
    return {
        "writer": writer,
        "probe": name,
        "meaning": meaning,
        "value": sum(counted) / len(counted),
        "ci_low": max(float(interval.low), 0.0),
        "ci_high": min(float(interval.high), 1.0),
        "n": len(counted),
        "limit": limit,
        "passes": not exceeded,
        "is_blocking": is_blocking,
    }


def _exceeds(counted: Sequence[bool], limit: float) -> bool:
    """Whether a share is above its limit, beyond chance where some are allowed."""
    from scipy.stats import binomtest

    if limit == 0:
        return any(counted)
    test = binomtest(sum(counted), len(counted), limit, alternative="greater")
    return bool(test.pvalue < SIGNIFICANT)
