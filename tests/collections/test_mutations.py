"""Damaged files of every format are read or refused; nothing else ever comes of them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import mutations
import pytest

from genept.common.errors import SourceError
from genept.datasources.readers.sandbox import Limits, limited

LIMITS = Limits(memory=1 << 30, seconds=300, disk=1 << 30)
AT_ONCE = 500
"""Files per child: far fewer than the limit of its seconds allows, unless one never ends."""


def outcomes(format_: str, n: int) -> tuple[Counter[str], list[Any]]:
    """What became of `n` damaged files; a child that dies is followed by another."""
    counted, others, first = Counter[str](), [], 0
    while first < n:
        last, last_of_child = [first], min(first + AT_ONCE, n)

        def begun(question: dict[str, Any], last: list[int] = last) -> bool:
            last[0] = question["begun"]
            return True

        try:
            with limited(
                mutations.outcomes, format_, range(first, last_of_child),
                what=format_, limits=LIMITS, handler=begun,
            ) as answer:  # fmt: skip
                counted.update(answer.values["counted"])
                others += answer.values["others"]
            first = last_of_child
        except SourceError:
            counted["refused by limits"] += 1
            first = last[0] + 1
    return counted, others


def hold(format_: str, n: int) -> None:
    counted, others = outcomes(format_, n)
    assert not others
    assert counted["read"] > 0
    assert counted["refused"] > 0


@pytest.mark.parametrize("format_", mutations.FORMATS)
def test_100_damaged_files_of_each_format(format_):
    hold(format_, 100)


@pytest.mark.slow
@pytest.mark.parametrize("format_", mutations.FORMATS)
def test_300_damaged_files_of_each_format(format_):
    hold(format_, 300)


def test_a_file_on_which_the_hdf5_library_never_returns_is_refused():
    """Found among 10,000: damage to a global heap on which reading an attribute loops for ever."""
    with (
        pytest.raises(SourceError, match="CPU"),
        limited(
            mutations.outcomes, "h5ad", range(557, 558),
            what="mine.h5ad", limits=Limits(memory=1 << 30, seconds=3, disk=1 << 30),
            handler=lambda _: True,
        ),
    ):  # fmt: skip
        pass


@pytest.mark.soak
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("format_", mutations.FORMATS)
def test_10000_damaged_files_of_each_format(format_):
    hold(format_, 10_000)
