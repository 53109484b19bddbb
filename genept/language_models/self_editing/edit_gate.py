"""The gate: whether edited descriptions may be released, by hidden genes, other tasks and words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from genept.language_models.descriptions import GeneEvidence
from genept.language_models.self_editing.edit_results import TaskScore
from genept.schema import has_canary

FORGOTTEN: Final = 0.01
"""Loss of a task's score that counts as forgetting."""

_WORD: Final = re.compile(r"[\w-]+")


class GateFinding(NamedTuple):
    """One condition of the gate.

    Parameters
    ----------
    condition
        What has to hold.
    holds
        Whether it does.
    detail
        The figures, or what was found.
    """

    condition: str
    holds: bool
    detail: str


def findings(
    gain: tuple[float, float, float],
    scores: Sequence[TaskScore],
    texts: Mapping[str, str],
    evidence: Mapping[str, GeneEvidence],
    labels: Iterable[str] = (),
    restated: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> list[GateFinding]:
    """Every condition of the gate, and whether it holds.

    Parameters
    ----------
    gain
        Mean change of the scores of hidden genes, with its 95 % interval.
    scores
        Scores of every task after every round.
    texts, evidence
        Edited text and evidence of each gene, by Ensembl id.
    labels
        Words of the labels of tasks.
    restated
        What a language model wrote in place of lines, and was checked to cite.

    Returns
    -------
    list of GateFinding
        An edit is released if all hold.
    """
    value, low, high = gain
    last = max((score.round for score in scores), default=0)
    first = {score.task: score.value for score in scores if score.round == 0}
    losses = {
        score.task: score.value - first[score.task] for score in scores if score.round == last
    }
    forgotten = {task: loss for task, loss in losses.items() if loss < -FORGOTTEN}
    new = new_words(texts, evidence, restated)
    of_labels = sorted({word for words in new.values() for word in words} & _words(labels))
    canaries = sorted(id_ for id_, text in texts.items() if has_canary(text))
    return [
        GateFinding(
            "hidden genes are predicted better", low > 0, f"{value:+.4f} [{low:+.4f}, {high:+.4f}]"
        ),
        GateFinding(
            f"no task is forgotten by more than {FORGOTTEN:g}",
            not forgotten,
            ", ".join(f"{task} {loss:+.4f}" for task, loss in forgotten.items()) or "none",
        ),
        GateFinding(
            "no text has a word that its evidence lacks",
            not new,
            "; ".join(f"{id_}: {', '.join(words[:5])}" for id_, words in list(new.items())[:5])
            or "none",
        ),
        GateFinding("no label is written in", not of_labels, ", ".join(of_labels) or "none"),
        GateFinding("no canary", not canaries, ", ".join(canaries[:5]) or "none"),
    ]


def new_words(
    texts: Mapping[str, str],
    evidence: Mapping[str, GeneEvidence],
    restated: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> dict[str, list[str]]:
    """Words of texts that neither the evidence nor the name of their gene has.

    Parameters
    ----------
    texts, evidence, restated
        By Ensembl id, as `findings` takes them.

    Returns
    -------
    dict of str to list of str
        By gene, those that have such words: labels, or names of other genes, that were written in.
    """
    unknown = {
        id_: sorted(
            _words([text])
            - _words([*evidence[id_].lines, evidence[id_].name, *restated.get(id_, {}).values()])
        )
        for id_, text in texts.items()
    }
    return {id_: words for id_, words in unknown.items() if words}


def _words(texts: Iterable[str]) -> set[str]:
    return {word.casefold() for text in texts for word in _WORD.findall(text)}
