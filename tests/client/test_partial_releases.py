"""Limits of a partial release in words."""

from __future__ import annotations

from typing import Any

import pytest

from genept.client.partial_releases import limits_in_words


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (
            {"collections": ["pbmc-hao"], "spaces": ["wordllama-256/name-go"]},
            "1 collection (pbmc-hao) and 1 space (wordllama-256/name-go)",
        ),
        (
            {"collections": ["a", "b"], "max_genes": 6000, "spaces": []},
            "2 collections (a, b), at most 6,000 genes and no spaces",
        ),
        ({"spaces": [*"abcdefgh"]}, "8 spaces (a, b, c, d, e, f, …)"),
        ({"days": 3}, "days 3"),
        ({}, "parts of the catalogue"),
    ],
)
def test_limits_are_words(limits: dict[str, Any], words: str) -> None:
    assert limits_in_words(limits) == words
