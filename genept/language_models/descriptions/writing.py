"""Having a language model write statements about genes, as many genes as fit into the time.

Answers are cached by the chat: what was written before is not asked again, and a kill costs at most
the request that was under way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import polars as pl

from genept.language_models.answer_cache import AnswerCache
from genept.language_models.chat_budget import ChatRunner, in_batches, unfinished
from genept.language_models.chat_service import ChatService
from genept.language_models.chats import Chat, SamplingOptions
from genept.language_models.completion import CompleteRemotely, complete
from genept.language_models.declared_models import LanguageModel
from genept.language_models.descriptions.gene_evidence import GeneEvidence
from genept.language_models.descriptions.statements import statements_of
from genept.language_models.prompts import Prompt, load_prompts
from genept.schema.tables import STORED
from genept.text import plain_loop
from genept.text.hosted import SpendingLimit

AT_ONCE: Final = 8
"""Chats between two looks at the clock."""

LONGEST_ANSWER: Final = 480
"""Tokens of an answer."""


def prompt_for(model: LanguageModel) -> Prompt:
    """The prompt by which a model is asked for statements.

    Parameters
    ----------
    model
        A language model.

    Returns
    -------
    Prompt
        For lines, if it takes a grammar; else for JSON.
    """
    return load_prompts()["gene-statement-lines" if model.grammars else "gene-statements"]


def statement_chat(
    prompt: Prompt, evidence: GeneEvidence, sampling: SamplingOptions | None = None
) -> Chat:
    """The chat that asks for statements about one gene.

    Parameters
    ----------
    prompt
        Of `prompt_for`.
    evidence
        The gene and its lines.
    sampling
        How the answer is drawn.

    Returns
    -------
    Chat
        Its answer has statements, each with the numbers of the lines that it cites.
    """
    values = {
        "symbol": evidence.symbol,
        "name": evidence.name,
        "evidence": evidence.numbered,
    }
    drawn = (sampling or SamplingOptions()).model_copy(update={"max_output_tokens": LONGEST_ANSWER})
    return prompt.chat(values, drawn)


def write_statements(
    service: ChatService,
    cache: AnswerCache,
    prompt: Prompt,
    evidence: Sequence[GeneEvidence],
    *,
    seconds: float | None = None,
    spending_limit: SpendingLimit | None = None,
    runner: ChatRunner = plain_loop,
    remote: CompleteRemotely | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> pl.DataFrame:
    """Have statements about genes written, and check them.

    Parameters
    ----------
    service, cache
        The model, and its kept answers.
    prompt
        Of `prompt_for`.
    evidence
        Of the genes, in the order of writing.
    seconds
        Nothing more is asked after so long; None: all genes are written, as by batches.
    spending_limit, runner, remote
        As `complete` takes them.
    clock
        Seconds that passed.

    Returns
    -------
    pl.DataFrame
        Rows of table `written_statements`, of the genes that have an answer.

    Raises
    ------
    ChatError
        A request could not be made, or was not answered, or is in a batch under way
        (`PendingChatsError`); what was answered is kept.
    """
    chats = [statement_chat(prompt, gene, service.declared.sampling) for gene in evidence]
    if in_batches(service, spending_limit or SpendingLimit()):
        seconds = None
    begun = clock()
    new = unfinished(cache, chats)
    at_once = len(new) if seconds is None else AT_ONCE
    for first in range(0, len(new), max(at_once, 1)):
        if seconds is not None and clock() - begun >= seconds:
            break
        complete(service, cache, new[first : first + at_once], spending_limit, runner, remote)
    left = {chat.address for chat in unfinished(cache, chats)}
    rows: list[dict[str, Any]] = [
        {"writer": service.id, "prompt": f"{prompt.id}@{prompt.version}", **row}
        for chat, gene in zip(chats, evidence, strict=True)
        if chat.address not in left
        for row in statements_of(cache.outcome(chat), gene)
    ]
    return pl.DataFrame(
        rows, pl.DataFrame(STORED["written_statements"].schema().empty_table()).schema
    )
