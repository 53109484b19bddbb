"""What embedding spaces will cost, before it does."""

from __future__ import annotations

from typing import Any

import pytest

from genept.client import benchmark_runs
from genept.client.benchmark_runs import SpaceForecast, forecast_spaces
from genept.text.embedders import Space, space_of

IDS = (
    *("minilm-l6-v2/name", "minilm-l6-v2/name@shuffled", "minilm-l6-v2/name-go"),
    *("text-embedding-3-small/name@shuffled", "text-embedding-3-small/name", "random-384/name"),
)


def test_the_same_texts_of_one_embedder_are_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def cost(_: Any, space: Space, *__: Any) -> SpaceForecast:
        return SpaceForecast(space.id, 10, 2.0, 0.5)

    for name in ("_genes", "_described"):
        monkeypatch.setattr(benchmark_runs, name, lambda *_: None)
    monkeypatch.setattr(benchmark_runs, "_forecast", cost)
    spaces = [space_of(id_) for id_ in IDS]
    forecasts = forecast_spaces(None, spaces, lambda *_: None)  # type: ignore[arg-type]
    assert [each.space for each in forecasts] == list(IDS)
    assert [each.n_new for each in forecasts] == [10, 0, 10, 10, 0, None]
    assert [each.seconds for each in forecasts] == [2.0, 0.0, 2.0, 2.0, 0.0, None]
    assert [each.dollars for each in forecasts] == [0.5, 0.0, 0.5, 0.5, 0.0, 0.0]
