"""Sizes in words."""

from __future__ import annotations

import pytest

from genept.common.sizes import byte_size


@pytest.mark.parametrize(
    ("n", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1_000, "1 kB"),
        (840_400, "840 kB"),
        (1_250_000, "1.2 MB"),
        (3_400_000_000, "3.4 GB"),
        (53_000_000_000_000, "53,000.0 GB"),
    ],
)
def test_a_size_has_the_unit_that_a_person_uses(n: int, words: str) -> None:
    assert byte_size(n) == words
