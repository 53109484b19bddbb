"""Expression block by block, if its values can be what their unit says.

The last look before anything is made of them, whatever format they came in. What a sample of
them looks like is told in `genept.collections.units`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from genept.sources.errors import SourceError
from genept.sources.parsed import ExpressionRows

NEVER_NEGATIVE: Final = ("counts", "tpm", "log1p")
MAX_EXACT: Final = 2**24
"""Above this float32 no longer holds every whole number."""
WINDOW: Final = 2**16
"""Values that are looked at together: as many as stay in the cache."""


def checked_blocks(
    expression: ExpressionRows,
    ids: Sequence[str],
    unit: str,
    start: int = 0,
    inputs: Sequence[str] = (),
) -> Iterator[csr_matrix]:
    """The rows of `ids`, which begin at row `start`, if their values can be what `unit` says.

    Parameters
    ----------
    inputs
        Names of the columns, for messages; none: they are counted.

    Raises
    ------
    SourceError
        Values are not finite; shapes do not fit the axes; or values cannot be of that
        unit: negative, broken, or beyond what float32 holds exactly. Names the
        first such value's observation and column.
    """
    rows = 0
    for block in expression.blocks(start, start + len(ids)):
        if block.dtype != np.float32 or block.shape[1] != expression.shape[1]:
            raise SourceError(f"an expression block is {block.dtype} of shape {block.shape}")
        if rows + block.shape[0] > len(ids):
            raise SourceError(f"more expression rows than {len(ids)} observations")
        for first in range(0, block.data.size, WINDOW):
            wrong = _wrong(block.data[first : first + WINDOW], unit)
            if wrong is not None:
                where = _place(block, first + wrong.position, ids[rows:], inputs)
                raise SourceError(f"{wrong.what}, such as {where}{wrong.question}")
        rows += block.shape[0]
        yield block
    if rows != len(ids):
        raise SourceError(f"{rows} expression rows for {len(ids)} observations")


class _Wrong(NamedTuple):
    """The first value that cannot be, and what to say of it."""

    position: int
    what: str
    question: str


def _wrong(values: NDArray[np.float32], unit: str) -> _Wrong | None:
    if not values.size:
        return None
    low, high = values.min(), values.max()  # NaN, if there is one
    if not (np.isfinite(low) and np.isfinite(high)):
        return _first(~np.isfinite(values), "NaN or infinite values", "")
    if unit == "counts":
        return _wrong_counts(values, low, high)
    if unit in NEVER_NEGATIVE and low < 0:
        return _first(values < 0, "negative values", f": {unit} cannot be; is it a z-score?")
    return None


def _wrong_counts(values: NDArray[np.float32], low: np.float32, high: np.float32) -> _Wrong | None:
    if low < 0:
        return _first(values < 0, "negative counts", ": is it a z-score or a log?")
    if high > MAX_EXACT:
        what = f"counts above {MAX_EXACT:,}"
        return _first(values > MAX_EXACT, what, ": float32 would round them")
    broken = values != np.floor(values)
    if broken.any():
        return _first(broken, "counts that are no whole numbers", ": is it normalised?")
    return None


def _first(wrong: NDArray[np.bool_], what: str, question: str) -> _Wrong:
    return _Wrong(int(np.argmax(wrong)), what, question)


def _place(block: csr_matrix, position: int, ids: Sequence[str], inputs: Sequence[str]) -> str:
    row = int(np.searchsorted(block.indptr, position, side="right")) - 1
    column = int(block.indices[position])
    name = repr(inputs[column]) if inputs else f"column {column + 1}"
    return f"{block.data[position]:.9g} for {name} in observation {ids[row]!r}"
