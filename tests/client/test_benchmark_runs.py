"""Spaces that are scored on demand, and those that stand beside them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from genept.client import benchmark_runs
from genept.client.benchmark_runs import score_spaces
from genept.text.embedders import Space, space_of
from genept.text.local.baselines import TooFewTextsError

FEW = "lsa-384/written-smollm2"


class Made:
    """An installation with too few texts of one recipe to fit LSA on them."""

    archives = SimpleNamespace(fetch=lambda _: None)
    lake = None
    settings = SimpleNamespace(threads=1)

    def __init__(self) -> None:
        self.entrants: list[str] = []

    def labels(self, _: Any) -> SimpleNamespace:
        return SimpleNamespace(properties=None, pairs=None)

    def embed(self, space: Space, _: Any) -> SimpleNamespace:
        if space.id == FEW:
            raise TooFewTextsError("3 texts span no more than 3 dimensions")
        return SimpleNamespace(dimension=384)

    def entrant(self, space: Space, *_: Any) -> str:
        return space.id

    def lacking_vectors(self, *_: Any) -> None:
        return None

    def cost(self, space: Space, *_: Any) -> str:
        return space.id


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Scores spaces of `Made`: what was scored, and what came of it."""
    entrants: list[str] = []

    def run_tasks(
        _: Any, __: Any, given: list[str], **___: Any
    ) -> tuple[list[Any], dict[str, str]]:
        entrants.extend(given)
        return [], {"tf-range": "a task's remark"}

    monkeypatch.setattr(benchmark_runs, "run_tasks", run_tasks)
    monkeypatch.setattr(benchmark_runs, "fates", lambda _: {})
    for name in ("_genes", "_described"):
        monkeypatch.setattr(benchmark_runs, name, lambda *_: None)

    def score(*ids: str) -> tuple[list[str], Any]:
        spaces = [space_of(id_) for id_ in ids]
        return entrants, score_spaces(Made(), spaces, advance=lambda *_: None)  # type: ignore[arg-type]

    return score


def test_a_companion_that_cannot_be_made_is_left_out_with_the_reason(scored: Any) -> None:
    entrants, result = scored("minilm-l6-v2/written-smollm2")
    assert entrants == ["minilm-l6-v2/written-smollm2", "minilm-l6-v2/name"]
    assert [space.id for space in result.added] == ["minilm-l6-v2/name"]
    assert result.remarks == {
        FEW: "not compared: 3 texts span no more than 3 dimensions",
        "tf-range": "a task's remark",
    }


def test_a_space_that_was_named_and_cannot_be_made_is_an_error(scored: Any) -> None:
    with pytest.raises(TooFewTextsError):
        scored("minilm-l6-v2/written-smollm2", FEW)
